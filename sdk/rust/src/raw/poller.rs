//! One thread that waits for descriptors of commands and wakes who waits for them. It is no part
//! of an async runtime, so a handle may go from one to another.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;

use crate::error::{MicrosandboxError, Result};

struct Poller {
    epoll: OwnedFd,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    wakers: HashMap<u64, Vec<Waker>>,
}

static POLLER: OnceLock<Arc<Poller>> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

fn fault(what: &str) -> MicrosandboxError {
    let e = io::Error::last_os_error();
    MicrosandboxError::system(microsandbox_sys::MSB_ERR_IO, what, &e)
}

fn poller() -> Result<&'static Arc<Poller>> {
    let _one = STARTING.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(p) = POLLER.get() {
        return Ok(p);
    }
    // SAFETY: no pointers.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(fault("epoll"));
    }
    // SAFETY: it is new, and nobody else has it.
    let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
    let p = Arc::new(Poller { epoll, state: Mutex::default() });
    let mine = p.clone();
    std::thread::Builder::new().name("msb-poller".into()).spawn(move || mine.run()).map_err(
        |e| MicrosandboxError::system(microsandbox_sys::MSB_ERR_NO_MEMORY, "thread", &e),
    )?;
    Ok(POLLER.get_or_init(|| p))
}

impl Poller {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn control(&self, op: i32, fd: RawFd, events: i32, id: u64) -> i32 {
        let mut ev = libc::epoll_event { events: events as u32, u64: id };
        // SAFETY: the event is a local; the descriptor is the caller's.
        unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), op, fd, &mut ev) }
    }

    fn run(&self) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        loop {
            // SAFETY: an array of so many events.
            let n = unsafe {
                libc::epoll_wait(
                    self.epoll.as_raw_fd(),
                    events.as_mut_ptr(),
                    events.len() as i32,
                    -1,
                )
            };
            for ev in events.iter().take(n.max(0) as usize) {
                let id = ev.u64;
                let wakers = match self.lock().wakers.get_mut(&id) {
                    Some(w) => std::mem::take(w),
                    None => continue,
                };
                wakers.into_iter().for_each(Waker::wake);
            }
        }
    }
}

/// A descriptor that is waited for. It must be dropped before the descriptor is closed.
pub(crate) struct Source {
    poller: &'static Arc<Poller>,
    fd: RawFd,
    id: u64,
}

impl Source {
    pub(crate) fn new(fd: RawFd) -> Result<Self> {
        let poller = poller()?;
        let id = {
            let mut s = poller.lock();
            s.next += 1;
            let id = s.next;
            s.wakers.insert(id, Vec::new());
            id
        };
        let source = Self { poller, fd, id };
        if poller.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLONESHOT, id) < 0 {
            return Err(fault("epoll"));
        }
        Ok(source)
    }

    /// Wake `waker`, once, when the descriptor is readable, also if it is so now.
    pub(crate) fn wake_when_readable(&self, waker: &Waker) -> Result<()> {
        {
            let mut s = self.poller.lock();
            if let Some(all) = s.wakers.get_mut(&self.id) {
                if !all.iter().any(|w| w.will_wake(waker)) {
                    all.push(waker.clone());
                }
            }
        }
        let events = libc::EPOLLIN | libc::EPOLLONESHOT;
        if self.poller.control(libc::EPOLL_CTL_MOD, self.fd, events, self.id) < 0 {
            return Err(fault("epoll"));
        }
        Ok(())
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if super::api().is_err() {
            return; // behind a fork() the epoll is the parent's, too
        }
        self.poller.control(libc::EPOLL_CTL_DEL, self.fd, 0, self.id);
        self.poller.lock().wakers.remove(&self.id);
    }
}
