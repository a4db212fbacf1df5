//! Who moves the clock, and how a call blocks.
//!
//! packetdrill has two threads. Its main thread sleeps, injects packets and waits for packets; a
//! second one makes those calls that a script expects to block. The clock moves only in `usleep`,
//! `netdev_receive` and, by a microsecond, `gettimeofday`. After every step the mover waits until
//! each blocked call has looked whether the step concerns it ([`Door::settle`]), and one that has
//! ended has read the clock (packetdrill does so first of all): so that a call ends at the very
//! moment that ends it, however the kernel schedules the threads.
//!
//! A call that blocks on the main thread has nobody to wait for, and moves the clock itself. So
//! does a blocked call on the second thread when the main thread has not called for a while: it
//! waits for that very call, and the call for its time-out.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use stack::host::Errno;

use crate::flags::Flags;
use crate::world::{Packet, Waiter, World};

/// Nothing was sent for so long in virtual time: the script waits in vain. Longer than the two
/// hours of keepalive, RFC 9293's longest wait.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// Most steps of the clock for one packet or one call: beyond, some timer spins.
const STEPS_MAX: u32 = 1_000_000;

/// Real time that a blocked call gets to look at a change, or its thread to be heard of again.
const SETTLE_MAX: Duration = Duration::from_millis(200);

/// Real time without a call of anybody's after which a blocked call moves the clock itself: the
/// main thread then waits for it, as packetdrill does before its next call, a second at most.
const IDLE: Duration = Duration::from_millis(300);

/// EDEADLK: the call would block for ever.
pub(crate) const DEADLOCK: Errno = Errno::from_number(libc::EDEADLK);

/// How long a call may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// So long, virtual time.
    For(Duration),
    /// As long as it takes.
    Forever,
}

/// A call ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// Its patience is over.
    TimedOut,
    /// It moved the clock itself, and nothing will ever happen.
    Deadlock,
}

impl From<GaveUp> for Errno {
    fn from(why: GaveUp) -> Errno {
        match why {
            GaveUp::TimedOut => Errno::EAGAIN,
            GaveUp::Deadlock => DEADLOCK,
        }
    }
}

/// The stack under test.
pub(crate) struct Door {
    world: Mutex<World>,
    changed: Condvar,
    /// The thread that made the door.
    main: ThreadId,
}

type Guard<'a> = MutexGuard<'a, World>;

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Door {
    pub(crate) fn new(flags: &Flags) -> Door {
        let world = Mutex::new(World::new(flags));
        Door { world, changed: Condvar::new(), main: thread::current().id() }
    }

    /// No code leaves a world half changed: a poisoned lock is as good as any.
    fn lock(&self) -> Guard<'_> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.activity += 1;
        let me = thread::current().id();
        if world.returning.contains(&me) {
            world.returning.retain(|thread| *thread != me);
            self.changed.notify_all();
        }
        world
    }

    /// A call that does not block.
    pub(crate) fn call<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        let answer = act(&mut world);
        world.pump();
        self.tell(&mut world);
        if thread::current().id() == self.main {
            drop(self.settle(world));
        }
        answer
    }

    /// Every blocked call is to look again.
    fn tell(&self, world: &mut World) {
        world.waiters.values_mut().for_each(|waiter| waiter.awake = true);
        self.changed.notify_all();
    }

    /// Waits, in real time, until every blocked call has looked and blocks again, and every thread
    /// whose call has ended has been heard of.
    fn settle<'a>(&self, mut world: Guard<'a>) -> Guard<'a> {
        let me = thread::current().id();
        let busy = |world: &World| {
            world.waiters.values().any(|waiter| waiter.awake)
                || world.returning.iter().any(|thread| *thread != me)
        };
        while busy(&world) {
            let (guard, timeout) = self
                .changed
                .wait_timeout(world, SETTLE_MAX)
                .unwrap_or_else(PoisonError::into_inner);
            world = guard;
            if timeout.timed_out() {
                world.returning.clear();
                break;
            }
        }
        world
    }

    /// One step of the clock, with everything that it sets off.
    fn step<'a>(&'a self, mut world: Guard<'a>, limit: Option<u64>) -> (Guard<'a>, bool) {
        let stepped = world.step(limit);
        self.tell(&mut world);
        (self.settle(world), stepped)
    }

    /// Tries until `attempt` has an answer or patience is over.
    pub(crate) fn block<T>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut(&mut World) -> Option<T>,
    ) -> Result<T, GaveUp> {
        let mut world = self.lock();
        let begun = world.now();
        let deadline = match patience {
            Patience::None => Some(begun),
            Patience::For(time) => Some(begun.saturating_add(micros(time))),
            Patience::Forever => None,
        };
        let alone = thread::current().id() == self.main;
        let mut ticket = None;
        let mut steps = 0;
        let answer = loop {
            let answer = attempt(&mut world);
            world.pump();
            if let Some(answer) = answer {
                break Ok(answer);
            }
            if deadline.is_some_and(|deadline| world.now() >= deadline) {
                break Err(GaveUp::TimedOut);
            }
            if alone {
                let stepped;
                (world, stepped) = self.step(world, deadline);
                steps += 1;
                let lost = world.now() - begun > micros(PATIENCE) || steps > STEPS_MAX;
                if !stepped || lost {
                    break Err(GaveUp::Deadlock);
                }
            } else {
                world = self.sleep(world, &mut ticket, deadline);
            }
        };
        if let Some(ticket) = ticket {
            world.waiters.remove(&ticket);
            world.returning.push(thread::current().id());
        }
        self.tell(&mut world);
        answer
    }

    /// Sleeps, truly, until told to look again.
    fn sleep<'a>(
        &self,
        mut world: Guard<'a>,
        ticket: &mut Option<u64>,
        deadline: Option<u64>,
    ) -> Guard<'a> {
        let fresh = || world.waiters.last_key_value().map_or(0, |(last, _)| last + 1);
        let ticket = *ticket.get_or_insert_with(fresh);
        world.waiters.insert(ticket, Waiter { deadline, awake: false });
        self.changed.notify_all();
        while world.waiters.get(&ticket).is_some_and(|waiter| !waiter.awake) {
            let seen = world.activity;
            let drifting = world.drifted_at == Some(seen);
            let patience = if drifting { Duration::ZERO } else { IDLE };
            let (guard, waited) =
                self.changed.wait_timeout(world, patience).unwrap_or_else(PoisonError::into_inner);
            world = guard;
            if waited.timed_out() && world.activity == seen && world.step(None) {
                world.drifted_at = Some(seen);
                self.tell(&mut world);
            }
        }
        world
    }

    /// A packet from the script's network.
    pub(crate) fn inject(&self, packet: &[u8]) -> bool {
        self.call(|world| world.inject(packet))
    }

    /// The next packet that the stack sends, however long that takes; None if it sends none.
    pub(crate) fn next_packet(&self) -> Option<Packet> {
        let mut world = self.lock();
        let begun = world.now();
        for _ in 0..STEPS_MAX {
            world = self.settle(world);
            if let Some(packet) = world.outbox.pop_front() {
                return Some(packet);
            }
            let stepped;
            (world, stepped) = self.step(world, None);
            if !stepped || world.now() - begun > micros(PATIENCE) {
                break;
            }
        }
        None
    }

    /// Virtual time passes.
    pub(crate) fn pass(&self, time: Duration) {
        let mut world = self.lock();
        let end = world.now().saturating_add(micros(time));
        while world.now() < end {
            (world, _) = self.step(world, Some(end));
        }
    }

    /// What the clock shows, microseconds since 1970.
    pub(crate) fn clock(&self) -> u64 {
        let mut world = self.lock();
        world.tick();
        self.tell(&mut world);
        world.clock()
    }
}
