//! Threads for calls that block. There are as many as there are calls at once: calls may wait
//! for each other, so a bound could make them wait forever. Idle ones end after a while.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::{MicrosandboxError, Result};
use crate::raw::cancel::Token;
use crate::raw::{api, exit};

type Job = Box<dyn FnOnce() + Send>;

/// `idle` is how many threads wait and have no job coming: those that wait less the queue.
struct State {
    queue: VecDeque<Job>,
    idle: usize,
}

static STATE: Mutex<State> = Mutex::new(State { queue: VecDeque::new(), idle: 0 });
static WORK: Condvar = Condvar::new();
const IDLE: Duration = Duration::from_secs(10);

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|e| e.into_inner())
}

fn submit(job: Job) -> std::result::Result<(), (Job, std::io::Error)> {
    let mut s = lock();
    if s.idle > 0 {
        s.idle -= 1;
        s.queue.push_back(job);
        drop(s);
        WORK.notify_one();
        return Ok(());
    }
    drop(s);
    // The job is handed over in a box that both sides know, as a thread that cannot be made
    // would take it along.
    let slot = Arc::new(Mutex::new(Some(job)));
    let theirs = slot.clone();
    let take = |slot: &Mutex<Option<Job>>| slot.lock().unwrap_or_else(|e| e.into_inner()).take();
    let made = std::thread::Builder::new().name("msb-call".into()).spawn(move || {
        if let Some(job) = take(&theirs) {
            drop(theirs);
            work(job);
        }
    });
    match made {
        Ok(_) => Ok(()),
        Err(e) => match take(&slot) {
            Some(job) => Err((job, e)),
            None => Ok(()),
        },
    }
}

fn work(first: Job) {
    let mut job = Some(first);
    while let Some(j) = job {
        let _ = catch_unwind(AssertUnwindSafe(j));
        job = next();
    }
}

fn next() -> Option<Job> {
    let mut s = lock();
    if let Some(job) = s.queue.pop_front() {
        // Somebody who waits was to have it, and waits on for another one.
        s.idle += 1;
        return Some(job);
    }
    s.idle += 1;
    loop {
        let (back, time) = WORK.wait_timeout(s, IDLE).unwrap_or_else(|e| e.into_inner());
        s = back;
        if let Some(job) = s.queue.pop_front() {
            return Some(job);
        }
        if time.timed_out() {
            s.idle -= 1;
            return None;
        }
    }
}

/// A call that runs in a thread of its own. Dropped before its end, it is cancelled, and what it
/// gives all the same is dropped.
pub(crate) struct Call<T> {
    answer: oneshot::Receiver<Result<T>>,
    token: Arc<Token>,
    over: bool,
}

/// Start `f`, which may block.
pub(crate) fn start<T: Send + 'static>(
    f: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<Call<T>> {
    let token = Arc::new(Token::new()?);
    let (tell, answer) = oneshot::channel();
    let theirs = token.clone();
    let job = Box::new(move || {
        if tell.is_closed() {
            return;
        }
        let r = catch_unwind(AssertUnwindSafe(|| theirs.scope(f)));
        drop(theirs);
        let r = r.unwrap_or_else(|_| Ok(Err(MicrosandboxError::internal("a call panicked"))));
        let _ = tell.send(r.and_then(|r| r));
    });
    submit(job).map_err(|(_, e)| {
        MicrosandboxError::system(microsandbox_sys::MSB_ERR_NO_MEMORY, "a thread", &e)
    })?;
    Ok(Call { answer, token, over: false })
}

/// [`start`] and wait.
pub(crate) async fn run<T: Send + 'static>(
    f: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    start(f)?.await
}

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let Poll::Ready(r) = Pin::new(&mut self.answer).poll(cx) else {
            return Poll::Pending;
        };
        self.over = true;
        Poll::Ready(r.unwrap_or_else(|_| Err(MicrosandboxError::internal("a call was lost"))))
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        if !self.over {
            self.token.fire();
        }
    }
}

/// Free something, in a thread of the pool as it may take a while; the process's end waits for
/// it. Behind a fork() it is the parent's, and nothing is done.
pub(crate) fn free(f: impl FnOnce() + Send + 'static) {
    if api().is_err() {
        return;
    }
    let pending = exit::pending();
    let job = Box::new(move || {
        f();
        drop(pending);
    });
    if let Err((job, _)) = submit(job) {
        job();
    }
}
