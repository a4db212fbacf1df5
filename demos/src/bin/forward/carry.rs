//! Bytes between a client on the stack and a server behind the kernel's sockets, both ways at
//! once. Each half ends on its own.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream as KernelStream};
use std::thread;
use std::time::Duration;

use stack::host::TcpStream;

/// How much is carried at a time, bytes.
const PORTION: usize = 64 * 1024;

/// Carries until both halves have ended; how many bytes went there, and came back. What goes wrong
/// on either side ends both.
pub(crate) fn both_ways(client: &TcpStream, server: &KernelStream) -> io::Result<[u64; 2]> {
    // A reset may have come already: then the first read says so.
    let _ = client.set_nodelay(true);
    thread::scope(|scope| {
        let back = scope.spawn(|| {
            let back = one_way(server, client);
            end(&back, || client.shutdown(Shutdown::Write), client, server);
            back
        });
        let there = one_way(client, server);
        end(&there, || server.shutdown(Shutdown::Write), client, server);
        let back = back.join().unwrap_or_else(|_| Err(io::Error::other("its thread is gone")));
        Ok([there?, back?])
    })
}

/// One half is over: its end is passed on, or both are cut off, the client with a RST.
fn end(
    half: &io::Result<u64>,
    pass_on: impl FnOnce() -> io::Result<()>,
    client: &TcpStream,
    server: &KernelStream,
) {
    // Whoever is gone has no need to be told.
    if half.is_ok() {
        let _ = pass_on();
    } else {
        let _ = client.set_linger(Some(Duration::ZERO));
        let _ = client.shutdown(Shutdown::Read);
        let _ = server.shutdown(Shutdown::Both);
    }
}

fn one_way(mut from: impl Read, mut to: impl Write) -> io::Result<u64> {
    let (mut bytes, mut carried) = (vec![0; PORTION], 0);
    loop {
        let length = from.read(&mut bytes)?;
        if length == 0 {
            return Ok(carried);
        }
        to.write_all(&bytes[..length])?;
        carried += length as u64;
    }
}
