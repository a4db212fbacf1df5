//! Saying that a test did not run.

use std::io::Write;

/// Says so on the terminal, past the test harness's capture.
pub(crate) fn skip(why: &str) {
    let line = format!("SKIPPED: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
