//! Standard output.

use std::io::{self, Write};

/// Prints at once. Whoever read it may have gone, and that is no reason to end.
pub fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
