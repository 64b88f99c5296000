//! What commands wrote, and what the machine said.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use futures_core::Stream;

use crate::error::Result;
use crate::pool::{self, Call};
use crate::raw::logs::RawLogs;

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogSource {
    /// A command's standard output.
    Stdout,
    /// A command's standard error.
    Stderr,
    /// A command's terminal.
    Output,
    /// The machine's console.
    Console,
    /// Marks of its life, and what was denied.
    System,
}

impl LogSource {
    /// "stdout", "stderr", "output", "console" or "system".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Output => "output",
            Self::Console => "console",
            Self::System => "system",
        }
    }
}

/// What is wanted of the logs.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Where it came from; all when empty.
    pub sources: Vec<LogSource>,
    /// The last so many.
    pub tail: Option<usize>,
    /// Not before.
    pub since: Option<SystemTime>,
    /// Not behind.
    pub until: Option<SystemTime>,
    /// Of one command.
    pub session: Option<u64>,
}

impl LogOptions {
    /// All that commands wrote.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this source, and others that are named.
    pub fn source(mut self, source: LogSource) -> Self {
        self.sources.push(source);
        self
    }

    /// Only the last so many lines.
    pub fn tail(mut self, lines: usize) -> Self {
        self.tail = Some(lines);
        self
    }

    /// Not what is older.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Not what is newer.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(time);
        self
    }

    /// Only of this command.
    pub fn session(mut self, session: u64) -> Self {
        self.session = Some(session);
        self
    }
}

/// A piece of output as it was captured: any bytes, not always a line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogEntry {
    /// When, in ms since 1970.
    pub unix_ms: i64,
    /// Of which command.
    pub session: Option<u64>,
    /// Where it comes from.
    pub source: LogSource,
    /// What was written.
    pub data: Bytes,
}

impl LogEntry {
    /// It as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.data)
    }
}

/// Entries as they come, until the machine has ended. After an error there is nothing more.
pub struct LogStream {
    raw: Option<RawLogs>,
    next: Option<Call<(RawLogs, Vec<LogEntry>)>>,
    ready: VecDeque<LogEntry>,
}

/// At once.
const BATCH: usize = 256;

impl LogStream {
    pub(crate) fn new(raw: RawLogs) -> Self {
        Self { raw: Some(raw), next: None, ready: VecDeque::new() }
    }

    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<LogEntry>>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(entry)));
            }
            if let Some(mut raw) = self.raw.take() {
                let call = pool::start(move || {
                    let some = raw.some(BATCH, true)?;
                    Ok((raw, some))
                });
                match call {
                    Ok(call) => self.next = Some(call),
                    Err(e) => return Poll::Ready(Some(Err(e))),
                }
            }
            let Some(call) = &mut self.next else { return Poll::Ready(None) };
            let Poll::Ready(r) = Pin::new(call).poll(cx) else { return Poll::Pending };
            self.next = None;
            match r {
                Ok((raw, some)) => {
                    let over = some.is_empty() && raw.ended().unwrap_or(true);
                    self.ready.extend(some);
                    if !over {
                        self.raw = Some(raw);
                    }
                }
                Err(e) => return Poll::Ready(Some(Err(e))),
            }
        }
    }

    /// The next entry; None when the machine has ended.
    pub async fn recv(&mut self) -> Option<Result<LogEntry>> {
        poll_fn(|cx| self.poll_entry(cx)).await
    }
}

impl Stream for LogStream {
    type Item = Result<LogEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_entry(cx)
    }
}
