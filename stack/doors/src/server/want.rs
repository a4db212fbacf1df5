//! When the server may have no more descriptors: what would take one waits where it is, and is
//! tried again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stack::host::Errno;

use super::Shared;
use crate::sys::Timer;

/// How long until it is tried again: nothing tells of a descriptor that has become free.
const PAUSE: Duration = Duration::from_millis(20);

/// What waits for descriptors.
pub(super) struct Want {
    pub(super) timer: Timer,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The tokens of listeners.
    tokens: BTreeSet<u64>,
    /// It has been said.
    is_said: bool,
}

impl Want {
    pub(super) fn new() -> Result<Want, Errno> {
        Ok(Want { timer: Timer::new()?, waiting: Mutex::default() })
    }

    /// A listener finds no descriptor for what has come: its turn comes again after a pause.
    pub(super) fn wait(&self, token: u64, error: Errno) {
        let mut waiting = self.lock();
        let is_first = waiting.tokens.is_empty();
        waiting.tokens.insert(token);
        if !std::mem::replace(&mut waiting.is_said, true) {
            log::warn!("too few descriptors ({error}): what comes has to wait");
        }
        // One that finds none again and again must not put off the turn of the others.
        if is_first && let Err(error) = self.timer.set(PAUSE) {
            log::error!("a timer cannot be set: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The pause is over: has `act` try each again.
    pub(super) fn try_again(&self, mut act: impl FnMut(u64)) {
        let tokens = std::mem::take(&mut self.want.lock().tokens);
        tokens.into_iter().for_each(&mut act);
        let mut waiting = self.want.lock();
        if waiting.tokens.is_empty() {
            waiting.is_said = false;
            // It is readable for as long as it is not set anew.
            let _ = self.want.timer.set(Duration::ZERO);
        }
    }
}
