//! Files in pieces. Each piece is a call of its own; one goes ahead of who reads or writes.

use std::future::{poll_fn, Future};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::data::IntoData;
use crate::error::{MicrosandboxError, Result};
use crate::pool::{self, Call};
use crate::raw::file::RawFile;

/// Enough that handing it over costs little.
const PIECE: usize = 512 << 10;

/// A file that is read, as an [`AsyncRead`] or a [`Stream`] of pieces.
pub struct FileReader {
    /// The handle comes back with each piece. None: the end was reached, or an error.
    ahead: Option<Call<(RawFile, Bytes)>>,
    first: Option<RawFile>,
    rest: Bytes,
}

fn get(mut raw: RawFile) -> Result<Call<(RawFile, Bytes)>> {
    pool::start(move || {
        let piece = raw.get(PIECE)?;
        Ok((raw, piece))
    })
}

impl FileReader {
    pub(crate) fn new(raw: RawFile) -> Self {
        Self { ahead: None, first: Some(raw), rest: Bytes::new() }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        if let Some(raw) = self.first.take() {
            match get(raw) {
                Ok(call) => self.ahead = Some(call),
                Err(e) => return Poll::Ready(Some(Err(e))),
            }
        }
        let Some(call) = &mut self.ahead else { return Poll::Ready(None) };
        let Poll::Ready(r) = Pin::new(call).poll(cx) else { return Poll::Pending };
        self.ahead = None;
        match r {
            Ok((_, piece)) if piece.is_empty() => Poll::Ready(None),
            Ok((raw, piece)) => match get(raw) {
                Ok(call) => {
                    self.ahead = Some(call);
                    Poll::Ready(Some(Ok(piece)))
                }
                Err(e) => Poll::Ready(Some(Err(e))),
            },
            Err(e) => Poll::Ready(Some(Err(e))),
        }
    }

    /// The next piece; None at the end.
    pub async fn recv(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_piece(cx)).await.transpose()
    }

    /// All that is left.
    pub async fn collect(mut self) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.recv().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

impl Stream for FileReader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_piece(cx)
    }
}

impl AsyncRead for FileReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Poll::Ready(piece) = self.poll_piece(cx) else { return Poll::Pending };
        let mut piece = match piece {
            None => return Poll::Ready(Ok(())),
            Some(Err(e)) => return Poll::Ready(Err(e.into())),
            Some(Ok(piece)) => piece,
        };
        let n = piece.len().min(buf.remaining());
        buf.put_slice(&piece[..n]);
        piece.advance(n);
        self.rest = piece;
        Poll::Ready(Ok(()))
    }
}

enum Writing {
    Idle(RawFile),
    Busy(Call<RawFile>),
    /// Finished, or there was an error.
    Over,
}

/// A file that is written. Dropped before [`close`](Self::close), nothing of it is left.
pub struct FileWriter {
    state: Writing,
    finished: bool,
}

impl FileWriter {
    pub(crate) fn new(raw: RawFile) -> Self {
        Self { state: Writing::Idle(raw), finished: false }
    }

    /// The handle, when no piece is on its way.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawFile>> {
        if let Writing::Busy(call) = &mut self.state {
            let Poll::Ready(r) = Pin::new(call).poll(cx) else { return Poll::Pending };
            self.state = Writing::Over;
            return Poll::Ready(r);
        }
        match std::mem::replace(&mut self.state, Writing::Over) {
            Writing::Idle(raw) => Poll::Ready(Ok(raw)),
            _ => {
                Poll::Ready(Err(MicrosandboxError::invalid("the file was finished, or it failed")))
            }
        }
    }

    fn put(&mut self, mut raw: RawFile, data: Bytes) -> Result<()> {
        self.state = Writing::Busy(pool::start(move || raw.put(&data).map(|()| raw))?);
        Ok(())
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.finished {
            let Poll::Ready(r) = self.poll_idle(cx) else { return Poll::Pending };
            let mut raw = match r {
                Ok(raw) => raw,
                Err(e) => return Poll::Ready(Err(e)),
            };
            self.finished = true;
            match pool::start(move || raw.finish().map(|()| raw)) {
                Ok(call) => self.state = Writing::Busy(call),
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        if matches!(self.state, Writing::Over) {
            return Poll::Ready(Ok(()));
        }
        let Poll::Ready(r) = self.poll_idle(cx) else { return Poll::Pending };
        Poll::Ready(r.map(drop))
    }

    /// One more piece, of any size.
    pub async fn write(&mut self, data: impl IntoData) -> Result<()> {
        let data = data.into_data();
        let raw = poll_fn(|cx| self.poll_idle(cx)).await?;
        self.put(raw, data)
    }

    /// It is complete: it appears under its name.
    pub async fn close(mut self) -> Result<()> {
        poll_fn(|cx| self.poll_finish(cx)).await
    }
}

impl AsyncWrite for FileWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(r) = self.poll_idle(cx) else { return Poll::Pending };
        let raw = match r {
            Ok(raw) => raw,
            Err(e) => return Poll::Ready(Err(e.into())),
        };
        let n = data.len().min(PIECE);
        let r = self.put(raw, Bytes::copy_from_slice(&data[..n]));
        Poll::Ready(r.map(|()| n).map_err(Into::into))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.state, Writing::Over) {
            return Poll::Ready(Ok(()));
        }
        let Poll::Ready(r) = self.poll_idle(cx) else { return Poll::Pending };
        match r {
            Ok(raw) => {
                self.state = Writing::Idle(raw);
                Poll::Ready(Ok(()))
            }
            Err(e) => Poll::Ready(Err(e.into())),
        }
    }

    /// As [`FileWriter::close`].
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx).map_err(Into::into)
    }
}
