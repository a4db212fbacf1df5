//! One socket of a program: its end of the pair, and what is on the way.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stack::host::Errno;

use crate::channel;
use crate::protocol::reply_to_bytes;
use crate::sys;

/// One socket.
pub(super) struct Socket {
    pub(super) token: u64,
    /// The inode of the program's end.
    pub(super) number: u64,
    /// Its descriptor among those of `Bsd`.
    pub(super) fd: i32,
    state: Mutex<State>,
}

/// What changes in its life.
pub(super) struct State {
    /// Our end of the pair; None once there is nothing more to carry.
    pub(super) end: Option<OwnedFd>,
    pub(super) phase: Phase,
    /// From the program, and not yet taken by the stack.
    pub(super) outgoing: Pending,
    /// From the stack, and not yet taken by the program's end.
    pub(super) incoming: Pending,
    /// A connection accepted, and not yet passed on: its end, and the peer.
    pub(super) accepted: Option<(OwnedFd, SocketAddr)>,
    /// The stack tells of it.
    pub(super) is_watched: bool,
    /// The program has closed it.
    pub(super) is_gone: bool,
    /// The program writes no more, and the stack knows.
    pub(super) has_finished: bool,
    /// The peer sends no more, and the program knows.
    pub(super) has_ended: bool,
    /// What the program has not yet been told.
    pub(super) error: Option<Errno>,
    /// Whom to tell that an error waits which the connection has survived.
    pub(super) awaiting: Waiters,
    /// Whom to tell that the attempt to connect has come to its end.
    pub(super) connecting: Waiters,
}

/// What a socket is just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    /// Until the answer comes the program's end is stuffed with so many bytes, so that it is not
    /// writable.
    Connecting {
        remote: SocketAddr,
        stuffing: usize,
    },
    Stream,
    Listener,
    Datagram,
}

impl Socket {
    /// A socket in this phase, and the program's end of it.
    pub(super) fn new(token: u64, fd: i32, phase: Phase) -> Result<(Socket, OwnedFd), Errno> {
        let kind = match phase {
            Phase::Datagram => libc::SOCK_SEQPACKET,
            _ => libc::SOCK_STREAM,
        };
        Socket::of(token, fd, phase, sys::pair(kind)?)
    }

    /// The same of a pair that has been made.
    pub(super) fn of(
        token: u64,
        fd: i32,
        phase: Phase,
        [end, far]: [OwnedFd; 2],
    ) -> Result<(Socket, OwnedFd), Errno> {
        let number = sys::socket_number(far.as_raw_fd()).ok_or(Errno::EBADF)?;
        let state = State {
            end: Some(end),
            phase,
            outgoing: Pending::default(),
            incoming: Pending::default(),
            accepted: None,
            is_watched: false,
            is_gone: false,
            has_finished: false,
            has_ended: false,
            error: None,
            awaiting: Waiters::default(),
            connecting: Waiters::default(),
        };
        Ok((Socket { token, number, fd, state: Mutex::new(state) }, far))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Has this channel told when an error waits.
    pub(super) fn await_error(&mut self, channel: Arc<UnixStream>) {
        self.awaiting.add(channel);
        if self.error.is_some() {
            self.awaiting.tell();
        }
    }

    /// Has this channel told when nothing is being connected (any more).
    pub(super) fn await_connection(&mut self, channel: Arc<UnixStream>) {
        self.connecting.add(channel);
        if !matches!(self.phase, Phase::Connecting { .. }) {
            self.connecting.tell();
        }
    }
}

/// Channels that wait for an empty reply.
#[derive(Default)]
pub(super) struct Waiters(Vec<Arc<UnixStream>>);

impl Waiters {
    /// Those that were closed meanwhile are forgotten, so there are as many as threads that sleep,
    /// and one more.
    fn add(&mut self, channel: Arc<UnixStream>) {
        let is_open = |it: &Arc<UnixStream>| sys::recv(it.as_fd(), &mut [0]) == Err(Errno::EAGAIN);
        self.0.retain(is_open);
        self.0.push(channel);
    }

    pub(super) fn tell(&mut self) {
        let reply = reply_to_bytes(&Ok(Vec::new()));
        for channel in self.0.drain(..) {
            // Who asked may have gone.
            let _ = channel::send(channel.as_fd(), &reply, None, libc::MSG_DONTWAIT);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Bytes that did not fit where they should go.
#[derive(Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    from: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.from == self.bytes.len()
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    /// Keeps `bytes`, when there was nothing.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.from = 0;
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.from = self.bytes.len().min(self.from + count);
    }

    pub(super) fn clear(&mut self) {
        self.from = self.bytes.len();
    }
}
