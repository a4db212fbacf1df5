//! Programs that a program starts, and their statuses as a shell says them.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

/// The status of a program that has ended: 128 + the signal's number for one that a signal ended.
pub fn status(ended: ExitStatus) -> u8 {
    let code = ended.code().or_else(|| ended.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Starts `command`.
///
/// # Errors
/// It cannot be started.
pub fn start(command: &mut Command) -> Result<Child, CannotStart> {
    command.spawn().map_err(|source| {
        let program = command.get_program().to_string_lossy().into_owned();
        CannotStart { program, source }
    })
}

/// A program could not be started.
#[derive(Debug)]
pub struct CannotStart {
    program: String,
    source: io::Error,
}

impl CannotStart {
    /// The status that tells so: 127 if the program is not there, 126 if it is.
    pub fn status(&self) -> u8 {
        if self.source.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
    }
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot be started", self.program)
    }
}

impl std::error::Error for CannotStart {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
