//! Other network namespaces: opening what is there, and counting what is lost there.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;

use crate::sys;

/// Where `ip netns add` keeps its namespaces.
const NAMED: &str = "/run/netns";

/// A network namespace, which lives at least as long as this.
#[derive(Debug)]
pub struct NetworkNamespace {
    file: File,
}

impl NetworkNamespace {
    /// The namespace that `ip netns add` has called `name`, or the one of the process with that
    /// number: as `ip link set netns` takes it.
    ///
    /// # Errors
    /// Those of opening it: `NotFound` if there is none, `PermissionDenied` for a stranger's.
    pub fn named(name: &str) -> io::Result<NetworkNamespace> {
        let is_file_name = !name.is_empty() && !name.contains('/') && name != "..";
        let path = match name.parse::<u32>() {
            Ok(process) => format!("/proc/{process}/ns/net"),
            Err(_) if is_file_name => format!("{NAMED}/{name}"),
            Err(_) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        Ok(NetworkNamespace { file: File::open(Path::new(&path))? })
    }

    /// Does something in the namespace, on a thread of its own. A TAP that is opened there stays
    /// connected to it.
    ///
    /// # Errors
    /// Those of starting the thread, and of entering: `PermissionDenied` without `CAP_SYS_ADMIN`.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("netns".into());
            let thread = thread.spawn_scoped(scope, || {
                sys::enter_network_namespace(self.file.as_fd()).map(|()| work())
            })?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// The frames that the kernel wanted to send through an interface and that found no room: a TAP's
/// reader was too slow for its queue (`txqueuelen`, 1,000 frames).
#[derive(Debug)]
pub struct InterfaceDrops {
    table: File,
    line: String,
}

impl InterfaceDrops {
    /// Those of the interface called `name` in this thread's network namespace.
    ///
    /// # Errors
    /// Those of opening `/proc/thread-self/net/dev`.
    pub fn of(name: &str) -> io::Result<InterfaceDrops> {
        // The open file stays with the namespace of the thread that opened it.
        let table = File::open("/proc/thread-self/net/dev")?;
        Ok(InterfaceDrops { table, line: format!("{name}:") })
    }

    /// How many there were since the interface was made.
    ///
    /// # Errors
    /// Those of reading; `NotFound` if the interface is gone or was moved.
    pub fn count(&mut self) -> io::Result<u64> {
        let mut text = String::new();
        self.table.rewind()?;
        self.table.read_to_string(&mut text)?;
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(&self.line));
        // Eight columns of what was received; of what was sent: bytes, packets, errors, drops.
        let drops = line.ok_or(io::ErrorKind::NotFound)?.split_whitespace().nth(8 + 3);
        drops.and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_ip_netns_or_a_process() {
        for name in ["", "..", "a/b", "/proc/self/ns/net"] {
            let error = NetworkNamespace::named(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        let missing = NetworkNamespace::named("no such namespace").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        NetworkNamespace::named(&std::process::id().to_string()).unwrap();
    }

    #[test]
    fn drops_are_read_again_and_again() {
        let mut drops = InterfaceDrops::of("lo").unwrap();
        assert_eq!((drops.count().unwrap(), drops.count().unwrap()), (0, 0));
        let mut none = InterfaceDrops::of("none").unwrap();
        assert_eq!(none.count().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
