//! One engine, one lock, one seat, and the device that is waited for there; what further devices
//! have is brought in by threads of theirs (`further.rs`).
//!
//! # The protocol: whoever waits, drives
//!
//! The *lock* is a mutex around the [`Engine`]: the stack and the tables of who waits for what.
//! The *seat* is the right to wait for the device; it is a field of the engine, so it changes
//! hands under the lock, but it is held across the waiting, without the lock.
//!
//! A socket call makes its *attempt* under the lock. If that fails and the call may block, then in
//! the same hold of the lock the thread becomes one of two things:
//!
//! - the **driver**, if it can have the seat. It records what it waits for (`seat.key`) and until
//!   when it may sleep (`seat.until`), releases the lock, reads a batch of frames or sleeps in
//!   `Device::wait`, takes the lock again, hands the batch in, repeats its attempt, and leaves the
//!   seat once the attempt succeeds. A request therefore meets the thread that wants it without
//!   any other thread having run.
//! - **parked**: its [`Parker`] is filed under the socket (or poller) and in `parked`.
//!
//! A future does not stay: its waker is filed under the socket, and it returns. It can neither take
//! the seat nor be promoted to it, so where only futures wait the reactor drives.
//!
//! Every hold of the lock that may have changed something ends in [`Shard::release`]: frames are
//! sent, events are turned into wake-ups, the lock is released, and only then threads are woken.
//! Or in [`Shard::finish`], which may leave the frames, and nothing else, for a later hold of the
//! same thread (`together.rs`), or for whoever sends before that.
//!
//! ## Who gets the seat
//!
//! Whoever would block and finds it vacant. A seat is never taken from its holder: the holder
//! leaves it, under the lock, when
//!
//! - its attempt succeeds, or its time is over;
//! - it is the reactor thread, the understudy, and somebody parks (who rouses it);
//! - it has of late only woken others, who were back at once to wait again (the acceptor beside a
//!   busy connection): it then parks and leaves the seat to them.
//!
//! A driver that leaves promotes one parked thread: it wakes the one that parked last, which makes
//! its attempt and then finds the seat vacant. There is at most one promotion under way. But where
//! vacancies have lately done no harm the seat is left without a promotion: if the leaving thread
//! is back within [`QUICK`], its next request comes before the promoted thread would run, and if
//! nothing comes for the parked threads in the meantime they need no driver. A wake-up for nothing
//! costs more than a request. The reactor repairs what this guess gets wrong.
//!
//! ## The reactor
//!
//! A thread that sends a long burst also takes in what has come meanwhile, as Linux does in a long
//! `write` ([`Shard::glance`]); to the reactor that is as good as a holder.
//!
//! While the seat is vacant or changes hands the reactor ticks every millisecond, or every fourth
//! while it changes hands all the time. If it finds the seat vacant for a whole tick it takes it,
//! even if threads are parked: which of them is busy it cannot know. The first that parks anew is,
//! and gets the seat. When one thread has kept the seat for a while, the reactor goes to deep sleep
//! (`seat.deep`), from which the next leaving driver wakes it.
//!
//! ## Why no wake-up is lost
//!
//! 1. What a thread waits for changes only under the lock. It records itself as driver or as
//!    parked in the hold in which its attempt failed; so each later change finds the record.
//! 2. Each change emits an event (or, for a poller, an entry in its list) which `release` of the
//!    same hold turns into a wake-up: of a parked thread through its parker, which keeps a wake-up
//!    that comes before the sleep; of the driver through `Device::wake`, which does so too. Only
//!    the holder of the seat is ever in `Device::wait`, so nobody else consumes that. A driver's
//!    own changes need no wake-up: it looks at `seat.matched` before it sleeps.
//! 3. A woken thread always makes its attempt, even if its time is over. A thread that was woken
//!    for a connection to accept, and was late, has been served no worse than the one that took
//!    it; whoever accepts and sees more passes the wake-up on.
//!    A future that was woken and is dropped instead passes it on, too (`Slot::cancel`).
//! 4. Frames come in only through the seat. If it is taken, its holder is in `Device::wait` or
//!    about to take the lock. If it is vacant, either a promoted thread is about to take the lock
//!    (and promotes another one if it does not take the seat) or the reactor ticks: deep sleep
//!    begins under the lock with the seat taken, and leaving a seat without a promotion ends it.
//! 5. The holder sleeps no longer than `seat.until`, the stack's next timeout when it released the
//!    lock; whoever moves that timeout to an earlier time rouses the holder in its `release`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};
use std::task::Waker;
use std::time::Duration;

use tapdev::Device;

use super::batch::Batch;
use super::clock::Clock;
use super::outbox::{BURST, Outbox};
use super::park::{Parked, Parker};
use super::passing::Passing;
use super::reactor::Control;
use super::ready::{Offer, Polls, readiness};
use super::seat::{Holder, Seat};
use super::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Sender, thread};
use super::vigil::Look;
use super::watch::Watch;
use crate::wire::interface::InterfaceSet;
use crate::{Event, Instant, ListenerId, Readiness, SocketId, Stack};

/// A vacancy shorter than this harms nobody: a promoted thread would not have come much sooner.
pub(super) const QUICK: Duration = Duration::from_micros(100);
/// How long a device that is down or gone is left alone.
pub(super) const DOWN_PAUSE: Duration = Duration::from_millis(50);

/// What the host's threads share.
pub(crate) struct Shard {
    engine: Mutex<Engine>,
    pub(super) device: Box<dyn Device>,
    /// Those of the interfaces after the first, in order.
    pub(super) further: Vec<Arc<dyn Device>>,
    pub(super) clock: Clock,
    /// How a driver looks for frames before it sleeps.
    pub(super) look: Look,
    /// Grows whenever the seat changes hands; odd while it is taken. Written under the lock.
    pub(super) epoch: AtomicU64,
    /// Threads that found the lock taken and wait for it.
    contenders: AtomicUsize,
    control: Sender<Control>,
}

/// What is behind the lock.
pub(crate) struct Engine {
    pub(crate) stack: Stack,
    pub(crate) watch: Watch,
    pub(crate) polls: Polls,
    pub(super) seat: Seat,
    pub(super) wakes: Wakes,
    pub(super) link: LinkState,
    /// The device's last answer was a fault.
    pub(super) faulty: bool,
    /// The interfaces whose devices, of the further ones, do not work.
    pub(super) further_down: InterfaceSet,
    /// The host shuts down: no call may block any more, but that of the one who shuts down.
    pub(crate) stopping: bool,
    /// The reactor must end.
    pub(super) halted: bool,
    /// Receive buffers of drivers that left.
    pub(super) spare: Vec<Batch>,
    /// Open listeners, to close them at the end.
    pub(crate) listeners: Vec<ListenerId>,
    pub(super) stats: HostStats,
    /// Set where the host has further shards.
    pub(super) passing: Option<Passing>,
    pub(super) outbox: Outbox,
    /// The call that has the lock has written much.
    pub(super) is_much: bool,
}

/// How the device fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    Up,
    /// It is down, or does not exist; ask it again at this time. Sockets live on.
    Down(Instant),
}

/// Who sleeps, and the wake-ups to deliver after the lock is released.
#[derive(Default)]
pub(super) struct Wakes {
    /// When the clock was last read under the lock.
    pub(super) now: Instant,
    pub(super) parked: Parked,
    pub(super) threads: Vec<Arc<Parker>>,
    pub(super) tasks: Vec<Waker>,
    /// Make the holder of the seat look.
    pub(super) rouse: bool,
    /// Wake the reactor from deep sleep.
    pub(super) reactor: bool,
    hand_overs: u64,
}

impl Wakes {
    /// Nobody is to be woken.
    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty() && self.tasks.is_empty()
    }

    /// Nor is there anything else to do once the lock is released.
    fn are_done(&self) -> bool {
        self.is_empty() && !self.rouse && !self.reactor
    }

    /// Wakes a thread because what it waits for may have come.
    fn wake(&mut self, parker: Arc<Parker>) {
        self.parked.remove(&parker);
        parker.woken(self.now);
        self.threads.push(parker);
        self.hand_overs += 1;
    }
}

/// A poller has something: its driver looks by itself, or one that sleeps in it is woken.
fn wake_poller(seat: &mut Seat, polls: &mut Polls, wakes: &mut Wakes, poller: u32) {
    if seat.waits_for(poller) {
        seat.matched = true;
    } else if let Some(parker) = polls.take_thread(poller) {
        wakes.wake(parker);
    }
}

/// What the shell counts about itself; nothing here is about a protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Batches of frames handed in.
    pub batches: u64,
    /// Frames handed in.
    pub frames_in: u64,
    /// Frames the device took.
    pub frames_out: u64,
    /// Frames the device refused: they are lost, as on a wire.
    pub device_drops: u64,
    /// Times a thread parked because another one had the seat.
    pub parks: u64,
    /// Times a parked thread was woken by another one's work.
    pub hand_overs: u64,
    /// Times a parked thread was woken to take the seat.
    pub promotions: u64,
    /// Times the device was found down or gone.
    pub link_losses: u64,
    /// Times a driver left the seat to others for whom alone it had worked.
    pub yields: u64,
    /// Times the reactor took the seat.
    pub understudies: u64,
    /// Frames that were passed to other shards, to whom they belong.
    pub passed: u64,
    /// Frames that were lost because another shard's inbox was full.
    pub passed_lost: u64,
    /// Times the driver was woken for a timer or by a call of another thread.
    pub rousings: u64,
    /// Calls that left what they wrote to be sent with what later ones wrote.
    pub held_back: u64,
}

pub(crate) type Guard<'a> = MutexGuard<'a, Engine>;

impl Shard {
    pub(super) fn new(
        stack: Stack,
        device: Box<dyn Device>,
        further: Vec<Arc<dyn Device>>,
        look: Look,
        control: Sender<Control>,
    ) -> Shard {
        let engine = Engine {
            stack,
            watch: Watch::default(),
            polls: Polls::default(),
            seat: Seat::new(),
            wakes: Wakes::default(),
            link: LinkState::Up,
            faulty: false,
            further_down: InterfaceSet::EMPTY,
            stopping: false,
            halted: false,
            spare: vec![Batch::new(&*device)],
            listeners: Vec::new(),
            stats: HostStats::default(),
            passing: None,
            outbox: Outbox::new(),
            is_much: false,
        };
        Shard {
            engine: Mutex::new(engine),
            device,
            further,
            clock: Clock::start(),
            look,
            epoch: AtomicU64::new(0),
            contenders: AtomicUsize::new(0),
            control,
        }
    }

    /// Takes the lock. A panic under it does not close the host: the tables stay consistent at
    /// every call into the stack, and an error for one thread is better than one for all.
    pub(crate) fn lock(&self) -> Guard<'_> {
        match self.engine.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.contenders.fetch_add(1, Ordering::Relaxed);
                let guard = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
                self.contenders.fetch_sub(1, Ordering::Relaxed);
                guard
            }
        }
    }

    /// Takes the lock and reads the clock, in this order: time never runs backwards under it.
    pub(super) fn enter(&self) -> (Guard<'_>, Instant) {
        let mut guard = self.lock();
        let now = self.read_clock(&mut guard);
        (guard, now)
    }

    /// The same, where the clock may just have been read.
    pub(super) fn enter_at(&self, read: Option<Instant>) -> (Guard<'_>, Instant) {
        let Some(read) = read else { return self.enter() };
        let mut guard = self.lock();
        // Others may have read it since, under the lock.
        guard.wakes.now = guard.wakes.now.max(read);
        let now = guard.wakes.now;
        (guard, now)
    }

    /// Reads the clock for a hold of the lock that has begun without.
    pub(super) fn read_clock(&self, guard: &mut Guard<'_>) -> Instant {
        guard.wakes.now = self.clock.now();
        guard.wakes.now
    }

    /// Runs a socket call that never blocks.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&mut Engine, Instant) -> T) -> T {
        let (mut guard, now) = self.enter_call();
        let answer = call(&mut guard, now);
        self.finish(guard, now);
        answer
    }

    /// Runs a socket call that never blocks and needs no time: unless somebody has something to
    /// send, the clock is not read.
    pub(crate) fn ask<T>(&self, call: impl FnOnce(&mut Engine) -> T) -> T {
        let mut guard = self.lock();
        let answer = call(&mut guard);
        let now = self.time_to_send(&mut guard);
        self.finish(guard, now);
        answer
    }

    /// The time, if there is something to send; if not, that of the last hold of the lock.
    pub(super) fn time_to_send(&self, guard: &mut Guard<'_>) -> Instant {
        if guard.stack.is_silent() { guard.wakes.now } else { self.read_clock(guard) }
    }

    /// Ends a hold of the lock by a thread that is not the driver.
    pub(crate) fn release(&self, mut guard: Guard<'_>, now: Instant) {
        guard.is_much = false;
        let sent = guard.outbox.taken;
        let (mut guard, _) = self.settle(guard, now);
        if guard.outbox.taken - sent >= BURST && guard.seat.holder == Holder::Nobody {
            guard = self.glance(guard);
        }
        guard.rouse_for_changes();
        self.unlock(guard);
    }

    /// Takes in what has come in answer to a long burst of our own, as Linux does in a long
    /// `write`: the acknowledgments let the burst go on, and the reactor need not come for them.
    /// The seat is vacant, and while this thread holds the lock nobody else can take it.
    fn glance<'a>(&'a self, mut guard: Guard<'a>) -> Guard<'a> {
        if guard.link != LinkState::Up {
            return guard;
        }
        let mut batch = guard.spare.pop().unwrap_or_else(|| Batch::new(&*self.device));
        let fault = batch.fill(&*self.device);
        let now = self.read_clock(&mut guard);
        guard.absorb(&mut batch, fault, now);
        guard.spare.push(batch);
        guard.seat.touch(&self.epoch);
        self.settle(guard, now).0
    }

    /// Sends all there is to send, and turns the stack's events into wake-ups. When others want
    /// the lock it is offered to them between two bursts of frames, and it is later when it comes
    /// back.
    pub(super) fn settle<'a>(
        &'a self,
        mut guard: Guard<'a>,
        mut now: Instant,
    ) -> (Guard<'a>, Instant) {
        // Most holds of the lock have nothing to send: that is told from less code.
        while !guard.stack.is_silent() && guard.transmit(self, now) {
            if self.contenders.load(Ordering::Relaxed) > 0 {
                drop(guard);
                thread::yield_now();
                (guard, now) = self.enter();
            }
        }
        guard.dispatch();
        (guard, now)
    }

    /// Releases the lock, delivers the wake-ups, and hands in what other shards were given.
    pub(super) fn unlock(&self, mut guard: Guard<'_>) {
        let given = guard.take_given();
        self.unlock_and_wake(guard);
        given.iter().for_each(|shard| shard.hand_in());
    }

    pub(super) fn unlock_and_wake(&self, mut guard: Guard<'_>) {
        if guard.wakes.are_done() {
            return;
        }
        let threads = std::mem::take(&mut guard.wakes.threads);
        let tasks = std::mem::take(&mut guard.wakes.tasks);
        let rouse = std::mem::take(&mut guard.wakes.rouse);
        let reactor = std::mem::take(&mut guard.wakes.reactor);
        let up = guard.link == LinkState::Up;
        let holder = if rouse && !up { guard.seat.parker.clone() } else { None };
        drop(guard);
        if rouse {
            self.device.wake();
        }
        // Without a device to sleep in, the holder sleeps in its parker.
        if let Some(holder) = holder {
            holder.unpark();
        }
        if reactor {
            // A full queue means that it has been called and not yet looked.
            let _ = self.control.try_send(Control::Attend);
        }
        for parker in &threads {
            parker.unpark();
        }
        for task in tasks {
            task.wake();
        }
    }
}

impl Engine {
    /// Turns the stack's events into wake-ups.
    pub(super) fn dispatch(&mut self) {
        while let Some(event) = self.stack.poll_event() {
            self.deliver(event);
        }
    }

    fn deliver(&mut self, event: Event) {
        let matched = self.seat.matches(event.socket, event.readiness);
        self.seat.matched |= matched;
        let Some(watched) = self.watch.get(event.socket) else { return };
        // One new connection is for one thread: whoever accepts it passes the wake-up on.
        let limit = match event.socket {
            SocketId::Listener(_) => usize::from(!matched),
            _ => usize::MAX,
        };
        let left = watched.take_ready(event.readiness, limit, |it| self.wakes.wake(it));
        watched.take_ready_tasks(event.readiness, left, &mut self.wakes.tasks);
        for &registration in &watched.polls {
            if let Offer::Queued(poller) = self.polls.offer(registration, event.readiness) {
                wake_poller(&mut self.seat, &mut self.polls, &mut self.wakes, poller);
            }
        }
    }

    /// Somebody other than the driver changed something: the driver must look if this is what it
    /// waits for, or if it sleeps too long.
    pub(super) fn rouse_for_changes(&mut self) {
        let matched = std::mem::take(&mut self.seat.matched);
        if self.seat.holder == Holder::Nobody {
            return;
        }
        let early = self.stack.next_timeout().is_some_and(|next| next < self.seat.until);
        if matched || early {
            self.rouse();
        }
    }

    /// What the shell has counted.
    pub(super) fn stats(&self) -> HostStats {
        HostStats { hand_overs: self.wakes.hand_overs, ..self.stats }
    }

    /// Makes the holder of the seat look, once until it has looked.
    pub(crate) fn rouse(&mut self) {
        if self.seat.holder != Holder::Nobody && !self.seat.roused {
            self.seat.roused = true;
            self.wakes.rouse = true;
            self.stats.rousings += 1;
        }
    }

    /// A socket that somebody waits for has something for one more of them.
    pub(crate) fn pass_on(&mut self, event: Event) {
        if self.watch.get(event.socket).is_some_and(|it| it.has_waiters()) {
            self.deliver(event);
        }
    }

    /// A task was woken and went away without having looked: what is there is for another one.
    pub(super) fn pass_on_ready(&mut self, socket: SocketId, interest: Readiness) {
        let ready = readiness(&mut self.stack, socket) & interest;
        if !ready.is_empty() {
            self.pass_on(Event { socket, readiness: ready });
        }
    }

    /// A registration is new or changed: what is ready now counts as an event.
    pub(crate) fn offer_now(&mut self, registration: u32, socket: SocketId) {
        let ready = readiness(&mut self.stack, socket);
        if let Offer::Queued(poller) = self.polls.offer(registration, ready) {
            self.wake_poller(poller);
        }
    }

    /// A poller has something for one of the threads that wait in it.
    pub(crate) fn wake_poller(&mut self, poller: u32) {
        wake_poller(&mut self.seat, &mut self.polls, &mut self.wakes, poller);
    }

    /// Forgets a socket which its owner has given up.
    pub(crate) fn forget(&mut self, id: SocketId) {
        self.seat.matched |= self.seat.waits_on(id);
        if let Some(mut watched) = self.watch.remove(id) {
            self.polls.forget(&watched.polls);
            watched.take_all_tasks(&mut self.wakes.tasks);
            for parker in watched.take_all() {
                self.wakes.wake(parker);
            }
        }
    }
}
