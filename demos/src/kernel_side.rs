//! The COMMAND after `--`: a program on the kernel's side of the wire.

use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command;
use crate::outside::{self, Stopwatch};

/// How often one looks whether it has ended.
const TICK: Duration = Duration::from_millis(5);

/// How long it may go on after the demo is done.
const GRACE: Duration = Duration::from_secs(1);

/// A COMMAND, which a clone can end.
#[derive(Clone, Debug)]
pub(crate) struct KernelSide {
    words: Vec<String>,
    child: Arc<Mutex<Option<Child>>>,
}

impl KernelSide {
    /// The COMMAND, if there is one.
    pub(crate) fn new(words: &[String]) -> Option<KernelSide> {
        let words = words.to_vec();
        (!words.is_empty()).then(|| KernelSide { words, child: Arc::default() })
    }

    /// Starts it. `ended` hears its status as a shell would say it.
    pub(crate) fn start(&self, ended: impl FnOnce(u8) + Send + 'static) -> Result<()> {
        let (program, arguments) = self.words.split_first().context("an empty COMMAND")?;
        let child = command::start(Command::new(program).args(arguments))?;
        *self.lock() = Some(child);
        let watched = self.clone();
        outside::spawn("command", move || ended(watched.wait()))
            .context("no thread for the COMMAND")?;
        Ok(())
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        if let Some(child) = self.lock().as_mut() {
            // It may have ended by itself.
            let _ = child.kill();
        }
    }

    /// Gives it a moment to end by itself.
    pub(crate) fn end(&self) {
        let since = Stopwatch::start();
        while self.status().is_none() && since.elapsed() < GRACE {
            outside::sleep(TICK);
        }
        self.kill();
    }

    fn wait(&self) -> u8 {
        loop {
            if let Some(status) = self.status() {
                return status;
            }
            outside::sleep(TICK);
        }
    }

    fn status(&self) -> Option<u8> {
        match self.lock().as_mut()?.try_wait() {
            Ok(status) => status.map(command::status),
            // Nothing can be known of it any more.
            Err(_) => Some(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
