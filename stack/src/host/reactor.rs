//! The understudy: a thread that drives when nobody waits, and otherwise keeps out of the way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::block::Wish;
use super::seat::Holder;
use super::shard::Shard;
use super::sync::{self, QUIET_TICKS, Receiver, TryRecvError, thread};
use super::watch::Key;
use crate::Instant;

/// How often the reactor looks at a seat that is vacant or changes hands.
const TICK: Duration = Duration::from_millis(1);
/// How often at one that changes hands all the time: who is always back so soon does not stay away
/// now, and each look takes processor time from those who work.
const BUSY_TICK: Duration = Duration::from_millis(4);
/// So many changes of hands between two looks are all the time.
const BUSY: u64 = 32;
/// How long the reactor stays away from an engine that has panicked.
const AFTER_PANIC: Duration = Duration::from_millis(100);

/// What the reactor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// The seat has been left: tick again.
    Attend,
    /// The host has halted.
    Halt,
}

/// Starts the reactor of `shard`.
///
/// # Errors
/// The operating system refuses a thread.
pub(super) fn start(
    shard: Arc<Shard>,
    control: Receiver<Control>,
) -> io::Result<thread::JoinHandle<()>> {
    let mut reactor = Reactor { shard, control, seen: 0, tick: TICK, quiet: 0, deep: false };
    // A panic in the engine must not end the only thread that every vacancy counts on.
    sync::spawn("tapstack", AFTER_PANIC, move || reactor.run())
}

struct Reactor {
    shard: Arc<Shard>,
    control: Receiver<Control>,
    /// The epoch at the last tick.
    seen: u64,
    /// Until the next look.
    tick: Duration,
    /// Ticks since the seat last changed hands, while it is taken.
    quiet: u32,
    deep: bool,
}

impl Reactor {
    fn run(&mut self) {
        // The seat is vacant at first, and nobody need ever wait.
        while self.look() {
            let told = if self.deep {
                self.control.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                // Not `recv_timeout`, which yields the processor several times before it sleeps,
                // to the very thread that it must not disturb.
                thread::park_timeout(self.tick);
                self.control.try_recv()
            };
            match told {
                Ok(Control::Attend) => self.deep = false,
                Ok(Control::Halt) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {}
            }
        }
    }

    /// One tick, mostly without the lock: two loads. False once the host has halted.
    fn look(&mut self) -> bool {
        let epoch = self.shard.epoch.load(Ordering::Acquire);
        let changes = epoch - self.seen;
        self.seen = epoch;
        self.tick = if changes < BUSY { TICK } else { BUSY_TICK };
        if changes > 0 {
            self.quiet = 0;
            // Odd: taken since the last tick. Even: left since then, and perhaps taken again soon.
            return true;
        }
        if epoch.is_multiple_of(2) {
            return self.fill_vacancy(epoch);
        }
        self.quiet += 1;
        if self.quiet >= QUIET_TICKS {
            self.quiet = 0;
            return self.sleep_deeply(epoch);
        }
        true
    }

    /// The seat has been vacant for a tick: drives until somebody parks.
    fn fill_vacancy(&mut self, epoch: u64) -> bool {
        let (guard, now) = self.shard.enter();
        if guard.halted || guard.seat.epoch != epoch {
            return !guard.halted;
        }
        let mut wish = Wish {
            key: Key::Nothing,
            deadline: Instant::FAR_FUTURE,
            despite_stop: true,
            called: false,
            attempt: &mut |engine, _| engine.halted,
        };
        let (guard, _, now) = self.shard.drive(guard, Holder::Reactor, &mut wish, now);
        let halted = guard.halted;
        self.seen = guard.seat.epoch;
        self.shard.release(guard, now);
        !halted
    }

    /// One thread has kept the seat for long: from now on, leaving it wakes the reactor.
    fn sleep_deeply(&mut self, epoch: u64) -> bool {
        let mut guard = self.shard.lock();
        if guard.seat.epoch == epoch {
            guard.seat.deep = true;
            self.deep = true;
        }
        !guard.halted
    }
}
