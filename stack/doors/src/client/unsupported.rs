//! What is not supported is said, once for each process, where TAPSTACK_DEBUG is set.

use std::collections::BTreeSet;
use std::ffi::c_int;
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
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.len() < MOST && said.insert(what.clone()) {
        eprintln!("tapstack: {what} is not supported");
    }
}

/// The same of flags of a transfer; those of `flags` that are in `refused`.
pub(super) fn say_flags(call: &str, flags: c_int, refused: c_int) {
    if flags & refused != 0 {
        say(|| format!("{call}: flags {:#x}", flags & refused));
    }
}
