//! Who waits for which socket: one small record per watched socket, found by its dense index.

use std::sync::Arc;
use std::task::Waker;

use super::park::Parker;
use crate::{Readiness, SocketId};

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// One of these readiness bits of a socket.
    Socket(SocketId, Readiness),
    /// Something ready in a poller, or its waker.
    Poller(u32),
    /// Nothing in particular: it looks again whenever it wakes. The reactor, and rare waits.
    Nothing,
}

impl Key {
    /// For a thread that wants to read from, or accept at, `socket`.
    pub(crate) fn read(socket: SocketId) -> Key {
        let (socket, interest) = to_read(socket);
        Key::Socket(socket, interest)
    }

    /// For a thread that wants to write to `socket`, or waits for its connection.
    pub(crate) fn write(socket: SocketId) -> Key {
        let (socket, interest) = to_write(socket);
        Key::Socket(socket, interest)
    }
}

/// What whoever wants to read from, or accept at, `socket` waits for.
pub(crate) fn to_read(socket: SocketId) -> (SocketId, Readiness) {
    (socket, Readiness::READABLE | Readiness::READ_CLOSED | fatal())
}

/// What whoever wants to write to `socket`, or for its connection, waits for.
pub(crate) fn to_write(socket: SocketId) -> (SocketId, Readiness) {
    (socket, Readiness::WRITABLE | Readiness::WRITE_CLOSED | fatal())
}

/// The bits that end every wait.
pub(crate) fn fatal() -> Readiness {
    Readiness::ERROR | Readiness::CLOSED
}

/// One watched socket.
#[derive(Debug)]
pub(crate) struct Watched {
    id: SocketId,
    threads: Vec<(Arc<Parker>, Readiness)>,
    /// Futures, each with the ticket under which it can be found again.
    tasks: Vec<(u64, Waker, Readiness)>,
    /// Its registrations in pollers.
    pub(crate) polls: Vec<u32>,
}

/// The records of all watched sockets. A record appears with the first thread that parks or the
/// first registration, and goes away with its socket: a socket nobody waits for costs 8 bytes.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    tables: [Vec<Option<Box<Watched>>>; 4],
}

impl Watch {
    /// Which table, and where in it.
    fn place(id: SocketId) -> (usize, usize) {
        let (table, index) = match id {
            SocketId::Tcp(id) => (0, id.index()),
            SocketId::Listener(id) => (1, id.index()),
            SocketId::Udp(id) => (2, id.index()),
            SocketId::Echo(id) => (3, id.index()),
        };
        (table, index as usize)
    }

    /// The record of `id`, if somebody watches it.
    pub(crate) fn get(&mut self, id: SocketId) -> Option<&mut Watched> {
        let (table, index) = Self::place(id);
        let slot = self.tables[table].get_mut(index)?;
        slot.as_deref_mut().filter(|watched| watched.id == id)
    }

    /// The wakers of all tasks, for a host that stops.
    pub(crate) fn take_all_tasks(&mut self, woken: &mut Vec<Waker>) {
        for watched in self.tables.iter_mut().flatten().flatten() {
            watched.take_all_tasks(woken);
        }
    }

    /// The record of `id`, made if need be.
    pub(crate) fn entry(&mut self, id: SocketId) -> &mut Watched {
        let (table, index) = Self::place(id);
        let table = &mut self.tables[table];
        if table.len() <= index {
            table.resize_with(index + 1, || None);
        }
        let fresh =
            || Box::new(Watched { id, threads: Vec::new(), tasks: Vec::new(), polls: Vec::new() });
        let watched = table[index].get_or_insert_with(fresh);
        if watched.id != id {
            // The last owner of this index is gone, and what waited for it has been woken.
            *watched = fresh();
        }
        watched
    }

    /// Takes the record of a socket that ends out of the table.
    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Box<Watched>> {
        let (table, index) = Self::place(id);
        let slot = self.tables[table].get_mut(index)?;
        slot.take_if(|watched| watched.id == id)
    }
}

impl Watched {
    /// `parker` is to be woken by any bit of `interest`.
    pub(crate) fn add(&mut self, parker: &Arc<Parker>, interest: Readiness) {
        self.threads.push((Arc::clone(parker), interest));
    }

    /// `parker` does not wait here any more.
    pub(crate) fn drop_thread(&mut self, parker: &Arc<Parker>) {
        self.threads.retain(|(other, _)| !Arc::ptr_eq(other, parker));
    }

    /// The task of `ticket` is to be woken by any bit of `interest`. Returns the waker that this
    /// one replaces.
    pub(crate) fn add_task(
        &mut self,
        ticket: u64,
        waker: &Waker,
        interest: Readiness,
    ) -> Option<Waker> {
        match self.tasks.iter_mut().find(|(other, ..)| *other == ticket) {
            Some((_, old, _)) if old.will_wake(waker) => None,
            Some((_, old, _)) => Some(std::mem::replace(old, waker.clone())),
            None => {
                self.tasks.push((ticket, waker.clone(), interest));
                None
            }
        }
    }

    /// The task of `ticket` does not wait here any more; its waker, if it has not been used.
    pub(crate) fn drop_task(&mut self, ticket: u64) -> Option<Waker> {
        let at = self.tasks.iter().position(|(other, ..)| *other == ticket)?;
        Some(self.tasks.remove(at).1)
    }

    /// Moves at most `limit` of the tasks that wait for a bit of `ready` into `woken`, in the
    /// order in which they came.
    pub(crate) fn take_ready_tasks(
        &mut self,
        ready: Readiness,
        limit: usize,
        woken: &mut Vec<Waker>,
    ) {
        let hits = self.tasks.extract_if(.., |(_, _, interest)| interest.intersects(ready));
        woken.extend(hits.take(limit).map(|(_, waker, _)| waker));
    }

    /// All tasks, for a socket that ends.
    pub(crate) fn take_all_tasks(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.tasks.drain(..).map(|(_, waker, _)| waker));
    }

    /// Moves at most `limit` of the threads that wait for a bit of `ready` into `woken`, in the
    /// order in which they came; returns how many more there could have been.
    pub(crate) fn take_ready(
        &mut self,
        ready: Readiness,
        limit: usize,
        mut woken: impl FnMut(Arc<Parker>),
    ) -> usize {
        let mut left = limit;
        for (parker, _) in self.threads.extract_if(.., |(_, interest)| {
            let hit = left > 0 && interest.intersects(ready);
            left -= usize::from(hit);
            hit
        }) {
            woken(parker);
        }
        left
    }

    /// All threads, for a socket that ends.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Arc<Parker>> {
        self.threads.drain(..).map(|(parker, _)| parker)
    }

    pub(crate) fn has_waiters(&self) -> bool {
        !self.threads.is_empty() || !self.tasks.is_empty()
    }
}
