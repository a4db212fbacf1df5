//! What the holder of the seat does: gather frames without the lock, hand them in with it.

use std::sync::Arc;
use std::time::Duration;

use tapdev::{Fault, classify};

use super::batch::Batch;
use super::block::{Outcome, Wish};
use super::park::Parker;
use super::seat::{Holder, Seated};
use super::shard::{DOWN_PAUSE, Engine, Guard, LinkState, Shard};
use super::sync::thread;
use super::vigil::SLICE;
use super::watch::Key;
use crate::{Instant, InterfaceId};

/// How a holder spends one round without the lock.
struct Round {
    until: Instant,
    link: LinkState,
    /// A thread in a blocking call spends it, and not the reactor, whom nobody waits for.
    is_caller: bool,
}

impl Shard {
    /// Takes the vacant seat and drives until the wish comes true, its time is over, or others
    /// should have the seat. The attempt has just failed, in this hold of the lock.
    pub(super) fn drive<'a>(
        &'a self,
        mut guard: Guard<'a>,
        holder: Holder,
        wish: &mut Wish<'_>,
        mut now: Instant,
    ) -> (Guard<'a>, Outcome, Instant) {
        let parker = Parker::of_this_thread();
        let seated = Seated::take(self, &mut guard, holder, wish.called, &parker);
        // Declared after the proof of the seat, the lock is released before it in a panic.
        let mut guard = guard;
        let mut batch = guard.spare.pop().unwrap_or_else(|| Batch::new(&*self.device));
        let outcome = loop {
            guard.seat.key = wish.key;
            (guard, now) = self.settle(guard, now);
            if std::mem::take(&mut guard.seat.matched) {
                // Sending made room, or the like: our own work was what we waited for.
                guard.seat.key = Key::Nothing;
                if (wish.attempt)(&mut guard, now) {
                    break Outcome::Done;
                }
                continue;
            }
            let round = guard.begin_round(wish.deadline);
            self.unlock(guard);
            let gathered = self.gather(&mut batch, &round, &parker);
            (guard, now) = self.enter_at(gathered.unwrap_or_default());
            guard.absorb(&mut batch, gathered.map(drop), now);
            guard.judge_vacancy();
            guard.seat.key = Key::Nothing;
            guard.seat.matched = false;
            if let Some(outcome) = wish.look(&mut guard, now) {
                break outcome;
            }
            if guard.should_yield() {
                break Outcome::Yielded;
            }
        };
        guard.spare.push(batch);
        match (outcome, holder) {
            (Outcome::Yielded, Holder::Caller) => seated.yield_to_others(&mut guard, now),
            _ => seated.leave(&mut guard, now),
        }
        (guard, outcome, now)
    }

    /// Fills `batch` with what the device has, or sleeps until it has something, `until` comes,
    /// or the holder is roused. The time, if it has just been read.
    fn gather(
        &self,
        batch: &mut Batch,
        round: &Round,
        parker: &Arc<Parker>,
    ) -> Result<Option<Instant>, Fault> {
        let left = || (!round.until.is_never()).then(|| round.until - self.clock.now());
        if let LinkState::Down(again) = round.link {
            batch.clear();
            parker.park(left());
            let is_early = self.clock.now() < again;
            return if is_early { Err(Fault::Down) } else { self.revive().map(|()| None) };
        }
        batch.fill(&*self.device)?;
        let found = match batch.is_empty() && round.is_caller {
            true => self.look(batch, round.until)?,
            false => None,
        };
        if !batch.is_empty() {
            return Ok(found);
        }
        let left = left();
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
        batch.await_frames(&*self.device, left).map(|()| None)
    }

    /// Looks for frames before sleeping, if that has paid of late, but not beyond `until`. When it
    /// found some.
    fn look(&self, batch: &mut Batch, until: Instant) -> Result<Option<Instant>, Fault> {
        let most = self.look.most;
        if most.is_zero() || !batch.vigil.begin() {
            return Ok(None);
        }
        let yields = batch.vigil.yields(self.look);
        let (mut now, mut longest) = (self.clock.now(), Duration::ZERO);
        let end = until.min(now + most);
        while batch.is_empty() && now < end {
            if yields {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
            batch.fill(&*self.device)?;
            let before = std::mem::replace(&mut now, self.clock.now());
            longest = longest.max(now - before);
        }
        batch.vigil.end(!batch.is_empty());
        if yields && longest >= SLICE {
            batch.vigil.give_way();
        }
        Ok((!batch.is_empty()).then_some(now))
    }

    /// Asks a device that was left alone for a while.
    fn revive(&self) -> Result<(), Fault> {
        self.device.revive().map_err(|error| classify(&error))
    }
}

impl Engine {
    /// Sets down until when the holder sleeps: the next timer, or the end of its own patience.
    fn begin_round(&mut self, deadline: Instant) -> Round {
        let next = self.stack.next_timeout().unwrap_or(Instant::FAR_FUTURE);
        let mut until = next.min(deadline);
        if let LinkState::Down(again) = self.link {
            until = until.min(again);
        } else if self.faulty {
            // The device is worth a try at once.
            until = Instant::ZERO;
        }
        self.seat.until = until;
        Round { until, link: self.link, is_caller: self.seat.holder == Holder::Caller }
    }

    /// Hands a batch in, and takes note of what the device said.
    pub(super) fn absorb(&mut self, batch: &mut Batch, fault: Result<(), Fault>, now: Instant) {
        self.seat.roused = false;
        self.take_in(InterfaceId::FIRST, batch, now);
        match fault {
            Ok(()) => self.link_answered(now),
            Err(fault) => self.link_down(fault, now),
        }
    }

    /// Hands the frames of an interface's device in, and lets time pass.
    pub(super) fn take_in(&mut self, interface: InterfaceId, batch: &mut Batch, now: Instant) {
        if !batch.is_empty() {
            self.stats.batches += 1;
            self.stats.frames_in += batch.len() as u64;
            for frame in batch.frames() {
                self.sort(now, interface, frame);
            }
            batch.clear();
        }
        self.stack.advance(now);
        self.dispatch();
    }

    /// The device is to be left alone for a while: asking again at once would be a busy loop.
    pub(super) fn link_down(&mut self, fault: Fault, now: Instant) {
        if !self.faulty {
            log::warn!("the device does not answer ({fault:?}): asking every {DOWN_PAUSE:?}");
            self.stats.link_losses += 1;
            self.stack.set_link(false);
        }
        self.faulty = true;
        match self.link {
            LinkState::Down(again) if now < again => {}
            _ => self.link = LinkState::Down(now + DOWN_PAUSE),
        }
    }

    /// A round without a fault: one that asked a device that was down makes it worth a try, and
    /// one that used it ends the fault.
    fn link_answered(&mut self, now: Instant) {
        match self.link {
            LinkState::Down(again) if again <= now => self.link = LinkState::Up,
            LinkState::Up if self.faulty => {
                self.faulty = false;
                self.stack.set_link(true);
                log::info!("the device answers again");
            }
            LinkState::Up | LinkState::Down(_) => {}
        }
    }
}
