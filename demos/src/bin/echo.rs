//! echo: says everything back, over TCP and UDP (RFC 862).
//!
//! All connections on one thread: the shape of a program for epoll.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use clap::Parser;
use demos::config;
use demos::human;
use demos::options::{CommonOptions, parse_port};
use demos::program::{Program, Role};
use stack::host::{Events, Interest, PollEvent, Poller, TcpListener, TcpStream, Token, UdpSocket};

const LISTENER: usize = 0;
const DATAGRAMS: usize = 1;
const FIRST_CONNECTION: usize = 2;

/// How much is read of one connection before the others' turn, bytes: also the most that is kept
/// of a client which does not take its words back.
const PORTION: usize = 64 * 1024;

/// How many datagrams are echoed before the others' turn.
const BATCH: usize = 64;

/// Says everything back, over TCP and UDP.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// The port, of both protocols.
    #[arg(short, long, default_value_t = 7, value_parser = parse_port)]
    port: u16,

    /// The most TCP clients at a time; one more waits in the listener's queue.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    max_clients: usize,

    #[command(flatten)]
    common: CommonOptions,
}

/// What was echoed.
#[derive(Debug, Default)]
struct Totals {
    connections: AtomicU64,
    datagrams: AtomicU64,
    bytes: AtomicU64,
}

struct Server {
    poller: Poller,
    listener: TcpListener,
    datagrams: UdpSocket,
    clients: BTreeMap<usize, Client>,
    max_clients: usize,
    next_token: usize,
    totals: Arc<Totals>,
    buffer: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    peer: SocketAddr,
    /// What was read and not written yet.
    unsent: Vec<u8>,
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    Program::run("echo", Role::Server, &options.common, |program| {
        let mut server = Server::new(program, &options)?;
        let totals = Arc::clone(&server.totals);
        program.on_stop(move || {
            eprintln!("echo: {}", totals.summary());
            None
        });
        program.ready()?;
        let mut events = Events::with_capacity(256);
        loop {
            server.poller.wait(&mut events, None).context("wait")?;
            let host = program.host();
            host.together(|| events.iter().try_for_each(|event| server.handle(event)))?;
        }
    })
}

impl Server {
    fn new(program: &Program, options: &Options) -> Result<Server> {
        let local = SocketAddr::from((Ipv6Addr::UNSPECIFIED, options.port));
        let host = program.host();
        let listener = TcpListener::bind(host, local)
            .with_context(|| format!("TCP port {}: cannot listen", options.port))?;
        let datagrams = UdpSocket::bind(host, local)
            .with_context(|| format!("UDP port {}: cannot be used", options.port))?;
        listener.set_nonblocking(true)?;
        datagrams.set_nonblocking(true)?;
        let poller = Poller::new(host);
        poller.register(&listener, Token(LISTENER), Interest::READABLE)?;
        poller.register(&datagrams, Token(DATAGRAMS), Interest::READABLE)?;
        Ok(Server {
            poller,
            listener,
            datagrams,
            clients: BTreeMap::new(),
            max_clients: options.max_clients.max(1),
            next_token: FIRST_CONNECTION,
            totals: Arc::default(),
            buffer: vec![0; PORTION],
        })
    }

    fn handle(&mut self, event: &PollEvent) -> Result<()> {
        match event.token.0 {
            LISTENER => self.accept(),
            DATAGRAMS => {
                self.echo_datagrams();
                Ok(())
            }
            token => self.echo(token),
        }
    }

    fn accept(&mut self) -> Result<()> {
        while self.clients.len() < self.max_clients {
            let (stream, peer) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("accept"),
            };
            stream.set_nonblocking(true)?;
            // A reset may have come already: then the first read says so.
            let _ = stream.set_nodelay(true);
            let token = self.next_token;
            self.next_token += 1;
            self.poller.register(&stream, Token(token), Interest::READABLE)?;
            self.clients.insert(token, Client { stream, peer, unsent: Vec::new() });
            self.totals.connections.fetch_add(1, Ordering::Relaxed);
            log::debug!("{peer}: connected");
        }
        // Full: the listener would be ready all the time.
        self.poller.deregister(&self.listener).context("the listener")
    }

    fn echo(&mut self, token: usize) -> Result<()> {
        let Some(client) = self.clients.get_mut(&token) else { return Ok(()) };
        match client.echo(&mut self.buffer, &self.poller, Token(token)) {
            Ok(Some(count)) => {
                self.totals.bytes.fetch_add(count as u64, Ordering::Relaxed);
                return Ok(());
            }
            Ok(None) => log::debug!("{}: done", client.peer),
            Err(error) => log::info!("{}: {error}", client.peer),
        }
        self.clients.remove(&token);
        if self.clients.len() + 1 == self.max_clients {
            self.poller.register(&self.listener, Token(LISTENER), Interest::READABLE)?;
        }
        Ok(())
    }

    fn echo_datagrams(&mut self) {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        for _ in 0..BATCH {
            let (count, peer) = match self.datagrams.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return log::info!("UDP: {error}"),
            };
            match self.datagrams.send_to(&buffer[..count], peer) {
                Ok(_) => {
                    self.totals.datagrams.fetch_add(1, Ordering::Relaxed);
                    self.totals.bytes.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(error) => log::info!("{peer}: not answered: {error}"),
            }
        }
    }
}

impl Client {
    /// Echoes what is there, and returns how much; `None` at the end.
    fn echo(
        &mut self,
        buffer: &mut [u8],
        poller: &Poller,
        token: Token,
    ) -> io::Result<Option<usize>> {
        if self.unsent.is_empty() {
            let count = match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(0)),
                result => result?,
            };
            if count == 0 {
                return Ok(None);
            }
            let sent = some(self.stream.write(&buffer[..count]))?;
            if sent < count {
                self.unsent.extend_from_slice(&buffer[sent..count]);
                // Nothing more is read until the client has taken this.
                poller.reregister(&self.stream, token, Interest::WRITABLE)?;
            }
            return Ok(Some(sent));
        }
        let sent = some(self.stream.write(&self.unsent))?;
        self.unsent.drain(..sent);
        if self.unsent.is_empty() {
            poller.reregister(&self.stream, token, Interest::READABLE)?;
        }
        Ok(Some(sent))
    }
}

/// A write that would block has written nothing.
fn some(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

impl Totals {
    fn summary(&self) -> String {
        let load = |total: &AtomicU64| total.load(Ordering::Relaxed);
        format!(
            "{} over {} and {}",
            human::bytes(load(&self.bytes)),
            human::count(load(&self.connections), "connection"),
            human::count(load(&self.datagrams), "datagram")
        )
    }
}
