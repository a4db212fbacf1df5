//! Entering own namespaces, each time in a forked child: a process can do it only once, and only
//! while it has a single thread.

mod skip;

use std::fs::File;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::FromRawFd;

use skip::skip;
use tapdev::{NamespaceError, Namespaces, Tap, TapOptions, configure, enter_own_namespaces};

fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Runs `work` in a forked child and returns what it returned.
fn in_child(work: fn() -> String) -> String {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors, which are then owned by the files; the
    // child runs `work` alone and leaves without unwinding into the harness.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        let (mut read, mut write) = (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]));
        let child = libc::fork();
        assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
        if child == 0 {
            let text = std::panic::catch_unwind(work).unwrap_or("panicked".into());
            let _ = write.write_all(text.as_bytes());
            libc::_exit(0);
        }
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        libc::waitpid(child, std::ptr::null_mut(), 0);
        text
    }
}

/// Enters and tries everything that a TAP needs.
fn enter_and_open() -> String {
    match enter_own_namespaces() {
        Ok(made) => {
            let tap = Tap::open(TapOptions::named("tap0")).unwrap();
            configure(tap.name(), Some((Ipv4Addr::new(192, 0, 2, 1), 24))).unwrap();
            let interfaces = std::fs::read_to_string("/proc/self/net/dev").unwrap();
            // Two lines of heading, lo and tap0: nothing of the outside is seen.
            let alone = interfaces.lines().count() == 4 && tap.is_up().unwrap();
            format!("{made:?} alone={alone}")
        }
        Err(error) => format!("{error:?} {error}"),
    }
}

fn become_nobody() {
    const NOBODY: u32 = 65_534;
    // SAFETY: all take integers or null. A process that has changed its user may write its own
    // files in /proc only when it is made dumpable again (proc(5)).
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(NOBODY, NOBODY, NOBODY), 0);
        assert_eq!(libc::setresuid(NOBODY, NOBODY, NOBODY), 0);
        assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 1), 0);
    }
}

/// Puts a device node that anybody may open in the place of the system's, in a mount namespace
/// of the child's own.
fn open_the_node_to_all() {
    let everybody = 0o666;
    // SAFETY: all pointers are to literals that end with NUL, or null where that is allowed.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let none = std::ptr::null();
        assert_eq!(libc::mount(none, c"/".as_ptr(), none, private, none.cast()), 0);
        let (tmpfs, folder) = (c"tmpfs".as_ptr(), c"/dev/net".as_ptr());
        assert_eq!(libc::mount(tmpfs, folder, tmpfs, 0, none.cast()), 0);
        let node = c"/dev/net/tun".as_ptr();
        let made = libc::mknod(node, libc::S_IFCHR | everybody, libc::makedev(10, 200));
        assert_eq!(made, 0);
        assert_eq!(libc::chmod(node, everybody), 0);
    }
}

#[test]
fn root_needs_only_a_network_namespace() {
    if !is_root() {
        return skip("entering a network namespace needs root");
    }
    assert_eq!(in_child(enter_and_open), "Network alone=true");
}

#[test]
fn without_privilege_a_user_namespace_comes_first() {
    if !is_root() {
        return skip("giving up privileges needs root");
    }
    let text = in_child(|| {
        open_the_node_to_all();
        become_nobody();
        enter_and_open()
    });
    if text.starts_with("Refused") {
        return skip(&text);
    }
    assert_eq!(text, "UserAndNetwork alone=true");
}

#[test]
fn a_closed_device_node_is_named_with_its_remedy() {
    if !is_root() {
        return skip("becoming nobody needs root");
    }
    let text = in_child(|| {
        become_nobody();
        enter_and_open()
    });
    let is_open = text == "UserAndNetwork alone=true";
    assert!(is_open || text.contains("chmod 0666") || text.starts_with("Refused"), "{text}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a second thread is what is tested")]
fn other_threads_are_refused() {
    let text = in_child(|| {
        let _other = std::thread::spawn(std::thread::park);
        enter_and_open()
    });
    assert!(text.starts_with("Threads { count: 2 }"), "{text}");
    assert!(text.contains("before any thread"), "{text}");
}

#[test]
fn every_refusal_names_a_way_out() {
    let source = || std::io::Error::from_raw_os_error(libc::EPERM);
    let refused = NamespaceError::Refused { source: source() }.to_string();
    for way in ["max_user_namespaces", "unprivileged_userns_clone", "apparmor", "sudo"] {
        assert!(refused.contains(way), "{refused}");
    }
    let node = NamespaceError::TunNode { source: source() }.to_string();
    assert!(node.contains("udev") && node.contains("sudo"), "{node}");
    assert_ne!(Namespaces::Network, Namespaces::UserAndNetwork);
}
