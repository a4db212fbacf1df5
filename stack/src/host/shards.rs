//! One host on several cores: a device with several queues, and for each a shard.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use tapdev::Device;

use super::clock::entropy;
use super::errno::Errno;
use super::listener::TcpListener;
use super::passing;
use super::runtime::{Host, HostBuilder};
use super::tcp::TcpStream;
use crate::{ConnectOptions, Counters, ListenOptions, Part, TcpInfo};

/// Accepted connections that wait for the program. Further ones wait in their listeners, up to the
/// backlog of each.
const ACCEPTED_MAX: usize = 16;
/// How often another port is tried that all shards should have.
const PORT_TRIES: usize = 8;

/// A host of several shards, each with a queue of one device, an engine, a lock and a reactor of
/// its own, so that they run on as many cores. They have their addresses in common; TCP connections
/// are spread over them, and all else (UDP, ping, names) is the [first](Shards::first)'s.
///
/// The addresses are those of the configuration: what is added later, or found out from the
/// network, is to be told to each of [`hosts`](Shards::hosts).
///
/// ```
/// use std::io::{Read, Write};
/// # use stack::host::{Host, TcpStream};
/// # use stack::{Config, ListenOptions, Mac};
/// # fn main() -> std::io::Result<()> {
/// # let (queue, other_end) = tapdev::pair(1500, 1000);
/// # let queues = vec![queue];
/// # let mut config = Config::new(Mac([2, 0, 0, 0, 0, 2]));
/// # config.addresses = vec!["192.0.2.2/24".parse().unwrap()];
/// # let mut peer = Config::new(Mac([2, 0, 0, 0, 0, 1]));
/// # peer.addresses = vec!["192.0.2.1/24".parse().unwrap()];
/// # let peer = Host::new(peer, other_end)?;
/// let host = Host::builder(config).start_shards(queues)?;
/// let listener = host.listen("192.0.2.2:7".parse().unwrap(), ListenOptions::default())?;
/// let mut far = TcpStream::connect(&peer, "192.0.2.2:7")?;
/// let (mut near, _) = listener.accept()?;
/// near.write_all(b"hello")?;
/// # let mut text = [0; 5];
/// # far.read_exact(&mut text)?;
/// # assert_eq!(&text, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Shards {
    hosts: Arc<[Host]>,
}

/// A host of one shard.
impl From<Host> for Shards {
    fn from(host: Host) -> Shards {
        Shards { hosts: Arc::new([host]) }
    }
}

impl HostBuilder {
    /// Starts a host with a shard for each of `devices`, which are the queues of one.
    ///
    /// # Errors
    /// Those of [`start`](HostBuilder::start); `InvalidInput` for none, more than 255, or
    /// several beside a further interface.
    pub fn start_shards<D: Device + 'static>(mut self, devices: Vec<D>) -> io::Result<Shards> {
        let count = u8::try_from(devices.len()).ok().and_then(NonZeroU8::new);
        let count = count.filter(|count| count.get() == 1 || self.further.is_empty());
        let count = count.ok_or(io::ErrorKind::InvalidInput)?;
        let seed = match self.seed.take() {
            Some(seed) => seed,
            None => entropy()?,
        };
        let mut hosts = Vec::new();
        let mut parts = Vec::new();
        for (part, device) in Part::all(&seed, count).zip(devices) {
            let mut builder = self.clone().seed(seed.clone());
            builder.part = (count.get() > 1).then_some(part);
            hosts.push(builder.start(device)?);
            parts.push(part);
        }
        if count.get() > 1 {
            let shards: Vec<_> =
                parts.into_iter().zip(hosts.iter().map(|host| &host.core.shard)).collect();
            passing::introduce(&shards);
        }
        Ok(Shards { hosts: hosts.into() })
    }
}

impl Shards {
    /// The shards. A listener at one of them has only the connections that fall to it, and needs
    /// one of the same address at each other; a datagram comes to the first only. Over IPv4 each of
    /// them connects to everybody, by a port that falls to it; over IPv6 the addresses decide
    /// alone, and at all shards but one a connection to there fails with `AddrNotAvailable`, as it
    /// does over IPv4 with a local port of the caller's choice: [`Shards::connect`] finds the one.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The shard that has what is not TCP. What it connects to over IPv6 has to fall to it, as
    /// [`Shards::hosts`] says.
    pub fn first(&self) -> &Host {
        &self.hosts[0]
    }

    /// The shard of the calling thread, which is the same each time: threads take them in turn.
    pub fn of_this_thread(&self) -> &Host {
        static TURNS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static TURN: OnceCell<usize> = const { OnceCell::new() });
        let turn = TURN.with(|it| *it.get_or_init(|| TURNS.fetch_add(1, Ordering::Relaxed)));
        &self.hosts[turn % self.hosts.len()]
    }

    /// Connects from the [shard of the calling thread](Shards::of_this_thread), or from another one
    /// where the addresses (of IPv6) or the local port leave no choice.
    ///
    /// # Errors
    /// Those of [`TcpStream::connect_with`].
    pub fn connect(&self, address: SocketAddr, options: ConnectOptions) -> io::Result<TcpStream> {
        let mut answer = TcpStream::connect_with(self.of_this_thread(), address, options);
        for host in self.hosts.iter() {
            if !matches!(&answer, Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable) {
                break;
            }
            answer = TcpStream::connect_with(host, address, options);
        }
        answer
    }

    /// Listens on all shards, with one queue of accepted connections for all.
    ///
    /// # Errors
    /// Those of [`TcpListener::bind_with`]; the operating system refuses a thread.
    pub fn listen(
        &self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<ShardsListener> {
        let mut tries = 1..PORT_TRIES;
        let listeners = loop {
            match self.listen_at_each(address, options) {
                // The port that the first has picked may be another's at the second.
                Err(error)
                    if address.port() == 0
                        && error.kind() == io::ErrorKind::AddrInUse
                        && tries.next().is_some() => {}
                listeners => break listeners?,
            }
        };
        ShardsListener::start(listeners)
    }

    fn listen_at_each(
        &self,
        mut address: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<Vec<TcpListener>> {
        let mut listeners = Vec::new();
        for host in self.hosts.iter() {
            let listener = TcpListener::bind_with(host, address, options)?;
            address.set_port(listener.local_addr()?.port());
            listeners.push(listener);
        }
        Ok(listeners)
    }

    /// The counters of all engines, summed.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.hosts.iter().for_each(|host| sum.add(&host.counters()));
        sum
    }

    /// Every TCP object of every shard: a listener is one at each.
    pub fn connections(&self) -> Vec<TcpInfo> {
        self.hosts.iter().flat_map(Host::connections).collect()
    }

    /// Ends all shards in good order, one after the other: [`Host::shutdown`]. The first, which
    /// answers for all who ask for its addresses, goes last.
    pub fn shutdown(&self) {
        self.hosts.iter().rev().for_each(Host::shutdown);
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards").field("count", &self.hosts.len()).finish()
    }
}

type Accepted = io::Result<(TcpStream, SocketAddr)>;

/// Listeners of all shards, and one queue for what they accept. Dropping it closes them.
pub struct ShardsListener {
    listeners: Vec<TcpListener>,
    /// None of one shard, whose listener is asked itself.
    accepted: Option<Receiver<Accepted>>,
    acceptors: Vec<JoinHandle<()>>,
}

impl ShardsListener {
    fn start(listeners: Vec<TcpListener>) -> io::Result<ShardsListener> {
        let mut all = ShardsListener { listeners, accepted: None, acceptors: Vec::new() };
        if all.listeners.len() > 1 {
            let (queue, accepted) = crossbeam_channel::bounded(ACCEPTED_MAX);
            all.accepted = Some(accepted);
            for listener in &all.listeners {
                all.acceptors.push(start_acceptor(listener.try_clone()?, queue.clone())?);
            }
        }
        Ok(all)
    }

    /// Waits for a connection of any shard. Any number of threads may wait.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn accept(&self) -> Accepted {
        match &self.accepted {
            None => self.listeners[0].accept(),
            Some(queue) => queue.recv().unwrap_or_else(|_| Err(Errno::ESHUTDOWN.into())),
        }
    }

    /// The address and port it listens on.
    ///
    /// # Errors
    /// None.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listeners[0].local_addr()
    }
}

/// Moves what `listener` accepts into the queue, until one of the two is closed.
#[expect(clippy::disallowed_methods, reason = "the shell's own thread")]
fn start_acceptor(listener: TcpListener, queue: Sender<Accepted>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("tapstack-accept".into()).spawn(move || {
        loop {
            let accepted = listener.accept();
            let is_last = accepted.is_err();
            if queue.send(accepted).is_err() || is_last {
                return;
            }
        }
    })
}

impl Drop for ShardsListener {
    fn drop(&mut self) {
        // Ends those who wait for room, and then those who wait for connections.
        self.accepted = None;
        self.listeners.iter().for_each(|listener| listener.socket.stop());
        for acceptor in self.acceptors.drain(..) {
            if acceptor.join().is_err() {
                log::error!("a thread that accepts has panicked");
            }
        }
    }
}

impl fmt::Debug for ShardsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardsListener").field("local", &self.listeners[0]).finish()
    }
}
