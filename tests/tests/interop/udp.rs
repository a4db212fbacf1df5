//! Datagrams.

use crate::PEER;
use tests::netns::{KERNEL, Netns, STACK, demo_path};

#[test]
fn datagrams_of_every_kind_of_size_come_back() {
    let Some(ns) = Netns::new() else { return };
    let _echo = ns.serve("echo", "");
    // Up to two fragments one by one, then in steps, and the largest.
    ns.sh(60, &format!("{PEER} udp-echo {STACK}:7 0 3000 1"));
    ns.sh(60, &format!("{PEER} udp-echo {STACK}:7 3001 65507 331"));
    ns.sh(60, &format!("{PEER} udp-echo {STACK}:7 65500 65507 1"));
}

#[test]
fn datagrams_that_leave_in_one_frame_arrive_one_by_one() {
    let Some(ns) = Netns::new() else { return };
    let mut source = ns.spawn(demo_path("perf"), "serve --tap tap0");
    source.wait_for("ready");
    for size in [1, 64, 1400, 1472, 1473] {
        ns.sh(60, &format!("{PEER} udp-flood {STACK}:5006 {size}"));
    }
}

#[test]
fn a_closed_port_of_ours_refuses_linux() {
    let Some(ns) = Netns::new() else { return };
    let _echo = ns.serve("echo", "");
    ns.sh(20, &format!("{PEER} udp-refused {STACK}:9"));
}

#[test]
fn a_closed_port_of_linux_refuses_us() {
    let Some(ns) = Netns::new() else { return };
    let nc = demo_path("nc").display().to_string();
    let output = ns.try_sh(20, &format!("echo anybody | {nc} --tap tap0 -u -w 5 {KERNEL} 9"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("port unreachable"), "{said}");
}

#[test]
fn netcat_talks_udp_both_ways() {
    let Some(ns) = Netns::new() else { return };
    let nc = demo_path("nc").display().to_string();
    let said = ns.sh(
        20,
        &format!(
            "(sleep 0.5; echo from linux; sleep 1) | timeout 5 nc -u -l {KERNEL} 5000 >heard & \
             until ss -Hlun 'sport = 5000' | grep -q .; do sleep 0.02; done; \
             echo from us | {nc} --tap tap0 -u -w 1 {KERNEL} 5000; kill $!; cat heard"
        ),
    );
    assert_eq!(said, "from linux\nfrom us\n");
}
