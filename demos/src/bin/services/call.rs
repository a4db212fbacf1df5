//! A call of another service: HTTP with a deadline, and tried again while there is time.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use demos::http::{Body, Connection, HeadError};
use demos::human;
use demos::outside::{self, Stopwatch};
use demos::patient::Patient;
use stack::host::{Host, TcpStream};

/// How long to wait before trying again: who has just stopped may be starting.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest answer, bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// With all its tries.
    pub(crate) deadline: Duration,
    pub(crate) tries: u32,
}

/// Why there is no answer, by the last try.
#[derive(Debug)]
pub(crate) struct Failure {
    tries: u32,
    error: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = human::count(self.tries.into(), "attempt");
        match self.error.kind() {
            io::ErrorKind::ConnectionRefused => write!(f, "refused ({tries})"),
            io::ErrorKind::TimedOut
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::HostUnreachable => {
                write!(f, "no answer ({tries})")
            }
            _ => write!(f, "{} ({tries})", self.error),
        }
    }
}

/// The body of the answer to `GET path`.
pub(crate) fn get(
    host: &Host,
    service: SocketAddr,
    path: &str,
    patience: Patience,
) -> Result<String, Failure> {
    let since = Stopwatch::start();
    let mut tries = 0;
    loop {
        tries += 1;
        let left = since.left_of(patience.deadline);
        let tries_left = patience.tries.saturating_sub(tries);
        // What is lost is tried again sooner than TCP would.
        let result = attempt(host, service, path, left / (tries_left + 1));
        match result {
            Err(_) if tries_left > 0 && since.left_of(patience.deadline) > PAUSE => {
                outside::sleep(PAUSE);
            }
            result => return result.map_err(|error| Failure { tries, error }),
        }
    }
}

fn attempt(host: &Host, service: SocketAddr, path: &str, limit: Duration) -> io::Result<String> {
    let since = Stopwatch::start();
    let stream = TcpStream::connect_timeout(host, &service, limit)?;
    // Reads end all together when the time is up.
    let left = since.left_of(limit).max(Duration::from_millis(1));
    let mut stream = Patient::new(stream, left)?;
    stream.begin();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", service.ip());
    stream.write_all(request.as_bytes())?;
    let mut connection = Connection::new(stream);
    let response = connection.read_response().map_err(|error| match error {
        HeadError::Io(error) => error,
        error => io::Error::other(error.to_string()),
    })?;
    let response = response.ok_or(io::ErrorKind::UnexpectedEof)?;
    if response.status != 200 {
        return Err(io::Error::other(format!("status {}", response.status)));
    }
    let framing = response.framing("GET").map_err(io::Error::other)?;
    let mut body = String::new();
    Body::new(&mut connection, framing).take(LONGEST_ANSWER).read_to_string(&mut body)?;
    Ok(body)
}
