//! What one thread writes in many small calls may leave together: see
//! [`Host::together`](super::Host::together).

use std::cell::Cell;
use std::thread;

use super::batch::SHORT;
use super::shard::{Engine, Guard, Shard};
use super::sync::thread_local;
use crate::Instant;

/// So many calls in a row are held back at most.
const HELD_BACK_MAX: u32 = 64;

/// What the calling thread holds back.
#[derive(Clone, Copy)]
struct Together {
    /// The address of the shard whose calls go together; 0: of none.
    shard: usize,
    /// How many calls have ended since it last sent.
    calls: u32,
}

const NOTHING: Together = Together { shard: 0, calls: 0 };

thread_local! {
    static TOGETHER: Cell<Together> = const { Cell::new(NOTHING) };
}

/// Sends what was held back, in a panic too.
struct End<'a> {
    shard: &'a Shard,
    before: Together,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let own = TOGETHER.with(|it| it.replace(self.before));
        if own.calls == 0 {
            return;
        }
        let (mut guard, now) = self.shard.enter();
        if thread::panicking() {
            // The driver sends it: a device that panicked may do so again.
            guard.rouse();
            return self.shard.unlock(guard);
        }
        self.shard.release(guard, now);
    }
}

impl Shard {
    /// Runs `work`; what its calls write leaves at its end, if not before.
    pub(super) fn together<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.is_together() {
            return work();
        }
        let shard = std::ptr::from_ref(self).addr();
        let before = TOGETHER.with(|it| it.replace(Together { shard, calls: 0 }));
        let _end = End { shard: self, before };
        work()
    }

    /// True if the calling thread's calls go together.
    pub(super) fn is_together(&self) -> bool {
        TOGETHER.with(Cell::get).shard == std::ptr::from_ref(self).addr()
    }

    /// Takes the lock for a call. Of those that go together the first reads the clock for all that
    /// are held back with it; what they have written is sent with a time of its own.
    pub(super) fn enter_call(&self) -> (Guard<'_>, Instant) {
        if !self.is_together() || TOGETHER.with(Cell::get).calls == 0 {
            return self.enter();
        }
        let guard = self.lock();
        let now = guard.wakes.now;
        (guard, now)
    }

    /// Ends a hold of the lock by a call that has what it wanted. Unless the thread holds back what
    /// its calls write, that leaves now.
    pub(super) fn finish(&self, mut guard: Guard<'_>, now: Instant) {
        if !self.is_together() {
            return self.release(guard, now);
        }
        if !self.holds_back(guard.is_much) {
            let now = self.read_clock(&mut guard);
            return self.release(guard, now);
        }
        guard.stats.held_back += 1;
        guard.dispatch();
        guard.rouse_for_changes();
        self.unlock(guard);
    }

    /// True if what this call has written, of those that go together, waits for what the next ones
    /// write.
    fn holds_back(&self, is_much: bool) -> bool {
        let mine = TOGETHER.with(Cell::get);
        let is_enough = is_much || mine.calls == HELD_BACK_MAX;
        let calls = if is_enough { 0 } else { mine.calls + 1 };
        TOGETHER.with(|it| it.set(Together { calls, ..mine }));
        !is_enough
    }
}

impl Engine {
    /// Takes note of how much a call has written: what is much does not wait.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.is_much |= bytes >= SHORT;
    }
}
