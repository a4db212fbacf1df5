//! Standard input, on a thread of its own: reading it cannot be given a time limit.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use demos::outside::{self, Stopwatch};

/// How much is read at once, bytes: also the largest datagram that is sent.
const READ_SIZE: usize = 65_507;

/// Where standard input goes.
pub(crate) trait Outlet: Send + Sync {
    /// Sends all of it.
    fn send(&self, bytes: &[u8]) -> io::Result<()>;

    /// There will be no more.
    fn end(&self) -> io::Result<()>;
}

/// Standard input, and the outlet that it presently goes to.
#[derive(Clone)]
pub(crate) struct Input {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    outlet: Option<Arc<dyn Outlet>>,
    /// It is being sent to.
    is_lent: bool,
    /// All of standard input was read and sent, or cannot be.
    is_done: bool,
    last: Stopwatch,
}

impl Input {
    /// Starts reading as soon as there is an outlet.
    pub(crate) fn start() -> Result<Input> {
        let state =
            State { outlet: None, is_lent: false, is_done: false, last: Stopwatch::start() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let pumped = Arc::clone(&shared);
        outside::spawn("stdin", move || pumped.pump()).context("no thread for standard input")?;
        Ok(Input { shared })
    }

    /// From now on it goes to this outlet.
    pub(crate) fn connect(&self, outlet: Arc<dyn Outlet>) {
        let mut state = self.shared.lock();
        if state.is_done {
            drop(state);
            // It ended during an earlier connection.
            let _ = outlet.end();
            return;
        }
        state.outlet = Some(outlet);
        state.last = Stopwatch::start();
        self.shared.changed.notify_all();
    }

    /// The outlet is gone.
    pub(crate) fn disconnect(&self) {
        self.shared.lock().outlet = None;
    }

    /// The outlet is gone, and nobody holds it any more: what is being sent has been sent.
    pub(crate) fn reclaim(&self) {
        let mut state = self.shared.lock();
        state.outlet = None;
        while state.is_lent {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until all of it is sent, or `idle` has passed without traffic.
    pub(crate) fn wait(&self, idle: Option<Duration>) {
        let mut state = self.shared.lock();
        while !state.is_done {
            let left = idle.map_or(Duration::MAX, |idle| state.last.left_of(idle));
            if left.is_zero() {
                return;
            }
            let left = left.min(Duration::from_secs(3600));
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The time since something was read from it.
    pub(crate) fn silence(&self) -> Duration {
        self.shared.lock().last.elapsed()
    }
}

impl Shared {
    fn pump(&self) {
        if let Err(error) = self.try_pump() {
            log::debug!("standard input: {error}");
        }
        self.lock().is_done = true;
        self.changed.notify_all();
    }

    fn try_pump(&self) -> io::Result<()> {
        // Nothing is read before there is somebody to send it to.
        drop(self.lend());
        self.take_back();
        let mut buffer = vec![0; READ_SIZE];
        let mut input = io::stdin().lock();
        loop {
            let count = match input.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            let outlet = self.lend();
            self.lock().last = Stopwatch::start();
            let sent = if count == 0 { outlet.end() } else { outlet.send(&buffer[..count]) };
            drop(outlet);
            self.take_back();
            if sent.is_err() || count == 0 {
                return sent;
            }
        }
    }

    fn take_back(&self) {
        let mut state = self.lock();
        (state.is_lent, state.last) = (false, Stopwatch::start());
        self.changed.notify_all();
    }

    /// The present outlet: waits until there is one.
    fn lend(&self) -> Arc<dyn Outlet> {
        let mut state = self.lock();
        loop {
            if let Some(outlet) = state.outlet.clone() {
                state.is_lent = true;
                return outlet;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
