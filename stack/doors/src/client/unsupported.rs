//! What is not supported is said, once for each process, where TAPSTACK_DEBUG is set.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

/// So many different things are said at the most.
const MOST: usize = 256;

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says on standard error that `what` is not supported.
pub(super) fn say(what: impl FnOnce() -> String) {
    if std::env::var_os("TAPSTACK_DEBUG").is_none_or(|it| it.is_empty() || it == "0") {
        return;
    }
    let what = what();
    let is_new = {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        said.len() < MOST && said.insert(what.clone())
    };
    if is_new {
        // Nobody may be reading any more, and that is no reason to fail.
        let _ = writeln!(io::stderr(), "tapstack: {what} is not supported");
    }
}

/// The same of flags of a transfer; those of `flags` that are in `refused`.
pub(super) fn say_flags(call: &str, flags: c_int, refused: c_int) {
    if flags & refused != 0 {
        say(|| format!("{call}: flags {:#x}", flags & refused));
    }
}
