//! Waiting for many sockets at once, as epoll does.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::block::Patience;
use super::echo::EchoSocket;
use super::errno::Errno;
use super::forwarder::Forwarder;
use super::interest::{Interest, PollEvent, Token};
use super::listener::TcpListener;
use super::runtime::{Core, Host};
use super::shard::Engine;
use super::tcp::TcpStream;
use super::udp::UdpSocket;
use super::watch::Key;
use crate::SocketId;

/// Room for the events of one wait, to be used again and again.
#[derive(Debug)]
pub struct Events {
    list: Vec<PollEvent>,
    room: usize,
}

impl Events {
    /// Room for `room` events (at least one); what does not fit comes with the next wait.
    pub fn with_capacity(room: usize) -> Events {
        let room = room.max(1);
        Events { list: Vec::with_capacity(room), room }
    }

    /// The events of the last wait.
    pub fn iter(&self) -> std::slice::Iter<'_, PollEvent> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The wait ended without an event: its time-out passed, or its waker was used.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a PollEvent;
    type IntoIter = std::slice::Iter<'a, PollEvent>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

mod sealed {
    use super::{Poller, SocketId};

    pub trait Sealed {
        fn socket_id(&self) -> SocketId;
        /// Poller and socket are of one host.
        fn belongs_to(&self, poller: &Poller) -> bool;
    }
}
use sealed::Sealed;

/// A socket that a [`Poller`] can watch.
pub trait Source: Sealed {}

macro_rules! sources {
    ($($socket:ty),*) => {$(
        impl Sealed for $socket {
            fn socket_id(&self) -> SocketId {
                self.socket.socket_id()
            }
            fn belongs_to(&self, poller: &Poller) -> bool {
                Arc::ptr_eq(&self.socket.core, &poller.inner.core)
            }
        }
        impl Source for $socket {}
    )*};
}

sources!(TcpStream, TcpListener, Forwarder, UdpSocket, EchoSocket);

/// Waits for many sockets of one host at once.
///
/// A wait costs in proportion to what is ready, not to what is registered. The thread that waits
/// drives the stack, as one in any other blocking call. Several threads may wait in one poller:
/// an event wakes one of them. A socket that is closed leaves its pollers by itself.
///
/// ```
/// use std::io::Read;
/// use std::time::Duration;
/// use stack::host::{Events, Interest, Poller, Token};
/// # use std::io::Write;
/// # use stack::host::{Host, TcpListener, TcpStream};
/// # use stack::{Config, Mac};
/// # fn host(last: u8, device: tapdev::PairEnd) -> Host {
/// #     let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
/// #     config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
/// #     Host::new(config, device).unwrap()
/// # }
/// # fn main() -> std::io::Result<()> {
/// # let (left, right) = tapdev::pair(1500, 1000);
/// # let (server, client) = (host(1, left), host(2, right));
/// # let listener = TcpListener::bind(&server, "192.0.2.1:7")?;
/// # let mut near = TcpStream::connect(&client, "192.0.2.1:7")?;
/// # let mut stream = listener.accept()?.0;
/// # near.write_all(b"hello")?;
/// let poller = Poller::new(&server);
/// poller.register(&stream, Token(7), Interest::READABLE)?;
/// let mut events = Events::with_capacity(64);
/// poller.wait(&mut events, Some(Duration::from_secs(1)))?;
/// for event in &events {
///     assert_eq!(event.token, Token(7));
///     let mut text = [0; 16];
///     let length = stream.read(&mut text)?;
///     assert_eq!(&text[..length], b"hello");
/// }
/// # assert_eq!(events.len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Poller {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    index: u32,
}

impl Poller {
    /// A poller that watches nothing yet.
    pub fn new(host: &Host) -> Poller {
        Poller::of(&host.core)
    }

    pub(crate) fn of(core: &Arc<Core>) -> Poller {
        let index = core.shard.lock().polls.open();
        Poller { inner: Arc::new(Inner { core: Arc::clone(core), index }) }
    }

    /// Watches `source`. If it is ready already, the next wait says so.
    ///
    /// # Errors
    /// `AlreadyExists` if it is registered here; `InvalidInput` for a socket of another host.
    pub fn register(
        &self,
        source: &impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.check(source)?;
        match self.add(source.socket_id(), token, interest) {
            true => Ok(()),
            false => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    /// Changes token and interest of a registration, and reports anew what is ready.
    ///
    /// # Errors
    /// `NotFound` if it is not registered here; `InvalidInput` for a socket of another host.
    pub fn reregister(
        &self,
        source: &impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.check(source)?;
        let socket = source.socket_id();
        self.inner.core.shard.ask(|engine| {
            let index = engine.polls.find(self.inner.index, socket, &mut engine.watch);
            let index = index.ok_or(io::ErrorKind::NotFound)?;
            engine.polls.change(index, token, interest);
            engine.offer_now(index, socket);
            Ok(())
        })
    }

    /// Stops watching `source`.
    ///
    /// # Errors
    /// `NotFound` if it is not registered here; `InvalidInput` for a socket of another host.
    pub fn deregister(&self, source: &impl Source) -> io::Result<()> {
        self.check(source)?;
        match self.remove(source.socket_id()) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Waits until something is ready, the waker is used, or `timeout` has passed (`None`: for
    /// ever), and returns the number of events. Zero is not an error.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        events.list.clear();
        self.wait_into(&mut events.list, events.room, timeout)?;
        Ok(events.list.len())
    }

    /// What wakes this poller from another thread.
    pub fn waker(&self) -> PollWaker {
        PollWaker { inner: Arc::clone(&self.inner) }
    }

    fn check(&self, source: &impl Source) -> io::Result<()> {
        match source.belongs_to(self) {
            true => Ok(()),
            false => Err(Errno::EINVAL.into()),
        }
    }

    /// False if the socket is registered already.
    pub(crate) fn add(&self, socket: SocketId, token: Token, interest: Interest) -> bool {
        let poller = self.inner.index;
        self.inner.core.shard.ask(|engine| {
            if engine.polls.find(poller, socket, &mut engine.watch).is_some() {
                return false;
            }
            let index = engine.polls.add(poller, socket, token, interest, &mut engine.watch);
            engine.offer_now(index, socket);
            true
        })
    }

    /// Watches a socket for this, too, whose events have no token: it may be registered already.
    pub(crate) fn watch_too(&self, socket: SocketId, interest: Interest) {
        if self.add(socket, Token(0), interest) {
            return;
        }
        self.inner.core.shard.ask(|engine| {
            let index = engine.polls.find(self.inner.index, socket, &mut engine.watch);
            if let Some(index) = index {
                engine.polls.widen(index, interest);
                engine.offer_now(index, socket);
            }
        });
    }

    /// False if the socket is not registered.
    pub(crate) fn remove(&self, socket: SocketId) -> bool {
        self.inner.core.shard.ask(|engine| {
            let index = engine.polls.find(self.inner.index, socket, &mut engine.watch);
            if let Some(index) = index {
                engine.polls.remove(index, &mut engine.watch);
            }
            index.is_some()
        })
    }

    pub(crate) fn wait_into(
        &self,
        events: &mut Vec<PollEvent>,
        room: usize,
        timeout: Option<Duration>,
    ) -> Result<(), Errno> {
        let patience = match timeout {
            None => Patience::Forever,
            Some(Duration::ZERO) => Patience::Glance,
            Some(timeout) => Patience::For(timeout),
        };
        let answer = self.inner.core.shard.block_on(self.key(), patience, |engine, _| {
            let woken = self.collect(engine, room, events);
            (woken || !events.is_empty()).then_some(())
        });
        match answer {
            Ok(()) | Err(super::block::GaveUp::TimedOut) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }
}

impl Poller {
    /// What a thread that waits in this poller waits for.
    pub(crate) fn key(&self) -> Key {
        Key::Poller(self.inner.index)
    }

    /// Moves what is ready into `events`, at most `room`; true if the waker was used.
    pub(crate) fn collect(
        &self,
        engine: &mut Engine,
        room: usize,
        events: &mut Vec<PollEvent>,
    ) -> bool {
        let poller = self.inner.index;
        engine.polls.collect(poller, &mut engine.stack, room, events);
        let woken = engine.polls.take_woken(poller);
        if events.len() >= room && engine.polls.has_work(poller) {
            // More than fits: a thread that sleeps in this poller may have the rest.
            engine.wake_poller(poller);
        }
        woken
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.shard.ask(|engine| engine.polls.close(self.index, &mut engine.watch));
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("index", &self.inner.index).finish()
    }
}

/// Ends a wait of its [`Poller`] from any thread: the wait returns, perhaps without an event. If
/// nobody waits, the next wait returns at once.
///
/// ```
/// use stack::host::{Events, Host, Poller};
/// # use stack::{Config, Mac};
/// # fn main() -> std::io::Result<()> {
/// # let (device, _other_end) = tapdev::pair(1500, 1000);
/// # let host = Host::new(Config::new(Mac([2, 0, 0, 0, 0, 1])), device)?;
/// let poller = Poller::new(&host);
/// let waker = poller.waker();
/// # #[expect(clippy::disallowed_methods)]
/// std::thread::spawn(move || waker.wake());
/// poller.wait(&mut Events::with_capacity(1), None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PollWaker {
    inner: Arc<Inner>,
}

impl PollWaker {
    /// Ends a present or the next wait.
    pub fn wake(&self) {
        self.inner.core.shard.ask(|engine| {
            engine.polls.set_woken(self.inner.index);
            engine.wake_poller(self.inner.index);
        });
    }
}

impl fmt::Debug for PollWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollWaker").field("poller", &self.inner.index).finish()
    }
}
