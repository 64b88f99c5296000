//! A command's standard input.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::sync::Mutex;

use super::handle::{behind_fork, Shared};
use crate::error::Result;

/// A command's standard input. It is closed when this goes.
pub struct ExecSink {
    shared: Arc<Shared>,
    open: AtomicBool,
    /// One after the other: each write stays whole, and one waits for room.
    turn: Mutex<()>,
}

impl std::fmt::Debug for ExecSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSink").field("open", &self.open).finish_non_exhaustive()
    }
}

impl ExecSink {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: AtomicBool::new(true), turn: Mutex::new(()) }
    }

    pub(super) fn leave_open(self) {
        self.open.store(false, Relaxed);
    }

    /// Write all of it. What comes after the command's end is dropped.
    pub async fn write(&self, data: impl AsRef<[u8]>) -> Result<()> {
        let mut data = data.as_ref();
        let _turn = self.turn.lock().await;
        while !data.is_empty() {
            let n = poll_fn(|cx| self.shared.poll_write(cx, data)).await?;
            data = &data[n..];
        }
        Ok(())
    }

    /// How many bytes the command has not read yet.
    pub fn unread(&self) -> Result<usize> {
        self.shared.unread()
    }

    /// The end of its input.
    pub async fn close(&self) -> Result<()> {
        self.close_now()
    }

    fn close_now(&self) -> Result<()> {
        if !self.open.swap(false, Relaxed) {
            return Ok(());
        }
        self.shared.close_stdin()
    }
}

impl Drop for ExecSink {
    fn drop(&mut self) {
        if !behind_fork() {
            let _ = self.close_now();
        }
    }
}

impl AsyncWrite for ExecSink {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.shared.poll_write(cx, data).map_err(Into::into)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.close_now().map_err(Into::into))
    }
}
