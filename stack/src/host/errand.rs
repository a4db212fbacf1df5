//! A question on its way: one look-up, and the socket of its present attempt.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::block::Patience;
use super::errno::Errno;
use super::interest::{Interest, Token};
use super::poller::Poller;
use super::runtime::Host;
use super::tcp::TcpStream;
use super::udp::UdpSocket;
use crate::net::dns::cache::Known;
use crate::net::dns::lookup::{Lookup, Shared, Step, Via};
use crate::{ConnectOptions, Instant, UdpOptions};

/// Room for an answer over UDP, bytes: without EDNS none has more than 512.
const DATAGRAM: usize = 1024;

/// Datagrams read before others have their turn.
const DATAGRAMS_AT_ONCE: usize = 64;

/// A look-up under way.
pub(super) struct Errand {
    lookup: Lookup,
    wire: Wire,
}

/// How its question travels.
enum Wire {
    Idle,
    Udp(SocketAddr, UdpSocket),
    Tcp(SocketAddr, Exchange),
}

/// A question and its answer over TCP, each behind its length (RFC 1035 §4.2.2).
struct Exchange {
    stream: TcpStream,
    is_connected: bool,
    out: Vec<u8>,
    sent: usize,
    inbox: Vec<u8>,
}

/// What an errand waits for.
pub(super) enum Progress {
    Until(Instant),
    Done(Known),
}

impl Errand {
    pub(super) fn new(lookup: Lookup) -> Errand {
        Errand { lookup, wire: Wire::Idle }
    }

    /// Goes on as far as it goes without waiting. Sockets tell `poller`, as `token`.
    pub(super) fn drive(
        &mut self,
        host: &Host,
        poller: &Poller,
        token: Token,
        now: Instant,
        shared: &mut Shared,
    ) -> Progress {
        self.take_in(now, shared);
        loop {
            match self.lookup.step(now, shared) {
                Step::Wait(until) => return Progress::Until(until),
                Step::Done(known) => {
                    self.wire = Wire::Idle;
                    return Progress::Done(known);
                }
                Step::Ask { server, via, message } => {
                    match Wire::open(host, poller, token, server, via, message) {
                        Ok(wire) => self.wire = wire,
                        Err(error) => {
                            log::debug!("asking {server}: {error}");
                            self.lookup.on_failure(shared);
                        }
                    }
                }
            }
        }
    }

    /// Takes what has arrived.
    fn take_in(&mut self, now: Instant, shared: &mut Shared) {
        let failed = match &mut self.wire {
            Wire::Idle => return,
            Wire::Udp(server, socket) => {
                let mut message = [0; DATAGRAM];
                let mut read = || match socket.recv(&mut message) {
                    Ok(count) => {
                        let message = message.get(..count).unwrap_or_default();
                        self.lookup.on_message(now, *server, message, shared);
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                (0..DATAGRAMS_AT_ONCE).find_map(|_| read().err())
            }
            Wire::Tcp(server, exchange) => match exchange.go_on() {
                Ok(message) => return self.lookup.on_message(now, *server, &message, shared),
                Err(error) => Some(error),
            },
        };
        if let Some(error) = failed.filter(|error| error.kind() != io::ErrorKind::WouldBlock) {
            log::debug!("a name server: {error}");
            self.lookup.on_failure(shared);
        }
    }
}

impl Wire {
    /// Sends the question from a port of its own; a socket hears nobody but its server.
    fn open(
        host: &Host,
        poller: &Poller,
        token: Token,
        server: SocketAddr,
        via: Via,
        message: Vec<u8>,
    ) -> io::Result<Wire> {
        match via {
            Via::Udp => {
                // A server that cannot be reached makes room for the next at once.
                let options = UdpOptions { network_errors: true, ..UdpOptions::default() };
                let socket = UdpSocket::bind_with(host, any_port(server), options)?;
                socket.set_nonblocking(true)?;
                socket.connect(server)?;
                socket.send(&message)?;
                poller.register(&socket, token, Interest::READABLE)?;
                Ok(Wire::Udp(server, socket))
            }
            Via::Tcp => {
                let options = ConnectOptions::default();
                let stream = TcpStream::connect_nonblocking(host, server, options)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                poller.register(&stream, token, interest.edge())?;
                let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
                let out = [&length.to_be_bytes()[..], &message].concat();
                let inbox = Vec::new();
                let exchange = Exchange { stream, is_connected: false, out, sent: 0, inbox };
                Ok(Wire::Tcp(server, exchange))
            }
        }
    }
}

/// Any address and port for speaking to `server`.
pub(super) fn any_port(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

impl Exchange {
    /// The answer, once it is whole; `WouldBlock` before.
    fn go_on(&mut self) -> io::Result<Vec<u8>> {
        if !self.is_connected {
            self.stream.socket.finish_connect(Patience::None)?;
            self.is_connected = true;
        }
        while let rest @ [_, ..] = self.out.get(self.sent..).unwrap_or_default() {
            self.sent += self.stream.socket.send(rest, Patience::None)?;
        }
        loop {
            if let Some((length, text)) = self.inbox.split_first_chunk()
                && let Some(message) = text.get(..usize::from(u16::from_be_bytes(*length)))
            {
                return Ok(message.to_vec());
            }
            let mut text = [0; DATAGRAM];
            match self.stream.socket.recv(&mut text, Patience::None)? {
                0 => return Err(Errno::ECONNRESET.into()),
                count => self.inbox.extend(text.get(..count).unwrap_or_default()),
            }
        }
    }
}
