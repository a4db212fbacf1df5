//! Netcat against netcat, with half-closed connections.

use crate::{LISTENING, PEER};
use tests::netns::{KERNEL, Netns, STACK, demo_path};

#[test]
fn linux_connects_and_each_side_closes_in_its_time() {
    let Some(ns) = Netns::new() else { return };
    let mut ours = ns.spawn(demo_path("nc"), "--tap tap0 -v -l -N 5000");
    // Our side says something only after the other one has closed: half-closed connections work.
    let theirs = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| {
            let connect = format!("nc -N -w 10 {STACK} 5000");
            ns.sh(30, &format!("until echo from linux | {connect}; do sleep 0.1; done"))
        });
        ours.wait_for("from linux");
        ours.write("from us\n");
        ours.close_stdin();
        theirs.join().unwrap()
    });
    assert_eq!(theirs, "from us\n");
    let (status, rest) = ours.finish();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "");
}

#[test]
fn we_connect_and_each_side_closes_in_its_time() {
    let Some(ns) = Netns::new() else { return };
    let nc = demo_path("nc").display().to_string();
    let said = ns.sh(
        30,
        &format!(
            "{PEER} answer {KERNEL}:5000 & {LISTENING}; \
             {PEER} make 1000000 | {nc} --tap tap0 -N {KERNEL} 5000 | {PEER} check 1000000; wait"
        ),
    );
    assert_eq!(said, "ok\nok\n");
}

#[test]
fn both_directions_carry_a_stream_at_the_same_time() {
    let Some(ns) = Netns::new() else { return };
    let nc = demo_path("nc").display().to_string();
    // OpenBSD's listener ends with its client's end, so this client keeps its own open.
    let count = 64 << 20;
    let (out, back) = (format!("make {count} 1"), format!("make {count} 2"));
    let (out_check, back_check) = (format!("check {count} 1"), format!("check {count} 2"));
    let said = ns.sh(
        120,
        &format!(
            "({PEER} {back} | nc -l -N {KERNEL} 5000 | {PEER} {out_check} >theirs) & {LISTENING}; \
             {PEER} {out} | {nc} --tap tap0 {KERNEL} 5000 | {PEER} {back_check}; wait; \
             cat theirs"
        ),
    );
    assert_eq!(said, "ok\nok\n");
}

#[test]
fn a_udp_listener_that_stays_outlives_a_peer_whose_port_closes() {
    let Some(ns) = Netns::new() else { return };
    let mut ours = ns.spawn(demo_path("nc"), "--tap tap0 -l -u -k 5000");
    // Each from a port of its own, which is closed at once; until nc waits again, in vain.
    let say = |text| {
        let once = format!("echo {text} >/dev/udp/{STACK}/5000; sleep 0.1");
        ns.sh(20, &format!("bash -c 'for i in 1 2 3 4 5 6 7 8 9 10; do {once}; done'"))
    };
    say("first");
    ours.wait_for("first");
    ours.write("too late\n");
    say("second");
    ours.wait_for("second");
}

#[test]
fn a_refused_connection_says_so_on_both_sides() {
    let Some(ns) = Netns::new() else { return };
    let nc = demo_path("nc").display().to_string();
    let output = ns.try_sh(20, &format!("{nc} --tap tap0 {KERNEL} 5001"));
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("connection refused"), "{said}");
    let _echo = ns.serve("echo", "");
    let output = ns.try_sh(20, &format!("nc -v -w 5 {STACK} 5001"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("refused"), "{said}");
}
