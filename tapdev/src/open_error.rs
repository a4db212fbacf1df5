//! Why a TAP could not be opened, each with its remedy.

use std::fmt;
use std::fs::OpenOptions;
use std::io;

/// The kernel's door to TUN and TAP devices.
pub(crate) const TUN_NODE: &str = "/dev/net/tun";

/// Why [`Tap::open`](crate::Tap::open) failed. What it displays names the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// No interface can have this name.
    InvalidName {
        /// The name.
        name: String,
    },
    /// `/dev/net/tun` is missing, or no driver stands behind it.
    NodeMissing {
        /// What opening it said.
        source: io::Error,
    },
    /// `/dev/net/tun` exists but this process may not open it.
    NodeForbidden {
        /// What opening it said.
        source: io::Error,
    },
    /// This process may neither make the interface nor attach to it.
    NotPermitted {
        /// The interface.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another program is attached to the interface.
    Busy {
        /// The interface.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// An interface of this name exists that is not a single-queue TAP.
    Mismatch {
        /// The interface.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// An interface of this name exists that is not a TAP of several queues.
    OneQueue {
        /// The interface.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The inherited descriptor is not one of a TAP.
    NotATap {
        /// What the kernel said.
        source: io::Error,
    },
    /// A later step failed.
    Step {
        /// The interface.
        name: String,
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl OpenError {
    /// Sorts the error of attaching to `name`, which is that of opening the node or that of
    /// `TUNSETIFF`.
    pub(crate) fn attaching(name: &str, source: io::Error) -> OpenError {
        // Asked for any name, the kernel tries this one first: it makes the remedy readable.
        let name = if name.is_empty() { "tap0" } else { name }.to_owned();
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => OpenError::NodeMissing { source },
            Some(libc::EACCES) => OpenError::NodeForbidden { source },
            // A container's device rules refuse the node with the errno of a missing privilege.
            Some(libc::EPERM) if !node_opens() => OpenError::NodeForbidden { source },
            Some(libc::EPERM) => OpenError::NotPermitted { name, source },
            Some(libc::EBUSY) => OpenError::Busy { name, source },
            Some(libc::EINVAL) => OpenError::Mismatch { name, source },
            _ => OpenError::Step { name, step: "attaching to it", source },
        }
    }

    /// Sorts the error of attaching one of several queues.
    pub(crate) fn attaching_queue(name: &str, source: io::Error) -> OpenError {
        match OpenError::attaching(name, source) {
            OpenError::Mismatch { name, source } => OpenError::OneQueue { name, source },
            error => error,
        }
    }

    /// The kernel's errno, if the kernel was asked.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.io_error().and_then(io::Error::raw_os_error)
    }

    fn io_error(&self) -> Option<&io::Error> {
        match self {
            OpenError::InvalidName { .. } => None,
            OpenError::NodeMissing { source }
            | OpenError::NodeForbidden { source }
            | OpenError::NotPermitted { source, .. }
            | OpenError::Busy { source, .. }
            | OpenError::Mismatch { source, .. }
            | OpenError::OneQueue { source, .. }
            | OpenError::NotATap { source }
            | OpenError::Step { source, .. } => Some(source),
        }
    }
}

fn node_opens() -> bool {
    OpenOptions::new().read(true).write(true).open(TUN_NODE).is_ok()
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::InvalidName { name } => write!(
                f,
                "no interface can be called {name:?}: a name has 1 to 15 bytes, \
                 without slash, colon or space"
            ),
            OpenError::NodeMissing { source } => write!(
                f,
                "{TUN_NODE} is missing ({source}): load the driver with `modprobe tun`; \
                 a container must be given the device (`--device {TUN_NODE}`)"
            ),
            OpenError::NodeForbidden { source } => write!(
                f,
                "{TUN_NODE} may not be opened ({source}): run with sudo, or let users open it \
                 with `chmod 0666 {TUN_NODE}` (or a udev rule); a container must be given \
                 the device (`--device {TUN_NODE}`)"
            ),
            OpenError::NotPermitted { name, source } => write!(
                f,
                "{name}: no permission to make it or to attach to it ({source}): run with sudo, \
                 or in own namespaces with `--ns`, or make it once for your user with \
                 `scripts/up` (`ip tuntap add {name} mode tap user $USER`)"
            ),
            OpenError::Busy { name, source } => write!(
                f,
                "{name}: another program is attached to it ({source}): see which with \
                 `grep -l 'iff:.{name}$' /proc/[0-9]*/fdinfo/*`, end it, or use another name"
            ),
            OpenError::Mismatch { name, source } => write!(
                f,
                "{name}: it exists and is not a single-queue TAP ({source}): it is another kind \
                 of interface, a TUN, or was made with `multi_queue`: use several queues then \
                 (`--queues 2`), or recreate it with `ip link delete {name}` and \
                 `ip tuntap add {name} mode tap`"
            ),
            OpenError::OneQueue { name, source } => write!(
                f,
                "{name}: it exists and is not a TAP of several queues ({source}): recreate it with \
                 `ip link delete {name}` and `ip tuntap add {name} mode tap multi_queue`, or do \
                 with one queue"
            ),
            OpenError::NotATap { source } => write!(
                f,
                "the inherited descriptor is not one of a TAP in plain mode ({source}): \
                 attach it with IFF_TAP | IFF_NO_PI before passing its number"
            ),
            OpenError::Step { name, step, source } => write!(f, "{name}: {step}: {source}"),
        }
    }
}

/// What it displays has the cause in it already, so that is not named again as its source.
impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_names_its_remedy() {
        let table = [
            (libc::ENOENT, "modprobe tun"),
            (libc::EACCES, "chmod 0666"),
            (libc::EBUSY, "/proc/[0-9]*/fdinfo"),
            (libc::EINVAL, "ip tuntap add tap0 mode tap"),
        ];
        for (errno, remedy) in table {
            let error = OpenError::attaching("tap0", io::Error::from_raw_os_error(errno));
            assert!(error.to_string().contains(remedy), "{error}");
            assert_eq!(error.raw_os_error(), Some(errno));
        }
        let source = io::Error::from_raw_os_error(libc::EPERM);
        let error = OpenError::NotPermitted { name: "tap0".into(), source };
        assert!(error.to_string().contains("--ns"), "{error}");
    }
}
