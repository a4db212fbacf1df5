//! Own user and network namespaces: a TAP without root, seen by nobody else.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;

use crate::interface;
use crate::open_error::TUN_NODE;
use crate::sys;

/// What [`enter_own_namespaces`] has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Namespaces {
    /// A network namespace: the process was privileged already.
    Network,
    /// A user namespace, in which the caller is root, and in it a network namespace.
    UserAndNetwork,
}

/// Why [`enter_own_namespaces`] failed. What it displays names the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum NamespaceError {
    /// The process has more than one thread, and the others would stay behind.
    Threads {
        /// How many it has.
        count: usize,
    },
    /// `/dev/net/tun` cannot be opened, so no TAP could be made inside.
    TunNode {
        /// What opening it said.
        source: io::Error,
    },
    /// The system does not let users make user namespaces.
    Refused {
        /// What the kernel said.
        source: io::Error,
    },
    /// A later step failed.
    Step {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Moves this process into a network namespace of its own, with `lo` up, and without the
/// privilege for that into a user namespace around it first. Both end with the process and its
/// children.
///
/// It must be called before any thread is started. Inside, the process may make TAPs and
/// configure interfaces; outside, it may do what it could before.
///
/// # Errors
/// The cause and its remedy. `Threads` and `TunNode` leave the process as it was.
pub fn enter_own_namespaces() -> Result<Namespaces, NamespaceError> {
    let count = thread_count().map_err(step("reading /proc/self/status"))?;
    if count != 1 {
        return Err(NamespaceError::Threads { count });
    }
    // A user namespace gives no right to a device node: what fails outside fails inside.
    let node = OpenOptions::new().read(true).write(true).open(TUN_NODE);
    node.map_err(|source| NamespaceError::TunNode { source })?;
    let made = unshare()?;
    interface::configure("lo", None).map_err(step("bringing lo up"))?;
    Ok(made)
}

fn unshare() -> Result<Namespaces, NamespaceError> {
    match sys::unshare(libc::CLONE_NEWNET) {
        Ok(()) => return Ok(Namespaces::Network),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
        Err(error) => return Err(step("making a network namespace")(error)),
    }
    let (uid, gid) = sys::effective_ids();
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)
        .map_err(|source| NamespaceError::Refused { source })?;
    // The kernel lets a user map its own group only once supplementary groups cannot be dropped
    // (user_namespaces(7)).
    write_map("/proc/self/setgroups", "deny")?;
    write_map("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write_map("/proc/self/gid_map", &format!("0 {gid} 1"))?;
    Ok(Namespaces::UserAndNetwork)
}

/// AppArmor lets a user make the namespace, and takes the rights in it away: then it is only here
/// that the refusal shows.
fn write_map(file: &'static str, text: &str) -> Result<(), NamespaceError> {
    fs::write(file, text).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => NamespaceError::Refused { source },
        _ => NamespaceError::Step { step: file, source },
    })
}

fn thread_count() -> io::Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let count = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    count.and_then(|text| text.trim().parse().ok()).ok_or(io::ErrorKind::InvalidData.into())
}

fn step(step: &'static str) -> impl Fn(io::Error) -> NamespaceError {
    move |source| NamespaceError::Step { step, source }
}

impl fmt::Display for NamespaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamespaceError::Threads { count } => write!(
                f,
                "own namespaces must be entered before any thread is started: \
                 this process has {count} threads"
            ),
            NamespaceError::TunNode { source } => write!(
                f,
                "{TUN_NODE} cannot be opened ({source}), and own namespaces give no right to it: \
                 let users open it with `chmod 0666 {TUN_NODE}` (or a udev rule \
                 `KERNEL==\"tun\", MODE=\"0666\"`), or run with sudo; if it is missing, \
                 `modprobe tun`"
            ),
            NamespaceError::Refused { source } => write!(
                f,
                "the system refuses user namespaces ({source}): look at `sysctl \
                 user.max_user_namespaces` (0 forbids them), `sysctl \
                 kernel.unprivileged_userns_clone` (Debian: 1 allows them) and `sysctl \
                 kernel.apparmor_restrict_unprivileged_userns` (Ubuntu: 0 allows them), \
                 or run with sudo and `--tap NAME`"
            ),
            NamespaceError::Step { step, source } => {
                write!(f, "own namespaces: {step}: {source}")
            }
        }
    }
}

/// What it displays has the cause in it already, so that is not named again as its source.
impl std::error::Error for NamespaceError {}
