//! Where the server's socket is. Servers give up their rights before they serve, so users that are
//! not known beforehand must reach it: whoever knows its name may use it, and nobody may list the
//! directory.

use std::ffi::{CString, OsStr};
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use demos::options::CommonOptions;

/// Where names of this machine's own stand.
const HOSTS: &str = "/etc/hosts";

/// Has names looked up in the machine's own file where the options name no other: programs expect
/// that.
pub fn know_local_names(options: &mut CommonOptions) {
    let there = Path::new(HOSTS).exists().then(|| HOSTS.into());
    options.hosts = options.hosts.take().or(there);
}

/// A new directory, which is removed in the end. Who ends the process otherwise than by leaving
/// `main` calls [`remove`] before.
#[derive(Debug)]
pub struct Place {
    socket: PathBuf,
}

impl Place {
    /// Makes the directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> io::Result<Place> {
        let template = std::env::temp_dir().join("tapstack-XXXXXX").into_os_string().into_vec();
        let template = CString::new(template)?.into_raw();
        // SAFETY: a C string of our own, which `mkdtemp` changes in place; it is taken back.
        let (made, path) = unsafe {
            let made = !libc::mkdtemp(template).is_null();
            (made, CString::from_raw(template))
        };
        if !made {
            return Err(io::Error::last_os_error());
        }
        let directory = PathBuf::from(OsStr::from_bytes(path.as_bytes()));
        std::fs::set_permissions(&directory, Permissions::from_mode(0o711))?;
        let mut secret = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut secret)?;
        let socket = directory.join(format!("{:032x}", u128::from_ne_bytes(secret)));
        Ok(Place { socket })
    }

    /// Lets everybody who knows its name connect to the socket, which has been made.
    ///
    /// # Errors
    /// It is not there.
    pub fn open(&self) -> io::Result<()> {
        std::fs::set_permissions(&self.socket, Permissions::from_mode(0o666))
    }

    /// The path for the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.socket);
    }
}

/// Removes the socket and its directory, as far as they are there.
pub fn remove(socket: &Path) {
    let _ = std::fs::remove_file(socket);
    if let Some(directory) = socket.parent() {
        let _ = std::fs::remove_dir(directory);
    }
}
