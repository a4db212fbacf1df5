//! What pollers keep under the lock: registrations, and a list of the ready ones.

use std::collections::VecDeque;
use std::sync::Arc;

use super::interest::{Interest, PollEvent, Token};
use super::park::Parker;
use super::slots::Slots;
use super::watch::Watch;
use crate::{Readiness, SocketId, Stack};

/// One socket in one poller.
#[derive(Debug)]
struct Registration {
    poller: u32,
    socket: SocketId,
    token: Token,
    interest: Interest,
    /// It stands in the ready list of its poller.
    queued: bool,
    /// Tells it from an earlier registration at the same index.
    serial: u64,
}

/// One poller: O(1) per event, and O(ready) per wait, however many sockets it watches.
#[derive(Debug, Default)]
struct Ready {
    queue: VecDeque<(u32, u64)>,
    threads: Vec<Arc<Parker>>,
    woken: bool,
    /// How many registrations it has.
    registered: usize,
}

/// All pollers of a host and their registrations.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    pollers: Slots<Ready>,
    registrations: Slots<Registration>,
    serial: u64,
}

/// What became of a poller when something was offered to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Nothing new for it.
    Ignored,
    /// Its ready list is no longer empty: this poller's driver or sleeper must look.
    Queued(u32),
}

impl Polls {
    pub(crate) fn open(&mut self) -> u32 {
        self.pollers.insert(Ready::default())
    }

    /// Forgets a poller and all its registrations.
    pub(crate) fn close(&mut self, poller: u32, watch: &mut Watch) {
        let closed = self.pollers.remove(poller);
        if closed.is_none_or(|it| it.registered == 0) {
            return;
        }
        for index in self.registrations.indices_where(|it| it.poller == poller) {
            if let Some(registration) = self.registrations.remove(index)
                && let Some(watched) = watch.get(registration.socket)
            {
                watched.polls.retain(|&other| other != index);
            }
        }
    }

    /// The registration of `socket` in `poller`.
    pub(crate) fn find(&self, poller: u32, socket: SocketId, watch: &mut Watch) -> Option<u32> {
        let mine =
            |&index: &u32| self.registrations.get(index).is_some_and(|it| it.poller == poller);
        watch.get(socket)?.polls.iter().copied().find(mine)
    }

    /// Adds a registration, which the caller has not found.
    pub(crate) fn add(
        &mut self,
        poller: u32,
        socket: SocketId,
        token: Token,
        interest: Interest,
        watch: &mut Watch,
    ) -> u32 {
        self.serial += 1;
        let serial = self.serial;
        let registration = Registration { poller, socket, token, interest, queued: false, serial };
        let index = self.registrations.insert(registration);
        watch.entry(socket).polls.push(index);
        if let Some(it) = self.pollers.get_mut(poller) {
            it.registered += 1;
        }
        index
    }

    pub(crate) fn change(&mut self, index: u32, token: Token, interest: Interest) {
        if let Some(registration) = self.registrations.get_mut(index) {
            registration.token = token;
            registration.interest = interest;
        }
    }

    pub(crate) fn widen(&mut self, index: u32, interest: Interest) {
        if let Some(registration) = self.registrations.get_mut(index) {
            registration.interest = registration.interest | interest;
        }
    }

    /// Removes one registration; its entry in a ready list goes stale and is skipped.
    pub(crate) fn remove(&mut self, index: u32, watch: &mut Watch) {
        let Some(registration) = self.take(index) else { return };
        if let Some(watched) = watch.get(registration.socket) {
            watched.polls.retain(|&other| other != index);
        }
    }

    /// The socket is gone: so are its registrations.
    pub(crate) fn forget(&mut self, registrations: &[u32]) {
        for &index in registrations {
            self.take(index);
        }
    }

    fn take(&mut self, index: u32) -> Option<Registration> {
        let registration = self.registrations.remove(index)?;
        if let Some(it) = self.pollers.get_mut(registration.poller) {
            it.registered -= 1;
        }
        Some(registration)
    }

    /// Readiness of a registered socket may have changed to `ready`.
    pub(crate) fn offer(&mut self, index: u32, ready: Readiness) -> Offer {
        let Some(registration) = self.registrations.get_mut(index) else { return Offer::Ignored };
        if registration.queued || !registration.interest.mask().intersects(ready) {
            return Offer::Ignored;
        }
        registration.queued = true;
        let poller = registration.poller;
        match self.pollers.get_mut(poller) {
            Some(ready) => ready.queue.push_back((index, registration.serial)),
            None => return Offer::Ignored,
        }
        Offer::Queued(poller)
    }

    /// Moves what is ready into `events`, at most `room` of it. A level-triggered registration
    /// stays in the list, at its end, until it is found not ready; an edge-triggered one leaves.
    pub(crate) fn collect(
        &mut self,
        poller: u32,
        stack: &mut Stack,
        room: usize,
        events: &mut Vec<PollEvent>,
    ) {
        let Some(ready) = self.pollers.get_mut(poller) else { return };
        for _ in 0..ready.queue.len() {
            if events.len() >= room {
                return;
            }
            let Some((index, serial)) = ready.queue.pop_front() else { return };
            let Some(registration) = self.registrations.get_mut(index) else { continue };
            if registration.serial != serial {
                continue;
            }
            let found = readiness(stack, registration.socket) & registration.interest.mask();
            let again = !found.is_empty() && !registration.interest.is_edge();
            registration.queued = again;
            if again {
                ready.queue.push_back((index, serial));
            }
            if !found.is_empty() {
                events.push(PollEvent { token: registration.token, readiness: found });
            }
        }
    }

    /// Consumes the wake-up of a poller's waker.
    pub(crate) fn take_woken(&mut self, poller: u32) -> bool {
        self.pollers.get_mut(poller).is_some_and(|it| std::mem::take(&mut it.woken))
    }

    pub(crate) fn set_woken(&mut self, poller: u32) {
        if let Some(it) = self.pollers.get_mut(poller) {
            it.woken = true;
        }
    }

    /// True if a wait would find something to look at.
    pub(crate) fn has_work(&self, poller: u32) -> bool {
        self.pollers.get(poller).is_some_and(|it| it.woken || !it.queue.is_empty())
    }

    pub(crate) fn add_thread(&mut self, poller: u32, parker: &Arc<Parker>) {
        if let Some(it) = self.pollers.get_mut(poller) {
            it.threads.push(Arc::clone(parker));
        }
    }

    pub(crate) fn drop_thread(&mut self, poller: u32, parker: &Arc<Parker>) {
        if let Some(it) = self.pollers.get_mut(poller) {
            it.threads.retain(|other| !Arc::ptr_eq(other, parker));
        }
    }

    /// One of the threads that sleep in this poller, the last to come.
    pub(crate) fn take_thread(&mut self, poller: u32) -> Option<Arc<Parker>> {
        self.pollers.get_mut(poller)?.threads.pop()
    }
}

/// What a socket is ready for now; a socket that is gone is closed.
pub(crate) fn readiness(stack: &mut Stack, id: SocketId) -> Readiness {
    let found = match id {
        SocketId::Tcp(id) => stack.tcp(id).map(|socket| socket.readiness()),
        SocketId::Listener(id) => stack.listener(id).map(|status| status.readiness),
        SocketId::Udp(id) => stack.udp(id).map(|socket| socket.readiness()),
        SocketId::Echo(id) => stack.echo(id).map(|socket| socket.readiness()),
    };
    found.unwrap_or(Readiness::CLOSED)
}
