//! A network namespace for one test.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;

use crate::skip::skip;

/// Runs `test` on a thread in a new network namespace, which the kernel removes with everything
/// in it when the thread and the descriptors are gone, also after a panic. Without root it says
/// so and passes.
pub(crate) fn in_own_netns(test: impl FnOnce() + Send + 'static) {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        skip("a real TAP needs root; run the tests with sudo");
        return;
    }
    let thread = std::thread::spawn(move || {
        // SAFETY: takes an integer; it moves only this thread, which runs nothing but the test.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(done, 0, "unshare: {}", std::io::Error::last_os_error());
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` with `arguments` in the calling thread's namespace.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
}

/// What a shell command prints, whether it succeeds or not.
pub(crate) fn shell(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether the kernel leaves TCP segmentation on this interface to its other end.
pub(crate) fn is_segmentation_offloaded(name: &str) -> bool {
    const ETHTOOL_GTSO: u32 = 0x1e;
    // The kernel's `struct ethtool_value`: a command and an answer.
    let mut value = [ETHTOOL_GTSO, 0];
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    // SAFETY: an `ifreq` is plain data, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as _;
    }
    request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    // SAFETY: the request points to a live `ifreq`, whose data points to a live `ethtool_value`.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
    assert_eq!(done, 0, "ETHTOOL_GTSO: {}", std::io::Error::last_os_error());
    value[1] != 0
}

/// Runs `work` on a thread that is user `nobody` and has no capability.
pub(crate) fn as_nobody<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        const NOBODY: libc::c_long = 65_534;
        // SAFETY: takes integers. The raw call changes this thread alone (libc's `setresuid`
        // would change them all), and the thread ends with the work.
        let done = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
        assert_eq!(done, 0);
        work()
    });
    thread.join().unwrap()
}
