//! Bodies: a reader that ends where the message ends.

use std::io::{self, Read};

use super::framing::Framing;
use super::head::{Connection, read};

/// The longest line that says how long a chunk is, or one field of a trailer, bytes.
const MAX_LINE: usize = 1024;

/// The longest trailer, lines.
const MAX_TRAILER: usize = 64;

/// The body of the message whose head was just read.
///
/// Read it to its end before the next head, or the rest is taken for one.
#[derive(Debug)]
pub struct Body<'a, S> {
    connection: &'a mut Connection<S>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are left of a body of known length.
    Counted(u64),
    /// So many bytes are left of this chunk.
    InChunk(u64),
    /// Before the line that opens a chunk.
    BeforeChunk,
    UntilClose,
    Done,
}

impl<'a, S: Read> Body<'a, S> {
    /// The body that follows the head which `connection` just read.
    pub fn new(connection: &'a mut Connection<S>, framing: Framing) -> Body<'a, S> {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Counted(length),
            Framing::Chunked => State::BeforeChunk,
            Framing::UntilClose => State::UntilClose,
        };
        Body { connection, state }
    }

    /// Whether all of it was read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads at most `limit` bytes, first of those that were read ahead.
    fn take(&mut self, out: &mut [u8], limit: u64) -> io::Result<usize> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(out.len());
        let ahead = self.connection.ahead();
        if ahead.is_empty() {
            return read(&mut self.connection.stream, &mut out[..limit]);
        }
        let count = limit.min(ahead.len());
        out[..count].copy_from_slice(&ahead[..count]);
        self.connection.consume(count);
        Ok(count)
    }

    /// Opens the next chunk; the last one is followed by a trailer, which is skipped.
    fn open_chunk(&mut self) -> io::Result<()> {
        let line = self.line()?;
        let size = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size).unwrap_or_default().trim();
        let is_hex = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16).ok().filter(|_| is_hex);
        match size {
            None => Err(invalid("a chunk without a length")),
            Some(0) => self.skip_trailer(),
            Some(size) => {
                self.state = State::InChunk(size);
                Ok(())
            }
        }
    }

    fn skip_trailer(&mut self) -> io::Result<()> {
        for _ in 0..MAX_TRAILER {
            if self.line()?.is_empty() {
                self.state = State::Done;
                return Ok(());
            }
        }
        Err(invalid("a trailer without end"))
    }

    /// One line, without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let ahead = self.connection.ahead();
            if let Some(end) = ahead.iter().take(MAX_LINE).position(|&byte| byte == b'\n') {
                let line = ahead[..end].strip_suffix(b"\r").unwrap_or(&ahead[..end]).to_vec();
                self.connection.consume(end + 1);
                return Ok(line);
            }
            if ahead.len() >= MAX_LINE {
                return Err(invalid("a line without end"));
            }
            if self.connection.fill()? == 0 {
                return Err(truncated());
            }
        }
    }

    fn read_counted(&mut self, out: &mut [u8], left: u64) -> io::Result<u64> {
        let count = self.take(out, left)? as u64;
        if count == 0 { Err(truncated()) } else { Ok(count) }
    }
}

impl<S: Read> Read for Body<'_, S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.state == State::BeforeChunk {
            self.open_chunk()?;
        }
        match self.state {
            State::Done | State::BeforeChunk => Ok(0),
            State::UntilClose => {
                let count = self.take(out, u64::MAX)?;
                if count == 0 {
                    self.state = State::Done;
                }
                Ok(count)
            }
            State::Counted(left) => {
                let count = self.read_counted(out, left)?;
                let left = left - count;
                self.state = if left == 0 { State::Done } else { State::Counted(left) };
                Ok(count as usize)
            }
            State::InChunk(left) => {
                let count = self.read_counted(out, left)?;
                self.state = State::InChunk(left - count);
                if left == count {
                    if !self.line()?.is_empty() {
                        return Err(invalid("a chunk longer than its length"));
                    }
                    self.state = State::BeforeChunk;
                }
                Ok(count as usize)
            }
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn truncated() -> io::Error {
    let what = "the connection was closed before the end of the body";
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(framing: Framing, bytes: &[u8]) -> io::Result<(String, bool)> {
        let mut connection = Connection::new(bytes);
        let mut text = String::new();
        let mut body = Body::new(&mut connection, framing);
        body.read_to_string(&mut text)?;
        Ok((text, body.is_done()))
    }

    #[test]
    fn a_counted_body_ends_at_its_length() {
        let mut connection = Connection::new(&b"helloGET / HTTP/1.1\r\n\r\n"[..]);
        let mut text = String::new();
        Body::new(&mut connection, Framing::Length(5)).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert_eq!(connection.read_request().unwrap().unwrap().target, "/");
    }

    #[test]
    fn chunks_are_joined_and_the_trailer_is_skipped() {
        let bytes = b"5\r\nhello\r\n00A;x=y\r\n, wide wor\r\n2\nld\n0\r\nA: b\r\n\r\nnext";
        assert_eq!(body(Framing::Chunked, bytes).unwrap(), ("hello, wide world".to_owned(), true));
    }

    #[test]
    fn a_body_may_end_with_the_connection() {
        assert_eq!(body(Framing::UntilClose, b"all").unwrap(), ("all".to_owned(), true));
    }

    #[test]
    fn a_body_cut_short_is_an_error() {
        let cut = |framing, bytes| body(framing, bytes).unwrap_err().kind();
        assert_eq!(cut(Framing::Length(6), b"hello"), io::ErrorKind::UnexpectedEof);
        assert_eq!(cut(Framing::Chunked, b"5\r\nhel"), io::ErrorKind::UnexpectedEof);
        assert_eq!(cut(Framing::Chunked, b"5\r\nhello\r\n"), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn bad_chunks_are_errors() {
        for bytes in [
            &b"x\r\n"[..],
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"\r\n",
            b"5\r\nhelloo\r\n0\r\n\r\n",
            b"10000000000000000\r\nhello",
            &[b'1'; 2 * MAX_LINE],
        ] {
            let error = body(Framing::Chunked, bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }
}
