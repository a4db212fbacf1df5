//! The seat: who has the right to wait for the device, and what its holder does there.
//!
//! The protocol and why it loses no wake-up stand in [`shard`](super::shard).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::park::Parker;
use super::shard::{Engine, Guard, QUICK, Shard};
use super::sync::AtomicU64;
use super::watch::Key;
use crate::{Instant, Readiness, SocketId};

/// So many vacancies in a row that did no harm, and the seat is left without a promotion.
const HARMLESS_RUN: u8 = 4;
/// A thread that parks so soon after a driver woke it would have been the better driver.
const EAGER: Duration = Duration::from_micros(300);
/// So many eager threads in a row, and the driver leaves them the seat.
const EAGER_RUN: u8 = 8;

/// Who has the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    /// A thread in a blocking call.
    Caller,
    Reactor,
}

/// The seat, as it stands under the lock.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) holder: Holder,
    /// `Shard::epoch`, under the lock.
    pub(super) epoch: u64,
    /// What the holder waits for, while it waits.
    pub(super) key: Key,
    /// When the holder wakes by itself.
    pub(super) until: Instant,
    /// Where the holder sleeps when the device is no place to sleep in.
    pub(super) parker: Option<Arc<Parker>>,
    /// Something that the holder waits for has happened.
    pub(super) matched: bool,
    /// The holder has been woken and has not yet taken the lock.
    pub(super) roused: bool,
    /// A thread has parked while the reactor drives.
    wanted: bool,
    /// The reactor sleeps until it is called.
    pub(super) deep: bool,
    /// The thread that was woken to take the vacant seat and has not yet come.
    promoted: Option<Arc<Parker>>,
    vacated: Instant,
    /// The seat has just been taken by a thread of its own accord: how long it had been vacant.
    gap: Option<Duration>,
    /// How many vacancies in a row did no harm: they were short, or nothing came for others.
    harmless: u8,
    /// How often in a row a thread that the holder had woken was back at once.
    eager: u8,
}

impl Seat {
    pub(super) fn new() -> Seat {
        Seat {
            holder: Holder::Nobody,
            epoch: 0,
            key: Key::Nothing,
            until: Instant::FAR_FUTURE,
            parker: None,
            matched: false,
            roused: false,
            wanted: false,
            deep: false,
            promoted: None,
            vacated: Instant::ZERO,
            gap: None,
            harmless: 0,
            eager: 0,
        }
    }

    /// True if the holder waits for one of these bits of `socket`.
    pub(super) fn matches(&self, socket: SocketId, ready: Readiness) -> bool {
        match self.key {
            Key::Socket(id, interest) => id == socket && interest.intersects(ready),
            Key::Poller(_) | Key::Nothing => false,
        }
    }

    /// True if the holder waits for anything of `socket`.
    pub(super) fn waits_on(&self, socket: SocketId) -> bool {
        matches!(self.key, Key::Socket(id, _) if id == socket)
    }

    /// True if the holder waits in this poller.
    pub(super) fn waits_for(&self, poller: u32) -> bool {
        self.key == Key::Poller(poller)
    }

    /// Somebody has done the work of a holder without taking the seat.
    pub(super) fn touch(&mut self, epoch: &AtomicU64) {
        self.epoch += 2;
        epoch.store(self.epoch, Ordering::Release);
    }

    fn pass_to(&mut self, holder: Holder, epoch: &AtomicU64) {
        debug_assert_ne!(self.holder == Holder::Nobody, holder == Holder::Nobody);
        self.epoch += 1;
        epoch.store(self.epoch, Ordering::Release);
        self.holder = holder;
        self.key = Key::Nothing;
        self.matched = false;
        self.roused = false;
        self.eager = 0;
        self.wanted = false;
    }
}

impl Engine {
    /// Gives the vacant seat to the calling thread, which was `called` to it or not.
    fn take_seat(&mut self, holder: Holder, called: bool, parker: &Arc<Parker>, shard: &Shard) {
        let own_accord = holder == Holder::Caller && !called;
        // Where nobody is parked no vacancy does harm.
        let is_judged = own_accord && !self.wakes.parked.is_empty();
        self.seat.gap = is_judged.then(|| shard.clock.now() - self.seat.vacated);
        self.stats.understudies += u64::from(holder == Holder::Reactor);
        self.seat.pass_to(holder, &shard.epoch);
        self.seat.parker = Some(Arc::clone(parker));
    }

    /// Vacates the seat; who is next is for `fill_seat`.
    fn leave_seat(&mut self, epoch: &AtomicU64, now: Instant) {
        self.seat.pass_to(Holder::Nobody, epoch);
        self.seat.parker = None;
        self.seat.vacated = now;
    }

    /// True if the holder, whose attempt has just failed, had better leave the seat to others.
    pub(super) fn should_yield(&mut self) -> bool {
        match self.seat.holder {
            Holder::Nobody => false,
            Holder::Reactor => self.seat.wanted,
            Holder::Caller => self.seat.eager >= EAGER_RUN && !self.wakes.threads.is_empty(),
        }
    }

    /// After the first round of a new holder: whether the vacancy before had been harmful. It was
    /// if it was long, and something had come for others meanwhile.
    pub(super) fn judge_vacancy(&mut self) {
        let Some(gap) = self.seat.gap.take() else { return };
        let harmful = gap >= QUICK && !self.wakes.is_empty();
        self.seat.harmless = if harmful { 0 } else { (self.seat.harmless + 1).min(HARMLESS_RUN) };
    }

    /// Sees to it that a vacant seat does not stay so.
    pub(super) fn fill_seat(&mut self) {
        if self.seat.holder != Holder::Nobody || self.seat.promoted.is_some() {
            return;
        }
        if self.seat.harmless >= HARMLESS_RUN || !self.promote() {
            self.call_reactor();
        }
    }

    /// The seat is vacant and nobody is on the way to it: the reactor must tick.
    fn call_reactor(&mut self) {
        self.wakes.reactor |= std::mem::take(&mut self.seat.deep);
    }

    /// Wakes one parked thread to take the seat; false if there is none.
    fn promote(&mut self) -> bool {
        let Some(parker) = self.wakes.parked.take_latest() else { return false };
        self.seat.promoted = Some(Arc::clone(&parker));
        self.wakes.threads.push(parker);
        self.stats.promotions += 1;
        true
    }

    /// Files the calling thread as parked, waiting for `key`.
    pub(super) fn park(&mut self, parker: &Arc<Parker>, key: Key, now: Instant) {
        self.wakes.parked.add(parker);
        self.stats.parks += 1;
        match self.seat.holder {
            Holder::Nobody => {}
            // It leaves the seat to any thread that waits.
            Holder::Reactor => {
                self.seat.wanted = true;
                self.rouse();
            }
            Holder::Caller => {
                let eager = parker.since_woken(now).is_some_and(|time| time < EAGER);
                self.seat.eager = if eager { (self.seat.eager + 1).min(EAGER_RUN) } else { 0 };
            }
        }
        match key {
            Key::Socket(id, interest) => self.watch.entry(id).add(parker, interest),
            Key::Poller(poller) => self.polls.add_thread(poller, parker),
            Key::Nothing => {}
        }
    }

    /// Undoes `park`. True if the thread had been woken to take the seat.
    pub(super) fn unpark(&mut self, parker: &Arc<Parker>, key: Key) -> bool {
        self.wakes.parked.remove(parker);
        match key {
            Key::Socket(id, _) => {
                if let Some(watched) = self.watch.get(id) {
                    watched.drop_thread(parker);
                }
            }
            Key::Poller(poller) => self.polls.drop_thread(poller, parker),
            Key::Nothing => {}
        }
        self.seat.promoted.take_if(|promoted| Arc::ptr_eq(promoted, parker)).is_some()
    }
}

/// Proof that this thread has the seat. A panic in the engine must not take the seat along: every
/// other thread of the host would wait for ever.
pub(super) struct Seated<'a> {
    shard: &'a Shard,
}

impl<'a> Seated<'a> {
    pub(super) fn take(
        shard: &'a Shard,
        guard: &mut Guard<'_>,
        holder: Holder,
        called: bool,
        parker: &Arc<Parker>,
    ) -> Seated<'a> {
        guard.take_seat(holder, called, parker, shard);
        Seated { shard }
    }

    /// Leaves the seat to the next one.
    pub(super) fn leave(self, guard: &mut Guard<'_>, now: Instant) {
        let understudy = guard.seat.holder == Holder::Reactor;
        guard.leave_seat(&self.shard.epoch, now);
        // The reactor leaves because somebody waits: it will not be back for that one.
        if !understudy || guard.seat.promoted.is_some() || !guard.promote() {
            guard.fill_seat();
        }
        std::mem::forget(self);
    }

    /// Leaves the seat vacant for those who will soon be back.
    pub(super) fn yield_to_others(self, guard: &mut Guard<'_>, now: Instant) {
        guard.leave_seat(&self.shard.epoch, now);
        guard.call_reactor();
        guard.stats.yields += 1;
        std::mem::forget(self);
    }
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        let (mut guard, now) = self.shard.enter();
        guard.leave_seat(&self.shard.epoch, now);
        guard.fill_seat();
        self.shard.unlock(guard);
    }
}
