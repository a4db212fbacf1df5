//! The devices beside the first. The seat is the right to wait for the first one; each further
//! device has a thread of its own that waits for it and hands in what comes, under the lock, as
//! any call of a socket changes things: whoever waits for a socket is woken by it. A frame that
//! comes so costs one change of threads more than one that the driver takes.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tapdev::{Device, Fault, classify};

use super::batch::Batch;
use super::shard::{DOWN_PAUSE, Engine, Shard};
use crate::{Instant, InterfaceId};

/// Starts the thread of the device that the shard has for `interface`.
///
/// # Errors
/// The operating system refuses a thread.
#[expect(clippy::disallowed_methods, reason = "the shell's own thread")]
pub(super) fn start(
    shard: &Arc<Shard>,
    device: &Arc<dyn Device>,
    interface: InterfaceId,
) -> io::Result<JoinHandle<()>> {
    let (shard, device) = (Arc::clone(shard), Arc::clone(device));
    let mut porter = Porter { shard, device, interface, up: true };
    std::thread::Builder::new().name("tapstack-link".into()).spawn(move || {
        // A panic in the engine must not silence the link.
        while catch_unwind(AssertUnwindSafe(|| porter.run())).is_err() {
            log::error!("the engine has panicked; going on");
            std::thread::park_timeout(DOWN_PAUSE);
        }
    })
}

struct Porter {
    shard: Arc<Shard>,
    device: Arc<dyn Device>,
    interface: InterfaceId,
    /// The device worked, when it was last used.
    up: bool,
}

impl Porter {
    fn run(&mut self) {
        let mut batch = Batch::new(&*self.device);
        loop {
            let fault = self.gather(&mut batch);
            let (mut guard, now) = self.shard.enter();
            if guard.halted {
                return;
            }
            guard.take_in(self.interface, &mut batch, now);
            // What did not work is tried only by asking the device.
            if fault.is_ok() != self.up {
                guard.set_further(self.interface, !self.up);
            }
            self.up = guard.is_up(self.interface);
            self.shard.release(guard, now);
        }
    }

    /// Waits for frames and reads them; of a device that is down, whether it works again.
    fn gather(&self, batch: &mut Batch) -> Result<(), Fault> {
        batch.clear();
        if !self.up {
            std::thread::park_timeout(DOWN_PAUSE);
            return self.device.revive().map_err(|error| classify(&error));
        }
        match self.device.wait(None) {
            Ok(_) => batch.fill(&*self.device),
            Err(error) => match classify(&error) {
                Fault::Again => Ok(()),
                fault => Err(fault),
            },
        }
    }
}

impl Engine {
    /// Hands in the frames of a further device.
    fn take_in(&mut self, interface: InterfaceId, batch: &mut Batch, now: Instant) {
        if batch.is_empty() {
            return;
        }
        self.stats.batches += 1;
        self.stats.frames_in += batch.len() as u64;
        for frame in batch.frames() {
            self.stack.receive_on(now, interface, frame);
        }
        batch.clear();
        self.stack.advance(now);
        self.dispatch();
    }

    /// A further device can be used, or cannot.
    pub(super) fn set_further(&mut self, interface: InterfaceId, up: bool) {
        if self.is_up(interface) == up {
            return;
        }
        self.further_down ^= 1 << interface.place();
        self.stack.set_interface_link(interface, up);
        let number = interface.index();
        if up {
            log::info!("interface {number}: the device answers again");
        } else {
            log::warn!("interface {number}: the device does not answer");
            self.stats.link_losses += 1;
        }
    }

    fn is_up(&self, interface: InterfaceId) -> bool {
        self.further_down >> interface.place() & 1 == 0
    }
}
