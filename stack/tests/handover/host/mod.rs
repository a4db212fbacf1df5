//! The shell from its own files, as far as the hand-over reaches.
#![allow(dead_code, unreachable_pub, reason = "the sockets that would use the rest are not here")]

#[path = "../../../src/host/batch.rs"]
pub(crate) mod batch;
#[path = "../../../src/host/block.rs"]
pub(crate) mod block;
pub(crate) mod clock;
#[path = "../../../src/host/drive.rs"]
mod drive;
#[path = "../../../src/host/further.rs"]
mod further;
#[path = "../../../src/host/interest.rs"]
pub(crate) mod interest;
#[path = "../../../src/host/outbox.rs"]
mod outbox;
#[path = "../../../src/host/park.rs"]
mod park;
#[path = "../../../src/host/quota.rs"]
mod quota;
#[path = "../../../src/host/reactor.rs"]
mod reactor;
#[path = "../../../src/host/ready.rs"]
mod ready;
pub(crate) mod runtime;
#[path = "../../../src/host/seat.rs"]
mod seat;
#[path = "../../../src/host/shard.rs"]
mod shard;
#[path = "../../../src/host/slots.rs"]
mod slots;
#[path = "../../../src/host/stop.rs"]
mod stop;
pub(crate) mod sync;
#[path = "../../../src/host/task.rs"]
mod task;
#[path = "../../../src/host/together.rs"]
mod together;
#[path = "../../../src/host/vigil.rs"]
mod vigil;
#[path = "../../../src/host/watch.rs"]
pub(crate) mod watch;

/// Error numbers do not differ here.
mod errno {
    pub(super) use stack::host::Errno;
}

/// Hosts are of one shard here: every frame is its own, and nobody else has any for it.
mod passing {
    use std::sync::Arc;

    use super::shard::{Engine, Shard};
    use crate::{Instant, InterfaceId, RxFrame};

    pub(super) struct Passing;

    impl Engine {
        pub(super) fn sort(&mut self, now: Instant, interface: InterfaceId, frame: RxFrame<'_>) {
            self.stack.receive_on(now, interface, frame);
        }

        pub(super) fn take_given(&mut self) -> Vec<Arc<Shard>> {
            Vec::new()
        }
    }

    impl Shard {
        pub(super) fn hand_in(&self) {}
    }
}

/// A slot of [`task`], which is the sockets' own.
pub(crate) mod slot {
    pub(crate) struct Slot(super::task::Slot);

    use std::sync::Arc;
    use std::task::{Context, Poll};

    use super::block::Patience;
    use super::runtime::Core;
    use crate::{Readiness, SocketId};
    use stack::host::Errno;

    impl Slot {
        pub(crate) fn new(core: &Arc<Core>, what: (SocketId, Readiness)) -> Slot {
            Slot(super::task::Slot::new(core, what))
        }

        pub(crate) fn poll<T>(
            &self,
            cx: &Context<'_>,
            call: impl FnOnce(Patience<'_>) -> Result<T, Errno>,
        ) -> Poll<Result<T, Errno>> {
            self.0.poll(cx, call)
        }
    }
}
