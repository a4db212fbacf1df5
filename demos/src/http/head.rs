//! Heads: what stands before a body, read within a limit.

use std::fmt;
use std::io::{self, Read};

use super::framing::Framing;

/// The longest head that is read, bytes.
pub const MAX_HEAD: usize = 16 * 1024;

/// The most fields that a head may have.
const MAX_FIELDS: usize = 64;

/// How much is asked of the stream at once, bytes.
const READ_SIZE: usize = 64 * 1024;

/// The receiving half of an HTTP connection: a stream and what was read ahead of it.
#[derive(Debug)]
pub struct Connection<S> {
    pub(super) stream: S,
    buffer: Vec<u8>,
    /// Where the unread part of `buffer` begins.
    start: usize,
}

/// The fields of a head, in order.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(String, Vec<u8>)>);

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `HEAD`, ...: case matters.
    pub method: String,
    /// What is asked for, as it stood in the request line.
    pub target: String,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// The fields.
    pub headers: Headers,
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct Response {
    /// 200, 404, ...
    pub status: u16,
    /// The words after the status.
    pub reason: String,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// The fields.
    pub headers: Headers,
}

/// Why there is no head.
#[derive(Debug)]
pub enum HeadError {
    /// The stream failed, or its time-out passed.
    Io(io::Error),
    /// The peer closed in the middle of a head.
    Truncated,
    /// It has more than [`MAX_HEAD`] bytes or more fields than are taken.
    TooLarge,
    /// It is not HTTP.
    Malformed(String),
}

impl<S: Read> Connection<S> {
    /// A connection of which nothing was read yet.
    pub fn new(stream: S) -> Connection<S> {
        Connection { stream, buffer: Vec::new(), start: 0 }
    }

    /// The stream underneath.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream underneath.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads the head of a request; `None` when the peer closed instead of sending one.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn read_request(&mut self) -> Result<Option<Request>, HeadError> {
        let Some(length) = self.fill_head()? else { return Ok(None) };
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        let bytes = &self.buffer[self.start..self.start + length];
        complete(parsed.parse(bytes))?;
        let request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            minor_version: parsed.version.unwrap_or_default(),
            headers: Headers::copy(parsed.headers),
        };
        self.start += length;
        Ok(Some(request))
    }

    /// Reads the head of a response; `None` when the peer closed instead of sending one.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn read_response(&mut self) -> Result<Option<Response>, HeadError> {
        let Some(length) = self.fill_head()? else { return Ok(None) };
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        let bytes = &self.buffer[self.start..self.start + length];
        complete(parsed.parse(bytes))?;
        let response = Response {
            status: parsed.code.unwrap_or_default(),
            reason: parsed.reason.unwrap_or_default().to_owned(),
            minor_version: parsed.version.unwrap_or_default(),
            headers: Headers::copy(parsed.headers),
        };
        self.start += length;
        Ok(Some(response))
    }

    /// Reads on until a whole head is buffered, and returns its length. Only what is new is
    /// searched, so that a head which arrives byte by byte costs no more than another.
    fn fill_head(&mut self) -> Result<Option<usize>, HeadError> {
        let mut searched = 0;
        loop {
            let ahead = &self.buffer[self.start..];
            if let Some(end) = end_of_head(ahead, searched) {
                return if end > MAX_HEAD { Err(HeadError::TooLarge) } else { Ok(Some(end)) };
            }
            if ahead.len() > MAX_HEAD {
                return Err(HeadError::TooLarge);
            }
            // The end may begin with the last three bytes: "\n\r\n".
            searched = ahead.len().saturating_sub(3);
            let is_empty = ahead.is_empty();
            if self.fill().map_err(HeadError::Io)? == 0 {
                return if is_empty { Ok(None) } else { Err(HeadError::Truncated) };
            }
        }
    }

    /// Reads once into the buffer.
    pub(super) fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + READ_SIZE, 0);
        let result = read(&mut self.stream, &mut self.buffer[length..]);
        self.buffer.truncate(length + *result.as_ref().unwrap_or(&0));
        result
    }

    /// What was read ahead.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Marks the first `count` bytes of what was read ahead as used.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.buffer.len());
    }
}

impl Headers {
    fn copy(fields: &[httparse::Header<'_>]) -> Headers {
        Headers(fields.iter().map(|f| (f.name.to_owned(), f.value.to_owned())).collect())
    }

    /// The values of every field of that name, in any case, save those that are no text.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all_bytes(name).filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The values of every field of that name, in any case.
    pub(super) fn all_bytes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let same = move |field: &&(String, Vec<u8>)| field.0.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, value)| value.as_slice())
    }

    /// The value of the first field of that name.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Whether a list-valued field holds `token`, in any case (RFC 9110 §5.6.1).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// Every field as it would stand on a line; bytes that are not text are replaced.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
    }
}

impl Request {
    /// Whether the client wants to ask again on this connection (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        keep_alive(self.minor_version, &self.headers)
    }

    /// How the request's body is delimited.
    ///
    /// # Errors
    /// Why it cannot be told: such a request must be refused, or the next one is read from the
    /// wrong place.
    pub fn framing(&self) -> Result<Framing, String> {
        Framing::of_request(&self.headers)
    }
}

impl Response {
    /// Whether the server will answer again on this connection (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        keep_alive(self.minor_version, &self.headers)
    }

    /// How the response's body is delimited.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn framing(&self, method: &str) -> Result<Framing, String> {
        Framing::of_response(method, self.status, &self.headers)
    }
}

fn keep_alive(minor_version: u8, headers: &Headers) -> bool {
    if headers.has_token("connection", "close") {
        return false;
    }
    minor_version >= 1 || headers.has_token("connection", "keep-alive")
}

/// Where a head ends: after its first empty line. A bare line feed counts (RFC 9112 §2.2).
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).filter(|&at| bytes[at] == b'\n').find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn complete(result: httparse::Result<usize>) -> Result<(), HeadError> {
    match result {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        // An empty line before the request line ends the head too early.
        Ok(httparse::Status::Partial) => Err(HeadError::Malformed("it begins badly".into())),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooLarge),
        Err(error) => Err(HeadError::Malformed(error.to_string())),
    }
}

/// Reads once, whatever signals arrive.
pub(super) fn read(stream: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(out) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::Io(error) => error.fmt(f),
            HeadError::Truncated => write!(f, "the connection was closed in the middle of a head"),
            HeadError::TooLarge => {
                write!(f, "the head has more than {MAX_HEAD} bytes or {MAX_FIELDS} fields")
            }
            HeadError::Malformed(reason) => write!(f, "not HTTP: {reason}"),
        }
    }
}

impl std::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(out.len()).min(1);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn request(bytes: &[u8]) -> Result<Option<Request>, HeadError> {
        Connection::new(bytes).read_request()
    }

    #[test]
    fn a_head_may_arrive_byte_by_byte() {
        let bytes = b"GET /a%20b HTTP/1.1\r\nHost: x\r\nRANGE: bytes=1-\r\n\r\n";
        let mut connection = Connection::new(Dribble(bytes));
        let request = connection.read_request().unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a%20b"));
        assert_eq!(request.headers.get("range"), Some("bytes=1-"));
        assert!(request.keep_alive());
        assert!(connection.read_request().unwrap().is_none());
    }

    #[test]
    fn two_requests_may_arrive_at_once() {
        let bytes = b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.0\n\n";
        let mut connection = Connection::new(&bytes[..]);
        assert_eq!(connection.read_request().unwrap().unwrap().target, "/1");
        let second = connection.read_request().unwrap().unwrap();
        assert_eq!(second.target, "/2");
        assert!(!second.keep_alive());
    }

    #[test]
    fn what_is_no_head_is_refused_by_its_kind() {
        assert!(request(b"").unwrap().is_none());
        assert!(matches!(request(b"GET / HT"), Err(HeadError::Truncated)));
        assert!(matches!(request(b"\x16\x03\x01\x02\n\n"), Err(HeadError::Malformed(_))));
        let mut long = b"GET / HTTP/1.1\r\nA: ".to_vec();
        long.resize(MAX_HEAD + 1, b'a');
        long.extend_from_slice(b"\r\n\r\n");
        assert!(matches!(request(&long), Err(HeadError::TooLarge)));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_FIELDS + 1));
        assert!(matches!(request(many.as_bytes()), Err(HeadError::TooLarge)));
    }

    #[test]
    fn endless_garbage_is_refused_at_the_limit() {
        let mut connection = Connection::new(io::repeat(b'a'));
        assert!(matches!(connection.read_request(), Err(HeadError::TooLarge)));
        assert!(connection.buffer.len() <= MAX_HEAD + READ_SIZE);
    }

    #[test]
    fn tokens_are_found_in_lists() {
        let request = request(b"GET / HTTP/1.1\r\nConnection: a, Close\r\n\r\n").unwrap().unwrap();
        assert!(!request.keep_alive());
    }
}
