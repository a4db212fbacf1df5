//! Hosts and the offloads of their devices: whoever takes none gets plain frames, and all the
//! bytes.

use std::io::Write;
use std::thread;

use stack::host::Host;
use tapdev::Offloads;

use crate::rig::{config, connection, pattern, read, within};

const LENGTH: usize = 8 << 20;

/// A transfer to the left host. Returns the frames that each of the two handed to its device, or
/// was given by it.
fn transfer(left: Offloads, right: Offloads) -> (u64, u64) {
    let (near, far) = tapdev::pair(1500, 20_000);
    let host = |last, device, offloads| {
        Host::builder(config(last)).offloads(offloads).start(device).unwrap()
    };
    let (left, right) = (host(1, near, left), host(2, far, right));
    let (here, mut there) = connection(&left, &right);
    let text: Vec<u8> = (0..LENGTH).map(pattern).collect();
    thread::scope(|scope| {
        let writing = scope.spawn(|| there.write_all(&text).unwrap());
        assert!(read(&here, LENGTH) == text, "a byte is wrong");
        writing.join().unwrap();
    });
    (left.stats().frames_in, right.stats().frames_out)
}

#[test]
fn each_end_decides_for_itself() {
    within(60, || {
        let segments = (LENGTH / 1448) as u64;
        let (given, sent) = transfer(Offloads::ALL, Offloads::ALL);
        assert!(sent < segments / 3 && given < segments / 3, "{sent} sent, {given} given");
        let (given, sent) = transfer(Offloads::NONE, Offloads::ALL);
        assert!(sent < segments / 3 && given >= segments, "{sent} sent, {given} given");
        let (given, sent) = transfer(Offloads::ALL, Offloads::NONE);
        assert!(sent >= segments && given >= segments, "{sent} sent, {given} given");
    });
}
