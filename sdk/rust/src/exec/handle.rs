//! Following a command.

use std::collections::VecDeque;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use tokio::time::Sleep;

use super::event::{end_of, lost};
use super::{ExecEvent, ExecOutput, ExecSink, ExitStatus};
use crate::error::{ErrorInfo, MicrosandboxError, Result};
use crate::pool;
use crate::raw::exec::{RawExec, Told};
use crate::raw::poller::Source;

/// Output that nobody has taken yet, when who writes input looks for room: more is left to the
/// library, which stops the command.
const QUEUE_MAX: usize = 1 << 20;

/// So many events come without a pause when they are there: other tasks want their turn.
const BURST: u32 = 64;

const SIGKILL: i32 = 9;

/// What the handle and the input's writer share. The source goes before the descriptor does.
pub(super) struct Shared {
    source: Source,
    state: Mutex<Inner>,
}

pub(super) struct Inner {
    raw: RawExec,
    queue: VecDeque<ExecEvent>,
    queued: usize,
    /// How it ended, once it has.
    status: Option<ExitStatus>,
    /// Nothing will come behind the queue.
    ended: bool,
    /// It was given away: it is not to be touched.
    detached: bool,
    /// What is to be written for a program that gave it all beforehand.
    input: Option<Bytes>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(w) = waker.take() {
        w.wake();
    }
}

impl Inner {
    fn end(&mut self, event: Option<ExecEvent>) {
        self.queue.extend(event);
        self.ended = true;
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    fn keep(&mut self, event: ExecEvent) {
        match &event {
            ExecEvent::Stdout(b) | ExecEvent::Stderr(b) => self.queued += b.len(),
            ExecEvent::Exited { .. } | ExecEvent::Failed(_) => return self.end(Some(event)),
            _ => {}
        }
        self.queue.push_back(event);
    }

    fn take(&mut self) -> Option<ExecEvent> {
        let event = self.queue.pop_front()?;
        if let ExecEvent::Stdout(b) | ExecEvent::Stderr(b) = &event {
            self.queued -= b.len();
            // Who writes input may have waited for room here.
            wake(&mut self.writer);
        }
        Some(event)
    }

    /// Write what there is of the input that was given beforehand.
    fn feed(&mut self) -> Result<()> {
        let Some(mut input) = self.input.take() else { return Ok(()) };
        while !input.is_empty() {
            let n = self.raw.write(&input)?;
            if n == 0 {
                self.input = Some(input);
                return Ok(());
            }
            input.advance(n);
        }
        self.raw.close_stdin()
    }

    /// One thing that the library has to tell; false when there is nothing.
    fn pump(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let told = match self.raw.next() {
            Ok(Some(Told::Writable)) => {
                wake(&mut self.writer);
                self.feed()
            }
            Ok(Some(Told::Event(event))) => {
                self.keep(event);
                Ok(())
            }
            Ok(Some(Told::Exited(status))) => {
                self.status = Some(status);
                self.keep(ExecEvent::Exited { code: status.code });
                Ok(())
            }
            Ok(None) => return false,
            Err(e) => Err(e),
        };
        if let Err(e) = told {
            self.end(Some(lost(e)));
        }
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Option<ExecEvent>> {
        let mut s = self.lock();
        loop {
            if let Some(event) = s.take() {
                return Poll::Ready(Some(event));
            }
            if s.ended {
                return Poll::Ready(None);
            }
            if s.pump() {
                continue;
            }
            s.reader = Some(cx.waker().clone());
            match self.source.wake_when_readable(cx.waker()) {
                Ok(()) => return Poll::Pending,
                Err(e) => s.end(Some(lost(e))),
            }
        }
    }

    /// How much of it was taken. All, once the command has ended: nobody reads it.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        let mut s = self.lock();
        loop {
            if s.detached {
                return Poll::Ready(Err(detached()));
            }
            if s.ended || data.is_empty() {
                return Poll::Ready(Ok(data.len()));
            }
            match s.raw.write(data) {
                Ok(0) => {}
                done => return Poll::Ready(done),
            }
            // The window opens by what the command reads, of which the library hears among
            // its output.
            let room = s.queued < QUEUE_MAX;
            if room && s.pump() {
                wake(&mut s.reader);
                continue;
            }
            s.writer = Some(cx.waker().clone());
            if !room {
                return Poll::Pending;
            }
            match self.source.wake_when_readable(cx.waker()) {
                Ok(()) => return Poll::Pending,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    pub(super) fn close_stdin(&self) -> Result<()> {
        let mut s = self.lock();
        if s.detached {
            return Ok(());
        }
        s.raw.close_stdin()
    }

    /// Something quick, unless it was given away.
    fn with(&self, f: impl FnOnce(&mut RawExec) -> Result<()>) -> Result<()> {
        let mut s = self.lock();
        if s.detached {
            return Err(detached());
        }
        f(&mut s.raw)
    }

    pub(super) fn unread(&self) -> Result<usize> {
        self.lock().raw.unread()
    }
}

/// Locks may be held forever by threads that are not there.
pub(super) fn behind_fork() -> bool {
    crate::raw::api().is_err()
}

fn detached() -> MicrosandboxError {
    MicrosandboxError::invalid("the command was detached: attach to it again")
}

/// A command that runs. When this goes, it is killed, unless it was detached.
///
/// Its events come by [`recv`](Self::recv), or as a [`Stream`]. A command whose output nobody
/// takes is held up when the library's window is full, as by a full pipe: who writes much input
/// takes the output in another task.
pub struct ExecHandle {
    shared: Arc<Shared>,
    stdin: Option<ExecSink>,
    deadline: Option<(Instant, Duration)>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Events since the last pause.
    burst: u32,
    session: u64,
    tty: bool,
}

impl std::fmt::Debug for ExecHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecHandle").field("session", &self.session).finish_non_exhaustive()
    }
}

impl ExecHandle {
    pub(crate) fn new(
        raw: RawExec,
        pipe: bool,
        input: Option<Bytes>,
        timeout: Option<Duration>,
    ) -> Result<Self> {
        let (source, session, tty) = (Source::new(raw.fd()?)?, raw.session()?, raw.is_tty()?);
        let mut inner = Inner {
            raw,
            queue: VecDeque::new(),
            queued: 0,
            status: None,
            ended: false,
            detached: false,
            input,
            reader: None,
            writer: None,
        };
        inner.feed()?;
        let shared = Arc::new(Shared { source, state: Mutex::new(inner) });
        let stdin = pipe.then(|| ExecSink::new(shared.clone()));
        let deadline = timeout.and_then(|t| Some((Instant::now().checked_add(t)?, t)));
        Ok(Self { shared, stdin, deadline, timer: None, burst: 0, session, tty })
    }

    /// Its number, as the logs and [`Sandbox::attach`](crate::Sandbox::attach) know it.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// The same as text.
    pub fn id(&self) -> String {
        self.session.to_string()
    }

    /// How it ended, once its end was told.
    pub fn status(&self) -> Option<ExitStatus> {
        self.shared.lock().status
    }

    /// Whether it has a terminal.
    pub fn is_tty(&self) -> bool {
        self.tty
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) {
        let Some((end, limit)) = self.deadline else { return };
        let timer =
            self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end.into())));
        if timer.as_mut().poll(cx).is_pending() {
            return;
        }
        self.deadline = None;
        let mut s = self.shared.lock();
        if !s.ended {
            let _ = s.raw.signal(SIGKILL);
            let message =
                format!("the command ran longer than {} s and was killed", limit.as_secs_f64());
            let info = ErrorInfo::new(microsandbox_sys::MSB_ERR_TIMEOUT, message);
            s.end(Some(lost(MicrosandboxError::from_info(info))));
        }
    }

    /// The next event; None after the last.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<ExecEvent>> {
        if self.burst >= BURST {
            self.burst = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.poll_deadline(cx);
        let r = self.shared.poll_event(cx);
        self.burst = if r.is_ready() { self.burst + 1 } else { 0 };
        r
    }

    /// The next event; None after the last.
    pub async fn recv(&mut self) -> Option<ExecEvent> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Wait for its end; what it writes is dropped.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        while let Some(event) = self.recv().await {
            if let Some(end) = end_of(event, self.status()) {
                return end;
            }
        }
        Err(MicrosandboxError::invalid("its end was told before"))
    }

    /// Wait for its end and collect what it writes from now on.
    pub async fn collect(&mut self) -> Result<ExecOutput> {
        let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
        while let Some(event) = self.recv().await {
            match event {
                ExecEvent::Stdout(b) => out.extend_from_slice(&b),
                ExecEvent::Stderr(b) => err.extend_from_slice(&b),
                event => {
                    let Some(end) = end_of(event, self.status()) else { continue };
                    let output = |status| ExecOutput {
                        status,
                        stdout: out.freeze(),
                        stderr: err.freeze(),
                        stdout_truncated: false,
                        stderr_truncated: false,
                    };
                    return match end {
                        Ok(status) => Ok(output(status)),
                        Err(mut e) => {
                            let killed = ExitStatus::new(128 + SIGKILL, Some(SIGKILL));
                            e.info_mut().output = e.is_timeout().then(|| output(killed));
                            Err(e)
                        }
                    };
                }
            }
        }
        Err(MicrosandboxError::invalid("its end was told before"))
    }

    /// Its standard input, once, when it has a pipe.
    pub fn take_stdin(&mut self) -> Option<ExecSink> {
        self.stdin.take()
    }

    /// What signals it while this is waited on, also from other tasks.
    pub fn control(&self) -> ExecControl {
        ExecControl { shared: self.shared.clone() }
    }

    /// A signal, by the guest's number, to its process group.
    pub async fn signal(&self, signal: i32) -> Result<()> {
        self.shared.with(|raw| raw.signal(signal))
    }

    /// SIGKILL.
    pub async fn kill(&self) -> Result<()> {
        self.signal(SIGKILL).await
    }

    /// Its terminal has another size.
    pub async fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        self.shared.with(|raw| raw.resize(rows, cols))
    }

    /// Give it to msb-vmm: it goes on without this process, what it writes goes to the logs. It
    /// must have been started. Its standard input stays open for who attaches.
    pub async fn detach(mut self) -> Result<()> {
        let shared = self.shared.clone();
        if let Some(stdin) = self.stdin.take() {
            stdin.leave_open();
        }
        pool::run(move || {
            let mut s = shared.lock();
            s.raw.detach()?;
            s.detached = true;
            s.end(None);
            Ok(())
        })
        .await
    }
}

/// What signals a command, from any task. It may outlive the [`ExecHandle`], and does not keep the
/// command running.
#[derive(Clone)]
pub struct ExecControl {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for ExecControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecControl").finish_non_exhaustive()
    }
}

impl ExecControl {
    /// As [`ExecHandle::signal`].
    pub async fn signal(&self, signal: i32) -> Result<()> {
        self.shared.with(|raw| raw.signal(signal))
    }

    /// As [`ExecHandle::kill`].
    pub async fn kill(&self) -> Result<()> {
        self.signal(SIGKILL).await
    }

    /// As [`ExecHandle::resize`].
    pub async fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        self.shared.with(|raw| raw.resize(rows, cols))
    }
}

impl Drop for ExecHandle {
    /// The command is killed; who still has its input or its control has nothing of it.
    fn drop(&mut self) {
        if behind_fork() {
            return;
        }
        let mut s = self.shared.lock();
        if !s.ended {
            let _ = s.raw.signal(SIGKILL);
            s.end(None);
        }
    }
}

impl Stream for ExecHandle {
    type Item = ExecEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ExecEvent>> {
        self.poll_recv(cx)
    }
}
