//! The devices beside the first. The seat is the right to wait for the first one; each further
//! device has a thread of its own that waits for it and hands in what comes, under the lock, as
//! any call of a socket changes things: whoever waits for a socket is woken by it. A frame that
//! comes so costs one change of threads more than one that the driver takes.

use std::io;
use std::sync::Arc;

use tapdev::{Device, Fault, classify};

use super::batch::Batch;
use super::shard::{DOWN_PAUSE, Engine, Shard};
use super::sync::{self, thread};
use crate::InterfaceId;

/// Starts the thread of the device that the shard has for `interface`.
///
/// # Errors
/// The operating system refuses a thread.
pub(super) fn start(
    shard: &Arc<Shard>,
    device: &Arc<dyn Device>,
    interface: InterfaceId,
) -> io::Result<thread::JoinHandle<()>> {
    let (shard, device) = (Arc::clone(shard), Arc::clone(device));
    let mut porter = Porter { shard, device, interface, up: true };
    // A panic in the engine must not silence the link.
    sync::spawn("tapstack-link", DOWN_PAUSE, move || porter.run())
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
            if !batch.is_empty() {
                guard.take_in(self.interface, &mut batch, now);
            }
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
            thread::park_timeout(DOWN_PAUSE);
            return self.device.revive().map_err(|error| classify(&error));
        }
        batch.await_frames(&*self.device, None)
    }
}

impl Engine {
    /// A further device can be used, or cannot.
    pub(super) fn set_further(&mut self, interface: InterfaceId, up: bool) {
        if self.is_up(interface) == up {
            return;
        }
        self.further_down.set(interface, !up);
        self.stack.set_interface_link(interface, up);
        let number = interface.index();
        if up {
            log::info!("interface {number}: the device answers again");
        } else {
            log::warn!("interface {number}: the device does not answer");
            self.stats.link_losses += 1;
        }
    }

    /// The device of a further interface works.
    fn is_up(&self, interface: InterfaceId) -> bool {
        !self.further_down.contains(interface)
    }
}
