//! A client's stream, and how long a server waits for it.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use stack::host::TcpStream;

use crate::outside::Stopwatch;

/// How much is read of a client that is turned away, so that it sees the reply and not a RST.
const FAREWELL: usize = 256 * 1024;

/// How long a client may take to leave.
const LEAVE: Duration = Duration::from_secs(2);

/// A stream with a time limit that may span several reads: a client which sends a byte now and then
/// does not keep its place for ever.
#[derive(Debug)]
pub struct Patient {
    stream: TcpStream,
    patience: Duration,
    since: Option<Stopwatch>,
}

impl Patient {
    /// A client that may be silent for so long, and does not wait to send.
    ///
    /// # Errors
    /// The host was shut down.
    pub fn new(stream: TcpStream, patience: Duration) -> io::Result<Patient> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Patient { stream, patience, since: None })
    }

    /// From now on the patience is for all reads together, until [`end`](Self::end).
    pub fn begin(&mut self) {
        self.since = Some(Stopwatch::start());
    }

    /// From now on it is for each read alone.
    pub fn end(&mut self) {
        self.since = None;
    }

    /// The stream underneath.
    pub fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Closes in two steps (RFC 9112 §9.6): closing while the client still sends would reset the
    /// connection, and the reset may overtake the reply.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn leave(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        let since = Stopwatch::start();
        let mut left = FAREWELL;
        let mut buffer = [0; 4096];
        while left > 0 && !since.left_of(LEAVE).is_zero() {
            let time = since.left_of(LEAVE).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(time))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Patient {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.since.map_or(self.patience, |since| since.left_of(self.patience));
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(out)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The patience has come to its end.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
