//! A host on one device: as much of `src/host/runtime.rs` as the hand-over needs.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tapdev::Device;

use super::reactor::{self, Control};
use super::shard::Shard;
use super::stop;
use super::sync::{Mutex, Sender, bounded, thread};
use super::vigil::Look;
use crate::{Config, Instant, Seed, Stack};

const GRACE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) core: Arc<Core>,
}

pub(crate) struct Core {
    pub(crate) shard: Arc<Shard>,
    pub(super) control: Sender<Control>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    pub(super) grace: Duration,
}

impl Host {
    pub(crate) fn new(config: Config, device: impl Device + 'static) -> Host {
        let (control, orders) = bounded(4);
        let stack = Stack::new(config, Seed::from_number(1));
        let (device, further) = (Box::new(device), Vec::new());
        let look = Look { most: Duration::ZERO, yields: false };
        let shard = Shard::new(stack, device, further, look, control.clone());
        let shard = Arc::new(shard);
        let reactor = reactor::start(Arc::clone(&shard), orders).unwrap();
        let threads = Mutex::new(vec![reactor]);
        Host { core: Arc::new(Core { shard, control, threads, grace: GRACE }) }
    }

    pub(crate) fn shutdown(&self) {
        stop::shutdown(&self.core);
    }

    /// The reactor sleeps until it is called.
    pub(crate) fn reactor_sleeps(&self) -> bool {
        self.core.shard.lock().seat.deep
    }

    pub(crate) fn with_stack<T>(&self, visit: impl FnOnce(&mut Stack, Instant) -> T) -> T {
        self.core.shard.call(|engine, now| visit(&mut engine.stack, now))
    }
}

impl Core {
    pub(super) fn join_threads(&self) {
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        stop::shutdown(self);
    }
}
