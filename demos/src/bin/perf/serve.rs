//! The services that are measured: one thread, one poller; with several queues one of each for a
//! queue. Datagrams all come to the first.
//!
//! Everything that is ready is handled before the next wait, each thing within a bound, so that
//! no client starves another: a read or two of a connection, a batch of datagrams, a batch of a
//! flood.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use demos::outside;
use demos::program::Program;
use stack::host::UdpSocket;
use stack::host::{Events, Host, Interest, PollEvent, Poller, TcpListener, TcpStream, Token};
use stack::{Bytes, ListenOptions, Readiness, UdpOptions};

use crate::flood::Floods;
use crate::port;

/// What an echo reads at once, bytes.
const READ_SIZE: usize = 256 * 1024;

/// What a source writes at once, bytes: one burst, after which the reader has enough to do until
/// the next one. Half of it wakes the reader half as often again.
const WRITE_SIZE: usize = 256 * 1024;

/// How often one source is filled up in a row.
const WRITES: usize = 4;

/// How many datagrams are received in a row.
const BATCH: usize = 64;

/// How many events are handled between two waits.
const EVENTS: usize = 256;

/// What a UDP socket may hold, bytes: a burst of a second of a core.
const UDP_BUFFER: usize = 8 << 20;

/// The largest datagram, bytes.
const DATAGRAM: usize = 65_535;

/// Tokens below this are those of the services; connections come after.
const CONNECTIONS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Sink,
    Source,
    Echo,
}

/// One accepted connection.
struct Connection {
    stream: TcpStream,
    service: Service,
    /// What an echo has read and could not write yet.
    unsent: Vec<u8>,
}

/// What a UDP sink has counted since it was asked.
#[derive(Default)]
struct Tally {
    datagrams: u64,
    bytes: u64,
}

struct Server {
    host: Host,
    poller: Poller,
    listeners: [(TcpListener, Service); 3],
    udp_sink: UdpSocket,
    udp_echo: UdpSocket,
    udp_source: UdpSocket,
    tally: Tally,
    floods: Floods,
    /// By token, and the free places among them.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
    /// A batch of datagrams, their lengths, and where they are from.
    datagrams: Vec<Vec<u8>>,
    found: Vec<(usize, SocketAddr)>,
    content: Bytes,
    /// What the program does with each request.
    work: Duration,
}

const UDP_SINK: usize = 3;
const UDP_ECHO: usize = 4;
const UDP_SOURCE: usize = 5;

/// Serves until the host is shut down.
pub(crate) fn serve(program: &Program, work: Duration) -> Result<()> {
    let mut server = Server::new(program.host(), work)?;
    for host in program.shards().hosts().iter().skip(1) {
        let mut server = Server::new(host, work)?;
        let work = move || {
            let ended = server.run();
            log::debug!("a shard's services ended: {ended:?}");
        };
        outside::spawn("serve", work).context("no thread for a shard")?;
    }
    program.ready()?;
    server.run()
}

/// Prints `NAME VALUE` of every counter that is not zero, once the program is told to end.
pub(crate) fn tell_counters_at_the_end(program: &Program) {
    let shards = program.shards().clone();
    program.on_stop(move || {
        let counters = shards.counters();
        let mut out = io::stdout().lock();
        for (name, value) in counters.iter().filter(|&(_, value)| value != 0) {
            // Nobody may be listening any more, and that is no reason to end otherwise.
            let _ = writeln!(out, "{name} {value}");
        }
        let _ = out.flush();
        None
    });
}

impl Server {
    fn new(host: &Host, work: Duration) -> Result<Server> {
        let poller = Poller::new(host);
        let listeners = [
            (listen(host, port::SINK)?, Service::Sink),
            (listen(host, port::SOURCE)?, Service::Source),
            (listen(host, port::ECHO)?, Service::Echo),
        ];
        for (index, (listener, _)) in listeners.iter().enumerate() {
            poller.register(listener, Token(index), Interest::READABLE)?;
        }
        let server = Server {
            listeners,
            udp_sink: bind(host, port::UDP_SINK)?,
            udp_echo: bind(host, port::UDP_ECHO)?,
            udp_source: bind(host, port::UDP_SOURCE)?,
            tally: Tally::default(),
            floods: Floods::new(),
            connections: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; READ_SIZE],
            datagrams: vec![vec![0; DATAGRAM]; BATCH],
            found: Vec::with_capacity(BATCH),
            content: vec![0x5a; WRITE_SIZE].into(),
            work,
            poller,
            host: host.clone(),
        };
        server.poller.register(&server.udp_sink, Token(UDP_SINK), Interest::READABLE)?;
        server.poller.register(&server.udp_echo, Token(UDP_ECHO), Interest::READABLE)?;
        server.poller.register(&server.udp_source, Token(UDP_SOURCE), Interest::READABLE)?;
        Ok(server)
    }

    /// The answers leave together, just before the next frames are read.
    fn run(&mut self) -> Result<()> {
        self.host.clone().together(|| self.serve())
    }

    fn serve(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            // A flood goes on as fast as the rest allows.
            let timeout = if self.floods.is_empty() { None } else { Some(Duration::ZERO) };
            self.poller.wait(&mut events, timeout).context("wait")?;
            events.iter().for_each(|event| self.handle(event));
            self.floods.batch(&self.udp_source);
        }
    }

    fn handle(&mut self, event: &PollEvent) {
        match event.token.0 {
            UDP_SINK => self.count(),
            UDP_ECHO => self.reply(),
            UDP_SOURCE => self.order(),
            index if index < self.listeners.len() => self.accept(index),
            token => self.converse(token, event.readiness),
        }
    }

    /// One at a time: if there are more, the next wait says so.
    fn accept(&mut self, index: usize) {
        let (listener, service) = &self.listeners[index];
        let service = *service;
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => return log::warn!("accept: {error}"),
        };
        if let Err(error) = self.admit(stream, service) {
            log::debug!("a connection that ended at once: {error}");
        }
    }

    fn admit(&mut self, stream: TcpStream, service: Service) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let interest = match service {
            Service::Sink => Interest::READABLE,
            // It reads all there is.
            Service::Echo => Interest::READABLE.edge(),
            Service::Source => Interest::WRITABLE,
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let registered = self.poller.register(&stream, Token(CONNECTIONS + place), interest);
        if registered.is_ok() {
            self.connections[place] = Some(Connection { stream, service, unsent: Vec::new() });
            // The first text has often come with the end of the handshake.
            self.converse(CONNECTIONS + place, Readiness::default());
        } else {
            self.free.push(place);
        }
        registered
    }

    /// Does what is possible on a connection; one that has ended is closed.
    fn converse(&mut self, token: usize, readiness: Readiness) {
        let place = token - CONNECTIONS;
        // An event may be that of a connection which an earlier one has closed.
        let Some(connection) = self.connections.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let result = match connection.service {
            Service::Sink => connection.sink(),
            Service::Source => connection.source(&self.content),
            Service::Echo => {
                let ends = readiness.contains(Readiness::READ_CLOSED);
                connection.echo(&mut self.buffer, &self.poller, token, ends, self.work)
            }
        };
        match result {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => log::debug!("a connection ended: {error}"),
        }
        self.connections[place] = None;
        self.free.push(place);
    }

    /// The UDP sink.
    fn count(&mut self) {
        if self.udp_sink.recv_many_from(&mut self.datagrams, &mut self.found).is_err() {
            return;
        }
        for (&(length, peer), text) in self.found.iter().zip(&self.datagrams) {
            if &text[..length] != b"STAT" {
                self.tally.datagrams += 1;
                self.tally.bytes += length as u64;
                continue;
            }
            let tally = std::mem::take(&mut self.tally);
            let mut answer = [0; 16];
            answer[..8].copy_from_slice(&tally.datagrams.to_be_bytes());
            answer[8..].copy_from_slice(&tally.bytes.to_be_bytes());
            say(self.udp_sink.send_to(&answer, peer), peer);
        }
    }

    /// The UDP echo.
    fn reply(&mut self) {
        for _ in 0..BATCH {
            let Ok((length, peer)) = self.udp_echo.recv_from(&mut self.buffer[..DATAGRAM]) else {
                return;
            };
            say(self.udp_echo.send_to(&self.buffer[..length], peer), peer);
        }
    }

    /// Orders to the UDP source.
    fn order(&mut self) {
        for _ in 0..BATCH {
            let Ok((length, peer)) = self.udp_source.recv_from(&mut self.buffer[..DATAGRAM]) else {
                return;
            };
            self.floods.order(&self.buffer[..length], peer);
        }
    }
}

impl Connection {
    /// Discards what has come, where it lies. False at the peer's end.
    fn sink(&self) -> io::Result<bool> {
        Ok(self.stream.recv_with(|[first, second]| first.len() + second.len())? > 0)
    }

    /// Writes without end.
    fn source(&mut self, content: &Bytes) -> io::Result<bool> {
        for _ in 0..WRITES {
            let mut text = content.clone();
            self.stream.send_shared_more(&mut text)?;
            if !text.is_empty() {
                break;
            }
        }
        Ok(true)
    }

    /// Writes back what it reads, until nothing more is there, or the end if that has come. While
    /// the peer does not take its own words back, nothing more is read of it. False at the end.
    fn echo(
        &mut self,
        buffer: &mut [u8],
        poller: &Poller,
        token: usize,
        ends: bool,
        work: Duration,
    ) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            let count = self.stream.write(&self.unsent)?;
            self.unsent.drain(..count);
            if self.unsent.is_empty() {
                poller.reregister(&self.stream, Token(token), Interest::READABLE.edge())?;
            }
            return Ok(true);
        }
        loop {
            let count = self.stream.read(buffer)?;
            if count == 0 {
                return Ok(false);
            }
            outside::work_for(work);
            let sent = match self.stream.write(&buffer[..count]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                result => result?,
            };
            if sent < count {
                self.unsent.extend_from_slice(&buffer[sent..count]);
                poller.reregister(&self.stream, Token(token), Interest::WRITABLE)?;
                return Ok(true);
            }
            if count < buffer.len() && !ends {
                return Ok(true);
            }
        }
    }
}

fn listen(host: &Host, port: u16) -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let mut options = ListenOptions { backlog: 4096, ..ListenOptions::default() };
    options.tcp.nodelay = true;
    let listener = TcpListener::bind_with(host, address, options)
        .with_context(|| format!("port {port}: cannot listen"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind(host: &Host, port: u16) -> Result<UdpSocket> {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let socket = UdpSocket::bind(host, address)
        .with_context(|| format!("UDP port {port}: cannot be used"))?;
    socket.set_nonblocking(true)?;
    let options = UdpOptions { receive_buffer: UDP_BUFFER, ..socket.options()? };
    socket.set_options(options)?;
    Ok(socket)
}

fn say(sent: io::Result<usize>, peer: SocketAddr) {
    if let Err(error) = sent {
        log::debug!("{peer}: not answered: {error}");
    }
}
