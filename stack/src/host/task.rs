//! A future that waits for a socket: where a thread has a [`Parker`](super::park::Parker), it has
//! a [`Waker`].
//!
//! A waker is dropped without the lock: it may be the last to hold its task, and that a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use super::block::Patience;
use super::errno::Errno;
use super::runtime::Core;
use super::watch::Watch;
use crate::{Readiness, SocketId};

/// The right of one future, or of one direction of a socket, to be woken. A later poll takes the
/// place of an earlier one, as the contract of `Future::poll` has it.
pub(super) struct Slot {
    core: Arc<Core>,
    socket: SocketId,
    interest: Readiness,
    /// What tells it from others that wait for the same socket.
    ticket: u64,
    /// The last poll left a waker behind. It may have been used since.
    filed: AtomicBool,
}

/// One poll of a slot.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    slot: &'a Slot,
    waker: &'a Waker,
}

impl Task<'_> {
    /// Leaves the waker behind; returns the one that it replaces.
    pub(super) fn file(&self, watch: &mut Watch) -> Option<Waker> {
        self.slot.filed.store(true, Ordering::Relaxed);
        watch.entry(self.slot.socket).add_task(self.slot.ticket, self.waker, self.slot.interest)
    }

    /// Takes back what an earlier poll left behind.
    pub(super) fn unfile(&self, watch: &mut Watch) -> Option<Waker> {
        if !self.slot.filed.swap(false, Ordering::Relaxed) {
            return None;
        }
        watch.get(self.slot.socket)?.drop_task(self.slot.ticket)
    }
}

impl Slot {
    /// A slot to wait for what `key` names.
    pub(super) fn new(core: &Arc<Core>, (socket, interest): (SocketId, Readiness)) -> Slot {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
        Slot { core: Arc::clone(core), socket, interest, ticket, filed: AtomicBool::new(false) }
    }

    /// Runs a socket call that leaves the waker of `cx` behind where it would block. The polls of
    /// one slot come one after the other.
    pub(super) fn poll<T>(
        &self,
        cx: &Context<'_>,
        call: impl FnOnce(Patience<'_>) -> Result<T, Errno>,
    ) -> Poll<Result<T, Errno>> {
        match call(Patience::Task(Task { slot: self, waker: cx.waker() })) {
            Err(Errno::EAGAIN) => Poll::Pending,
            answer => {
                self.cancel();
                Poll::Ready(answer)
            }
        }
    }

    /// Waits no more. A wake-up that has come meanwhile is for somebody else then.
    fn cancel(&self) {
        if !self.filed.swap(false, Ordering::Relaxed) {
            return;
        }
        let waker = self.core.shard.ask(|engine| {
            let filed = engine.watch.get(self.socket).and_then(|it| it.drop_task(self.ticket));
            if filed.is_none() {
                engine.pass_on_ready(self.socket, self.interest);
            }
            filed
        });
        drop(waker);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.cancel();
    }
}
