//! poll and select.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::socket::{Role, Sock};
use super::{Bsd, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDHUP};
use crate::host::block::{GaveUp, Patience};
use crate::host::errno::Errno;
use crate::host::interest::{Interest, Token};
use crate::host::poller::Poller;
use crate::host::ready::readiness;
use crate::host::shard::Engine;
use crate::{Readiness, SocketId};

/// One descriptor for [`Bsd::poll`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollFd {
    /// The descriptor; a negative one is passed over.
    pub fd: i32,
    /// What to wait for: POLLIN, POLLOUT, POLLRDHUP (POLLPRI never comes).
    pub events: i16,
    /// What is there, and POLLERR, POLLHUP, POLLNVAL in any case.
    pub revents: i16,
}

impl PollFd {
    /// Waits for `events` of `fd`.
    pub const fn new(fd: i32, events: i16) -> PollFd {
        PollFd { fd, events, revents: 0 }
    }
}

/// A set of descriptors for [`Bsd::select`], of any size.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FdSet {
    words: Vec<u64>,
}

impl FdSet {
    /// The empty set.
    pub const fn new() -> FdSet {
        FdSet { words: Vec::new() }
    }

    /// Adds a descriptor; a negative one is not added.
    pub fn insert(&mut self, fd: i32) {
        let Ok(fd) = usize::try_from(fd) else { return };
        if self.words.len() <= fd / 64 {
            self.words.resize(fd / 64 + 1, 0);
        }
        self.words[fd / 64] |= 1 << (fd % 64);
    }

    /// Takes a descriptor out.
    pub fn remove(&mut self, fd: i32) {
        if let Ok(fd) = usize::try_from(fd)
            && let Some(word) = self.words.get_mut(fd / 64)
        {
            *word &= !(1 << (fd % 64));
        }
    }

    /// Whether a descriptor is in the set.
    pub fn contains(&self, fd: i32) -> bool {
        let word = usize::try_from(fd).ok().and_then(|fd| self.words.get(fd / 64));
        word.is_some_and(|word| word & (1 << (fd % 64)) != 0)
    }

    /// The descriptors, in order.
    pub fn iter(&self) -> impl Iterator<Item = i32> + '_ {
        (0..self.words.len() as i32 * 64).filter(|&fd| self.contains(fd))
    }
}

impl fmt::Debug for FdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<i32> for FdSet {
    fn from_iter<I: IntoIterator<Item = i32>>(fds: I) -> FdSet {
        let mut set = FdSet::new();
        fds.into_iter().for_each(|fd| set.insert(fd));
        set
    }
}

/// What a descriptor of a poll stands for.
enum Watched {
    Nothing,
    Invalid,
    /// The engine does not know it yet; it stays as it is while the poll waits.
    Idle(Readiness),
    Socket(SocketId),
}

impl Watched {
    fn of(sock: &Sock) -> Watched {
        let role: &Role = &sock.state().role;
        role.socket_id().map_or_else(|| Watched::Idle(sock.idle_readiness()), Watched::Socket)
    }

    fn revents(&self, engine: &mut Engine, events: i16) -> i16 {
        let always = POLLERR | POLLHUP | POLLNVAL;
        match *self {
            Watched::Nothing => 0,
            Watched::Invalid => POLLNVAL,
            Watched::Idle(ready) => poll_bits(ready) & (events | always),
            Watched::Socket(id) => poll_bits(readiness(&mut engine.stack, id)) & (events | always),
        }
    }
}

/// What `poll` would say of a socket that is so ready.
pub fn poll_bits(ready: Readiness) -> i16 {
    let bits = [
        (Readiness::READABLE, POLLIN),
        (Readiness::WRITABLE, POLLOUT),
        (Readiness::READ_CLOSED, POLLRDHUP),
        (Readiness::ERROR, POLLERR),
        (Readiness::CLOSED, POLLHUP),
    ];
    bits.iter().filter(|(bit, _)| ready.contains(*bit)).fold(0, |sum, (_, poll)| sum | poll)
}

impl Bsd {
    /// Watches a descriptor with a [`Poller`] of the same host, which then tells `token` of it.
    ///
    /// # Errors
    /// EBADF; ENOTCONN for a socket that the engine does not know yet, since it neither listens
    /// nor connects nor receives datagrams; EEXIST if it is watched already.
    pub fn watch(
        &self,
        poller: &Poller,
        fd: i32,
        token: Token,
        interest: Interest,
    ) -> Result<(), Errno> {
        let id = self.sock(fd)?.state().role.socket_id().ok_or(Errno::ENOTCONN)?;
        if poller.add(id, token, interest) { Ok(()) } else { Err(Errno::EEXIST) }
    }

    /// Waits until one of the descriptors is ready or `timeout` has passed (`None`: for ever), and
    /// returns how many are.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn poll(&self, fds: &mut [PollFd], timeout: Option<Duration>) -> Result<usize, Errno> {
        let watched: Vec<Watched> = fds.iter().map(|fd| self.watched(fd.fd)).collect();
        let shard = &self.core.shard;
        let look = |engine: &mut Engine, fds: &mut [PollFd]| {
            let mut ready = 0;
            for (fd, watched) in fds.iter_mut().zip(&watched) {
                fd.revents = watched.revents(engine, fd.events);
                ready += usize::from(fd.revents != 0);
            }
            ready
        };
        let ready = shard.ask(|engine| look(engine, fds));
        if ready > 0 || timeout == Some(Duration::ZERO) {
            return Ok(ready);
        }
        // Only a poll that blocks pays for registrations.
        let poller = Poller::of(&self.core);
        for (fd, watched) in fds.iter().zip(&watched) {
            if let Watched::Socket(id) = *watched {
                poller.watch_too(id, interest(fd.events).edge());
            }
        }
        let patience = timeout.map_or(Patience::Forever, Patience::For);
        let mut found = Vec::new();
        let answer = shard.block_on(poller.key(), patience, |engine, _| {
            poller.collect(engine, fds.len().max(1), &mut found);
            found.clear();
            Some(look(engine, fds)).filter(|&ready| ready > 0)
        });
        for watched in &watched {
            if let Watched::Socket(id) = *watched {
                poller.remove(id);
            }
        }
        match answer {
            Ok(ready) => Ok(ready),
            Err(GaveUp::TimedOut) => Ok(0),
            Err(why) => Err(why.into()),
        }
    }

    fn watched(&self, fd: i32) -> Watched {
        match self.read().get(fd).map(Arc::clone) {
            _ if fd < 0 => Watched::Nothing,
            Ok(sock) => Watched::of(&sock),
            Err(_) => Watched::Invalid,
        }
    }

    /// Waits like `poll` for the descriptors of three sets, and leaves in them those that are
    /// ready to receive, to send, or have something exceptional (which never happens). Returns how
    /// many bits are left.
    ///
    /// # Errors
    /// EBADF if a descriptor in a set is none; the host has been shut down.
    pub fn select(
        &self,
        receive: &mut FdSet,
        send: &mut FdSet,
        exceptional: &mut FdSet,
        timeout: Option<Duration>,
    ) -> Result<usize, Errno> {
        let sets = [&*receive, &*send, &*exceptional];
        let words = sets.iter().map(|set| set.words.len()).max().unwrap_or(0);
        let mut fds = Vec::new();
        for fd in 0..words as i32 * 64 {
            let wanted = [(&*receive, POLLIN), (&*send, POLLOUT), (&*exceptional, POLLPRI)];
            let wanted = wanted.iter().filter(|(set, _)| set.contains(fd));
            let events = wanted.fold(0, |sum, (_, event)| sum | event);
            if events != 0 {
                self.sock(fd)?;
                fds.push(PollFd::new(fd, events));
            }
        }
        self.poll(&mut fds, timeout)?;
        let mut ready = 0;
        for fd in &fds {
            let mut keep = |set: &mut FdSet, event: i16, bits: i16| {
                if fd.revents & bits != 0 && fd.events & event != 0 {
                    ready += 1;
                } else {
                    set.remove(fd.fd);
                }
            };
            keep(receive, POLLIN, POLLIN | POLLHUP | POLLERR);
            keep(send, POLLOUT, POLLOUT | POLLERR);
            keep(exceptional, POLLPRI, POLLPRI);
        }
        Ok(ready)
    }
}

/// What a registration must be told of so that none of `events` is missed.
fn interest(events: i16) -> Interest {
    let reading = events & (POLLIN | POLLRDHUP) != 0;
    match (reading, events & POLLOUT != 0) {
        (true, true) => Interest::READABLE | Interest::WRITABLE,
        (false, true) => Interest::WRITABLE,
        (true, false) => Interest::READABLE,
        // Errors and the end are told in any case.
        (false, false) => Interest::NOTHING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_descriptors_of_any_size() {
        let mut set: FdSet = [3, 64, 5000, -1].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 64, 5000]);
        set.remove(64);
        set.remove(1 << 30);
        set.remove(-4);
        assert!(set.contains(3) && !set.contains(64) && !set.contains(-1) && !set.contains(65));
        assert_eq!(format!("{set:?}"), "{3, 5000}");
    }
}
