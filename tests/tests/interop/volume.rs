//! More bytes than there are sequence numbers. `scripts/test` runs these; alone:
//! `cargo test -p tests --test interop -- --ignored`; with `TAPSTACK_GIB=20` in front, 20 GiB.

use crate::PEER;
use tests::netns::{KERNEL, Netns, demo_path};

/// Bytes of a transfer: the sequence space is 4 GiB, and a little more is enough.
fn count() -> u64 {
    std::env::var("TAPSTACK_GIB").map_or(5, |gib| gib.parse::<u64>().unwrap()) << 30
}

#[test]
#[ignore = "takes a minute or two"]
fn five_gibibytes_to_linux_arrive_byte_for_byte() {
    let Some(ns) = Netns::new() else { return };
    let (nc, count) = (demo_path("nc").display().to_string(), count());
    let said = ns.sh(
        600,
        &format!(
            "(nc -l {KERNEL} 5000 </dev/null | {PEER} check {count} 1) & \
             until ss -Hltn 'sport = 5000' | grep -q .; do sleep 0.02; done; \
             {PEER} make {count} 1 | {nc} --tap tap0 -N {KERNEL} 5000; wait"
        ),
    );
    assert!(said.contains("ok"), "{said}");
}

#[test]
#[ignore = "takes a minute or two"]
fn five_gibibytes_from_linux_arrive_byte_for_byte() {
    let Some(ns) = Netns::new() else { return };
    let (nc, count) = (demo_path("nc").display().to_string(), count());
    let said = ns.sh(
        600,
        &format!(
            "({PEER} make {count} 2 | nc -l -N {KERNEL} 5000) & \
             until ss -Hltn 'sport = 5000' | grep -q .; do sleep 0.02; done; \
             {nc} --tap tap0 {KERNEL} 5000 </dev/null | {PEER} check {count} 2; wait"
        ),
    );
    assert!(said.contains("ok"), "{said}");
}
