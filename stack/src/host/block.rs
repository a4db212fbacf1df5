//! Every blocking call is one loop and a closure.

use std::time::Duration;

use super::park::Parker;
use super::seat::Holder;
use super::shard::{Engine, Guard, Shard};
use super::task::Task;
use super::watch::Key;
use crate::Instant;

/// How long a call may block.
#[derive(Clone, Copy)]
pub(crate) enum Patience<'a> {
    /// Not at all: a non-blocking socket.
    None,
    /// Not at all, but what the device has is taken in first, if nobody else does that.
    Glance,
    /// Not at all: the task is woken when it is worth another try.
    Task(Task<'a>),
    /// As long as this.
    For(Duration),
    /// Until it succeeds or fails.
    Forever,
}

impl Patience<'_> {
    fn deadline(self, now: Instant) -> Instant {
        match self {
            Patience::None | Patience::Glance | Patience::Task(_) => now,
            Patience::For(time) => now + time,
            Patience::Forever => Instant::FAR_FUTURE,
        }
    }
}

/// Why a blocking call gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// It would block, and its patience was at an end.
    TimedOut,
    /// The host shuts down.
    Stopped,
}

/// How a stretch of driving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    TimedOut,
    Stopped,
    /// The seat is left to others. The attempt has just failed, in the same hold of the lock.
    Yielded,
}

/// What a thread waits for.
pub(super) struct Wish<'a> {
    pub(super) key: Key,
    pub(super) deadline: Instant,
    /// It goes on while the host shuts down.
    pub(super) despite_stop: bool,
    /// The thread was woken to take the seat.
    pub(super) called: bool,
    /// Under the lock: true once it has what it came for.
    pub(super) attempt: &'a mut dyn FnMut(&mut Engine, Instant) -> bool,
}

impl Wish<'_> {
    /// Makes the attempt, and says whether the waiting is over.
    pub(super) fn look(&mut self, engine: &mut Engine, now: Instant) -> Option<Outcome> {
        if (self.attempt)(engine, now) {
            Some(Outcome::Done)
        } else if engine.stopping && !self.despite_stop {
            Some(Outcome::Stopped)
        } else if now >= self.deadline {
            Some(Outcome::TimedOut)
        } else {
            None
        }
    }
}

impl Shard {
    /// Runs a socket call that may block: `attempt` is repeated, under the lock, whenever what
    /// `key` names may have changed, until it gives an answer.
    pub(crate) fn block_on<T>(
        &self,
        key: Key,
        patience: Patience<'_>,
        mut attempt: impl FnMut(&mut Engine, Instant) -> Option<T>,
    ) -> Result<T, GaveUp> {
        let (mut guard, now) = self.enter_for(key, patience);
        if let Some(answer) = attempt(&mut guard, now) {
            let stale = match patience {
                Patience::Task(task) => task.unfile(&mut guard.watch),
                _ => None,
            };
            self.finish(guard, now);
            // Not under the lock: it may be the last to hold a task, and that a socket.
            drop(stale);
            return Ok(answer);
        }
        let at_once = match patience {
            Patience::None => true,
            Patience::Glance => guard.seat.holder != Holder::Nobody,
            Patience::Task(task) => return Err(self.file(guard, task, now)),
            Patience::For(_) | Patience::Forever => false,
        };
        if at_once || guard.stopping {
            let why = if guard.stopping { GaveUp::Stopped } else { GaveUp::TimedOut };
            self.finish(guard, now);
            return Err(why);
        }
        // A call that goes together with others has begun with an older time.
        let now = if self.is_together() { self.read_clock(&mut guard) } else { now };
        let mut answer = None;
        let mut wish = Wish {
            key,
            deadline: patience.deadline(now),
            despite_stop: false,
            called: false,
            attempt: &mut |engine, now| {
                answer = attempt(engine, now);
                answer.is_some()
            },
        };
        match self.wait_for(guard, &mut wish, now) {
            Outcome::Stopped => Err(GaveUp::Stopped),
            _ => answer.ok_or(GaveUp::TimedOut),
        }
    }

    /// Takes the lock, and reads the clock if the time matters: for a poller it does not, as long
    /// as nobody has anything to send, or what is to be sent is held back.
    fn enter_for(&self, key: Key, patience: Patience<'_>) -> (Guard<'_>, Instant) {
        match (key, patience) {
            (Key::Poller(_), Patience::None | Patience::Glance | Patience::Forever) => {
                let mut guard = self.lock();
                let holds_back = self.is_together();
                let now = if holds_back { guard.wakes.now } else { self.time_to_send(&mut guard) };
                (guard, now)
            }
            _ => self.enter_call(),
        }
    }

    /// Files a task whose attempt has just failed, in this hold of the lock.
    fn file(&self, mut guard: Guard<'_>, task: Task<'_>, now: Instant) -> GaveUp {
        let stopping = guard.stopping;
        let stale = if stopping { None } else { task.file(&mut guard.watch) };
        self.finish(guard, now);
        drop(stale);
        if stopping { GaveUp::Stopped } else { GaveUp::TimedOut }
    }

    /// Waits, in the seat or parked, until the wish comes true. Its attempt has just failed, in
    /// this hold of the lock.
    pub(super) fn wait_for<'a>(
        &'a self,
        mut guard: Guard<'a>,
        wish: &mut Wish<'_>,
        mut now: Instant,
    ) -> Outcome {
        let outcome = loop {
            if guard.seat.holder == Holder::Nobody {
                let (held, outcome, later) = self.drive(guard, Holder::Caller, wish, now);
                (guard, now) = (held, later);
                if outcome != Outcome::Yielded {
                    break outcome;
                }
            }
            (guard, now) = self.park(guard, wish);
            if let Some(outcome) = wish.look(&mut guard, now) {
                if wish.called {
                    guard.fill_seat();
                }
                break outcome;
            }
        };
        self.finish(guard, now);
        outcome
    }

    /// Sleeps until woken, perhaps for taking the seat.
    fn park<'a>(&'a self, mut guard: Guard<'a>, wish: &mut Wish<'_>) -> (Guard<'a>, Instant) {
        let parker = Parker::of_this_thread();
        let now = self.read_clock(&mut guard);
        guard.park(&parker, wish.key, now);
        self.release(guard, now);
        let timeout = (!wish.deadline.is_never()).then(|| wish.deadline - now);
        parker.park(timeout);
        let (mut guard, now) = self.enter();
        wish.called = guard.unpark(&parker, wish.key);
        (guard, now)
    }
}
