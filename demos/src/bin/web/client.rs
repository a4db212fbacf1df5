//! One client's stream: encrypted or not, counted, and not kept for one that says nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use demos::site::Served;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

/// How long a client may neither send nor take anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What bytes go over.
trait Wire: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Wire for T {}

/// A client that has its place as long as it lasts.
pub(crate) struct Client {
    wire: Pin<Box<dyn Wire>>,
    silence: Pin<Box<Sleep>>,
    served: Arc<Served>,
    _place: OwnedSemaphorePermit,
}

impl Client {
    pub(crate) fn new(
        wire: impl AsyncRead + AsyncWrite + Send + 'static,
        served: Arc<Served>,
        place: OwnedSemaphorePermit,
    ) -> Client {
        let silence = Box::pin(sleep(PATIENCE));
        Client { wire: Box::pin(wire), silence, served, _place: place }
    }

    /// What came of reading or writing: an error if it has been nothing for too long.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.silence.as_mut().reset(Instant::now() + PATIENCE);
            return outcome;
        }
        ready!(self.silence.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = outcome {
            self.served.bytes_out.add(count as u64);
        }
        self.in_time(cx, outcome)
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = self.wire.as_mut().poll_read(cx, buf);
        self.served.bytes_in.add((buf.filled().len() - before) as u64);
        self.in_time(cx, outcome)
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.wire.as_mut().poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.wire.as_mut().poll_write_vectored(cx, parts);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.wire.as_mut().poll_flush(cx);
        self.in_time(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.wire.as_mut().poll_shutdown(cx);
        self.in_time(cx, outcome)
    }
}
