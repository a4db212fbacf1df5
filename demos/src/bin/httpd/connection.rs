//! One client: its requests, one after the other, until it or its time is up.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use demos::clients;
use demos::http::{Connection, Framing, HeadError, Request};
use demos::patient::{Patient, is_timeout};
use demos::tls::Stream;
use rustls::ServerConnection;
use stack::host::TcpStream;

use crate::Site;
use crate::reply::Reply;
use crate::upload;

/// How long a client may be silent, or take to send one head.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most requests on one connection.
const MAX_REQUESTS: usize = 100_000;

/// A client, encrypted or not.
type Client = Connection<Stream<Patient>>;

/// What became of a request.
enum Next {
    /// The client may ask again.
    Stay,
    /// That was the last reply.
    Close,
    /// The client has gone, and the log says how.
    Gone,
}

/// Serves one client.
pub(crate) fn serve(site: &Site, stream: TcpStream, peer: SocketAddr) {
    clients::log_end(peer, talk(site, stream, peer));
}

fn talk(site: &Site, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    let patient = Patient::new(stream, PATIENCE)?;
    let session = site.tls.clone().map(ServerConnection::new).transpose();
    let session = session.map_err(io::Error::other)?.map(Into::into);
    let mut connection = Connection::new(Stream::new(patient, session));
    for _ in 0..MAX_REQUESTS {
        connection.stream_mut().transport_mut().begin();
        let request = match connection.read_request() {
            Ok(Some(request)) => request,
            Ok(None) => return connection.stream_mut().close_notify(),
            Err(error) => return refuse(&mut connection, error),
        };
        connection.stream_mut().transport_mut().end();
        match answer(site, &mut connection, &request, peer)? {
            Next::Stay => {}
            Next::Close => break,
            Next::Gone => return Ok(()),
        }
    }
    leave(&mut connection)
}

/// Answers one request.
fn answer(
    site: &Site,
    connection: &mut Client,
    request: &Request,
    peer: SocketAddr,
) -> io::Result<Next> {
    let is_head = request.method == "HEAD";
    let is_put = matches!(request.method.as_str(), "PUT" | "POST");
    let mut keep_alive = request.keep_alive();
    let reply = match (request.framing(), request.method.as_str()) {
        // RFC 9112 §6.3: nobody knows where the next request begins.
        (Err(why), _) => Reply::error(400, &format!("The body cannot be read: {why}.")),
        (Ok(framing), _) if is_put && upload::is_sink(&request.target) => {
            receive(site, connection, request, framing)?
        }
        (Ok(framing), method) => {
            // A body that nobody reads would be taken for the next request.
            keep_alive &= framing == Framing::Length(0);
            match method {
                "GET" | "HEAD" => site.get(request),
                _ => Reply::error(405, "Only GET and HEAD; PUT and POST to /upload.")
                    .with("Allow", "GET, HEAD"),
            }
        }
    };
    keep_alive &= !matches!(reply.status, 400 | 408 | 417);
    let (status, length) = (reply.status, reply.length());
    site.served.requests.add(1);
    let sent = reply.write(connection.stream_mut(), is_head, keep_alive);
    let (method, target) = (&request.method, &request.target);
    match sent {
        Ok(sent) => {
            site.served.bytes_out.add(sent);
            log::info!("{peer} {method} {target} {status} {length}");
            Ok(if keep_alive { Next::Stay } else { Next::Close })
        }
        Err(error) => {
            log::info!("{peer} {method} {target} {status} {length}: {error}");
            Ok(Next::Gone)
        }
    }
}

fn receive(
    site: &Site,
    connection: &mut Client,
    request: &Request,
    framing: Framing,
) -> io::Result<Reply> {
    match request.headers.get("expect") {
        None => {}
        Some(what) if what.eq_ignore_ascii_case("100-continue") => {
            connection.stream_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        Some(_) => return Ok(Reply::error(417, "Only 100-continue can be expected.")),
    }
    match upload::receive(connection, request, framing) {
        Ok((count, reply)) => {
            site.served.bytes_in.add(count);
            Ok(reply)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Ok(Reply::error(400, &format!("The body cannot be read: {error}.")))
        }
        Err(error) => Err(error),
    }
}

/// Says why a head was not understood, where there is somebody to hear it.
fn refuse(connection: &mut Client, error: HeadError) -> io::Result<()> {
    let reply = match error {
        HeadError::Io(error) if is_timeout(&error) => {
            Reply::error(408, "No whole request came in time.")
        }
        HeadError::Io(error) => return Err(error),
        HeadError::TooLarge => Reply::error(431, "The head is too large."),
        HeadError::Truncated => return Ok(()),
        HeadError::Malformed(why) => Reply::error(400, &format!("Not HTTP: {why}.")),
    };
    reply.write(connection.stream_mut(), false, false)?;
    leave(connection)
}

/// Says that there is no more to come, encrypted too, and goes.
fn leave(connection: &mut Client) -> io::Result<()> {
    connection.stream_mut().close_notify()?;
    connection.stream_mut().transport_mut().leave()
}

/// Turns a client away because there are too many.
pub(crate) fn turn_away(site: &Site, mut stream: TcpStream) {
    let reply = Reply::error(503, "Too many connections: try again later.");
    // Never wait for a client that there is no place for, not for its side of a handshake either.
    if site.tls.is_none() && stream.set_nonblocking(true).is_ok() {
        let _ = reply.write(&mut stream, false, false);
    }
}
