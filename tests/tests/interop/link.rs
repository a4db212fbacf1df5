//! The cable is cut and mended while a connection is busy (THREATS E-2, E-3).

use crate::{LISTENING, PEER};
use tests::netns::{KERNEL, Netns, demo_path};

/// Bytes of a transfer: some seconds' worth with the outages.
const COUNT: u64 = 1 << 30;

/// The cable as a test finds it.
const MAKE: &str = "ip tuntap add dev tap0 mode tap && ip address add 192.0.2.1/24 dev tap0 && \
                    ip link set tap0 up";

/// Sends a pattern to the kernel and back from it, each time with an outage in the middle.
fn transfers_with_an_outage(options: &str, cut: &str, mend: &str) {
    let Some(ns) = Netns::new() else { return };
    let nc = demo_path("nc").display().to_string();
    let nc = format!("{nc} --tap tap0 {options}");
    let outage = format!("sleep 0.2; {cut}; sleep 0.7; kill -0 $! || echo over; {mend}; wait $!");
    let to_linux = format!(
        "(nc -l {KERNEL} 5000 </dev/null | {PEER} check {COUNT} 1) & {LISTENING}; \
         {PEER} make {COUNT} 1 | {nc} -N {KERNEL} 5000 >/dev/null & {outage}; wait"
    );
    assert_eq!(ns.sh(60, &to_linux), "ok\n", "to Linux");
    let from_linux = format!(
        "({PEER} make {COUNT} 2 | nc -l -N {KERNEL} 5000) & {LISTENING}; \
         ({nc} {KERNEL} 5000 </dev/null | {PEER} check {COUNT} 2) & {outage}; wait"
    );
    assert_eq!(ns.sh(60, &from_linux), "ok\n", "from Linux");
}

#[test]
fn e2_a_link_that_was_down_goes_on() {
    transfers_with_an_outage("", "ip link set tap0 down", "ip link set tap0 up");
}

#[test]
fn e3_a_tap_that_was_deleted_and_made_again_goes_on() {
    transfers_with_an_outage("", "ip link delete tap0", MAKE);
}

#[test]
fn e3_so_does_a_plain_one() {
    transfers_with_an_outage("--plain", "ip link delete tap0", MAKE);
}
