//! A client that keeps something for the host, on a thread of its own, for as long as it is held.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::interest::{Interest, Token};
use super::poller::{Events, PollWaker, Poller};
use super::runtime::Host;
use super::udp::UdpSocket;
use crate::UdpOptions;

/// Room for a server's message, bytes; a longer one is cut, and then of no use.
const MESSAGE: usize = 2048;

/// Datagrams read before the clock is looked at.
const MESSAGES_AT_ONCE: usize = 64;

/// The thread, and what it has got so far.
pub(super) struct Keeper<T> {
    shared: Arc<Shared<T>>,
    waker: PollWaker,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner tell each other.
pub(super) struct Shared<T> {
    status: Mutex<Status<T>>,
    changed: Condvar,
}

struct Status<T> {
    got: Option<T>,
    is_stopping: bool,
    has_ended: bool,
}

impl<T: Clone + Send + 'static> Keeper<T> {
    /// Lets `work` run until it ends by itself, or the keeper is dropped: then `waker` wakes it.
    #[expect(clippy::disallowed_methods, reason = "the client's own thread")]
    pub(super) fn start(
        name: &str,
        waker: PollWaker,
        work: impl FnOnce(&Shared<T>) + Send + 'static,
    ) -> io::Result<Keeper<T>> {
        let status = Status { got: None, is_stopping: false, has_ended: false };
        let shared = Arc::new(Shared { status: Mutex::new(status), changed: Condvar::new() });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            work(&its);
            let mut status = its.status();
            (status.has_ended, status.got) = (true, None);
            its.changed.notify_all();
        })?;
        Ok(Keeper { shared, waker, thread: Some(thread) })
    }

    /// What is there now.
    pub(super) fn get(&self) -> Option<T> {
        self.shared.get()
    }

    /// Waits until something is there.
    pub(super) fn wait(&self, timeout: Duration) -> Option<T> {
        let status = self.shared.status();
        let waits = |status: &mut Status<T>| status.got.is_none() && !status.has_ended;
        let status = self.shared.changed.wait_timeout_while(status, timeout, waits);
        status.unwrap_or_else(PoisonError::into_inner).0.got.clone()
    }
}

impl<T> Drop for Keeper<T> {
    fn drop(&mut self) {
        self.shared.status().is_stopping = true;
        self.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("a client's thread has panicked");
        }
    }
}

impl<T> Shared<T> {
    fn status(&self) -> MutexGuard<'_, Status<T>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The owner wants it to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.status().is_stopping
    }

    /// Something is there, or no longer.
    pub(super) fn set(&self, got: Option<T>) {
        self.status().got = got;
        self.changed.notify_all();
    }
}

impl<T: Clone> Shared<T> {
    /// What is there now.
    pub(super) fn get(&self) -> Option<T> {
        self.status().got.clone()
    }
}

/// What the thread talks to servers with.
pub(super) struct Talk {
    socket: UdpSocket,
    poller: Poller,
    events: Events,
    /// The port of those that are heard.
    server: u16,
}

impl Talk {
    pub(super) fn open(
        host: &Host,
        local: impl Into<SocketAddr>,
        server: u16,
        options: UdpOptions,
    ) -> io::Result<Talk> {
        let socket = UdpSocket::bind_with(host, local.into(), options)?;
        socket.set_nonblocking(true)?;
        let poller = Poller::new(host);
        poller.register(&socket, Token(0), Interest::READABLE)?;
        Ok(Talk { socket, poller, events: Events::with_capacity(1), server })
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(super) fn waker(&self) -> PollWaker {
        self.poller.waker()
    }

    /// What servers have said, and which.
    pub(super) fn hear(&self, mut each: impl FnMut(&[u8], IpAddr)) {
        let mut message = [0; MESSAGE];
        for _ in 0..MESSAGES_AT_ONCE {
            let Ok((length, from)) = self.socket.recv_from(&mut message) else { return };
            if from.port() == self.server {
                each(message.get(..length).unwrap_or_default(), from.ip());
            }
        }
    }

    /// Waits for servers, the waker, or the time.
    pub(super) fn wait(&mut self, time: Duration) -> io::Result<()> {
        self.poller.wait(&mut self.events, Some(time)).map(drop)
    }
}
