//! Super-frames and plain frames, one after the other on the same TAP.

use crate::{LISTENING, PEER};
use tests::netns::{KERNEL, Netns, demo_path};

/// Bytes of a transfer.
const COUNT: u64 = 200 << 20;

/// Transfers both ways, one after the other; `options` are the demo's.
fn both_ways(ns: &Netns, options: &str) {
    let nc = demo_path("nc").display().to_string();
    let said = ns.sh(
        300,
        &format!(
            "(nc -l {KERNEL} 5000 </dev/null | {PEER} check {COUNT} 1) & {LISTENING}; \
             {PEER} make {COUNT} 1 | {nc} --tap tap0 {options} -N {KERNEL} 5000; wait"
        ),
    );
    assert_eq!(said, "ok\n", "to Linux with {options:?}");
    let said = ns.sh(
        300,
        &format!(
            "({PEER} make {COUNT} 2 | nc -l -N {KERNEL} 5000) & {LISTENING}; \
             {nc} --tap tap0 {options} {KERNEL} 5000 </dev/null | {PEER} check {COUNT} 2; wait"
        ),
    );
    assert_eq!(said, "ok\n", "from Linux with {options:?}");
}

/// Frames that crossed a TAP in either direction, as the kernel counts them.
fn frames(ns: &Netns) -> u64 {
    let counted = ns.sh(10, "cat /sys/class/net/tap0/statistics/[rt]x_packets 2>/dev/null || true");
    let counted = if counted.is_empty() {
        // In a namespace /sys may show another one.
        let line = "ip -s link show tap0 | awk '/RX:|TX:/ { getline; print $2 }'";
        ns.sh(10, line)
    } else {
        counted
    };
    counted.lines().map(|line| line.trim().parse::<u64>().unwrap()).sum()
}

#[test]
fn each_mode_after_the_other_and_every_byte() {
    let Some(ns) = Netns::new() else { return };
    both_ways(&ns, "");
    // The interface remembers what the last program had asked for.
    both_ways(&ns, "--plain");
    both_ways(&ns, "");
}

#[test]
fn super_frames_are_few() {
    let Some(ns) = Netns::new() else { return };
    both_ways(&ns, "");
    let few = frames(&ns);
    both_ways(&ns, "--plain");
    let many = frames(&ns) - few;
    assert!(many > 5 * few, "{few} frames, and {many} without super-frames");
}

#[test]
fn a_capture_of_super_frames_holds_every_byte_with_its_checksum() {
    let Some(ns) = Netns::new() else { return };
    both_ways(&ns, "--pcap all.pcapng");
    let file = std::fs::read(ns.dir().join("all.pcapng")).unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut text, mut longest) = (0, 0, 0);
    while at < file.len() {
        if word(at) == 6 {
            let frame = &file[at + 28..at + 28 + word(at + 20)];
            let sliced = etherparse::SlicedPacket::from_ethernet(frame).unwrap();
            if let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport {
                let Some(etherparse::NetSlice::Ipv4(ip)) = sliced.net else { panic!("not IPv4") };
                let sum = tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination());
                // All ones and zero are the same number, and the tee writes all ones.
                assert_eq!(sum.unwrap() % 0xffff, tcp.checksum() % 0xffff);
                text += tcp.payload().len() as u64;
                longest = longest.max(frame.len());
            }
        }
        at += word(at + 4);
    }
    // The file is that of the second transfer, with what was sent again, if anything was.
    assert!(text >= COUNT && longest > 20_000, "{text} bytes, the longest frame has {longest}");
}
