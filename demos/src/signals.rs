//! The signals that tell a program to end: which it was, and whether a terminal sent it.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::exfiltrator::origin::Origin;
use signal_hook::low_level::siginfo::Cause;

use crate::outside;

/// One that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// SIGINT, SIGTERM or SIGHUP.
    pub number: i32,
    /// The kernel sent it, for a terminal: all programs in its foreground have got it.
    pub is_of_terminal: bool,
}

impl Signal {
    /// The status of a program whose task it has cut short, as a shell has it.
    pub fn status(self) -> u8 {
        u8::try_from(128 + self.number).unwrap_or(u8::MAX)
    }

    fn of(origin: &Origin) -> Signal {
        Signal { number: origin.signal, is_of_terminal: origin.cause == Cause::Kernel }
    }
}

/// Has a thread of its own call `on_signal` for each of those signals from now on.
///
/// # Errors
/// The system refuses the handlers or the thread.
pub fn watch(mut on_signal: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    let mut signals = SignalsInfo::<WithOrigin>::new([SIGINT, SIGTERM, SIGHUP])?;
    outside::spawn("signals", move || {
        for origin in &mut signals {
            on_signal(Signal::of(&origin));
        }
    })?;
    Ok(())
}
