//! TLS between HTTP and a socket: rustls, which wants nothing of a socket but `Read` and `Write`.

mod client;
mod options;
mod server;

use std::io::{self, Read, Write};

use rustls::Connection;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

pub use client::{Trust, client, explain};
pub use options::TlsOptions;
pub use server::Identity;

/// HTTP/1.1 by the name under which TLS has it (RFC 7301).
pub const HTTP_1: &[u8] = b"http/1.1";

/// HTTP/2 (RFC 9113 §3.2).
pub const HTTP_2: &[u8] = b"h2";

/// A transport, with TLS on top of it or without.
pub struct Stream<T> {
    transport: T,
    session: Option<Connection>,
}

impl<T: Read + Write> Stream<T> {
    /// What goes over `transport`, encrypted by `session` if there is one.
    pub fn new(transport: T, session: Option<Connection>) -> Stream<T> {
        Stream { transport, session }
    }

    /// What is underneath.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// What is underneath.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Agrees on keys, which reading and writing would do otherwise.
    ///
    /// # Errors
    /// Those of the transport; [`explain`] knows those of TLS.
    pub fn handshake(&mut self) -> io::Result<()> {
        match &mut self.session {
            Some(session) if session.is_handshaking() => {
                session.complete_io(&mut self.transport).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Tells the other side that this was all (close_notify, RFC 8446 §6.1): without it, it could
    /// not tell the end from a connection that somebody cut off.
    ///
    /// # Errors
    /// Those of the transport.
    pub fn close_notify(&mut self) -> io::Result<()> {
        let Some(session) = &mut self.session else { return Ok(()) };
        session.send_close_notify();
        while session.wants_write() {
            session.write_tls(&mut self.transport)?;
        }
        Ok(())
    }

    /// What was agreed on, and the fingerprint of the other side's certificate, for a person.
    pub fn description(&self) -> Option<String> {
        let session = self.session.as_ref()?;
        let version = session.protocol_version()?;
        let suite = session.negotiated_cipher_suite()?.suite();
        let certificate = session.peer_certificates().and_then(<[_]>::first).map(fingerprint);
        let certificate = certificate.map(|it| format!("; certificate SHA-256 {it}"));
        let named = format!("{version:?} with {suite:?}{}", certificate.unwrap_or_default());
        Some(named.replace("TLSv1_", "TLS 1."))
    }
}

impl<T: Read + Write> Read for Stream<T> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let result = match &mut self.session {
            None => return self.transport.read(out),
            Some(Connection::Client(it)) => rustls::Stream::new(it, &mut self.transport).read(out),
            Some(Connection::Server(it)) => rustls::Stream::new(it, &mut self.transport).read(out),
        };
        result.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "the connection ended without TLS's close_notify: it may have been cut off",
            ),
            _ => error,
        })
    }
}

impl<T: Read + Write> Write for Stream<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.transport.write(bytes),
            Some(Connection::Client(it)) => {
                rustls::Stream::new(it, &mut self.transport).write(bytes)
            }
            Some(Connection::Server(it)) => {
                rustls::Stream::new(it, &mut self.transport).write(bytes)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.session {
            None => self.transport.flush(),
            Some(Connection::Client(it)) => rustls::Stream::new(it, &mut self.transport).flush(),
            Some(Connection::Server(it)) => rustls::Stream::new(it, &mut self.transport).flush(),
        }
    }
}

/// SHA-256 of a certificate, as browsers and `openssl x509 -fingerprint` show it.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let bytes: Vec<String> =
        Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
