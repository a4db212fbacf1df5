//! Super-frames and plain frames, one after the other on the same TAP.

use crate::{LISTENING, PEER};
use tests::netns::{KERNEL, Netns, STACK, demo_path, have};

/// Bytes of a transfer.
const COUNT: u64 = 200 << 20;

/// Transfers both ways, one after the other; `options` are the demo's.
fn both_ways(ns: &Netns, options: &str) {
    to_linux(ns, options);
    from_linux(ns, options);
}

fn to_linux(ns: &Netns, options: &str) {
    let nc = demo_path("nc").display().to_string();
    let said = ns.sh(
        300,
        &format!(
            "(nc -l {KERNEL} 5000 </dev/null | {PEER} check {COUNT} 1) & {LISTENING}; \
             {PEER} make {COUNT} 1 | {nc} --tap tap0 {options} -N {KERNEL} 5000; wait"
        ),
    );
    assert_eq!(said, "ok\n", "to Linux with {options:?}");
}

fn from_linux(ns: &Netns, options: &str) {
    let nc = demo_path("nc").display().to_string();
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

/// What Wireshark reads of a capture, a segment a line: which end, sequence number, length,
/// acknowledgment, window, and whether it takes it for one sent again or out of order.
const DISSECT: &str = "tshark -n -r all.pcapng -T fields -E occurrence=f -e tcp.srcport -e tcp.seq \
     -e tcp.len -e tcp.ack -e tcp.window_size -e tcp.analysis.retransmission \
     -e tcp.analysis.out_of_order tcp 2>/dev/null";

/// Fails when something in the capture did not fit the window that the other end had announced.
/// Returns the first line that was sent again, other than a last segment (a tail loss probe,
/// RFC 8985 §7).
fn sent_again(ns: &Netns) -> Option<String> {
    let dissected = ns.sh(120, DISSECT);
    let (mut right_edge, mut sent) = ([None, None], [0, 0]);
    let (mut text, mut again) = (0, None);
    for line in dissected.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| fields[at].parse::<u64>().unwrap();
        let end = usize::from(fields[0] == "5000");
        let upto = number(1) + number(2);
        if upto != sent[end] && (!fields[5].is_empty() || !fields[6].is_empty()) {
            again = again.or_else(|| Some(line.to_owned()));
        }
        if let Some(edge) = right_edge[1 - end] {
            assert!(upto <= edge, "outside the window up to {edge}: {line}");
        }
        sent[end] = sent[end].max(upto);
        text += number(2);
        right_edge[end] = right_edge[end].max(Some(number(3) + number(4)));
    }
    assert!(text >= COUNT, "{text} bytes in the capture");
    again
}

/// A machine that has no time for an acknowledgment makes a sender send again: one run of three
/// must be without.
#[test]
fn wireshark_sees_nothing_sent_again_nor_outside_the_window() {
    if !have(&["tshark"]) {
        return;
    }
    let Some(ns) = Netns::new() else { return };
    for transfer in [to_linux, from_linux] {
        let runs: Vec<_> = std::iter::repeat_with(|| {
            transfer(&ns, "--pcap all.pcapng");
            sent_again(&ns)
        })
        .take(3)
        .take_while(Option::is_some)
        .collect();
        assert!(runs.len() < 3, "sent again: {runs:?}");
    }
}

/// Attaches to the TAP with offloads, and becomes the program in its arguments, which inherits it.
const INHERIT: &str = "
import fcntl, os, struct, sys
fd = os.open('/dev/net/tun', os.O_RDWR)
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, TUNSETIFF = 2, 0x1000, 0x4000, 0x400454ca
name_and_flags = struct.pack('16sH22x', b'tap0', IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
fcntl.ioctl(fd, TUNSETIFF, name_and_flags)
os.dup2(fd, 9)
os.execv(sys.argv[1], sys.argv[1:])
";

/// The longest frame of a recording.
const LONGEST: &str = "
import struct
bytes, at, longest = open('all.pcapng', 'rb').read(), 0, 0
while at < len(bytes):
    kind, length = struct.unpack_from('<II', bytes, at)
    if kind == 6: longest = max(longest, struct.unpack_from('<I', bytes, at + 24)[0])
    at += length
print(longest)
";

#[test]
fn an_inherited_device_is_plain_if_that_is_asked_for() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    std::fs::write(ns.dir().join("inherit.py"), INHERIT).unwrap();
    std::fs::write(ns.dir().join("longest.py"), LONGEST).unwrap();
    let echo = demo_path("echo").display().to_string();
    let longest = |option: &str| -> usize {
        let serve = format!("python3 inherit.py {echo} --fd 9 {option} --pcap all.pcapng");
        let ready = "until grep -q ready said; do sleep 0.02; done";
        let talk = format!("head -c 1000000 /dev/zero | timeout 10 nc -N {STACK} 7 | wc -c");
        let line = format!(
            "timeout 20 {serve} >said & {ready}; {talk}; kill $!; wait; python3 longest.py"
        );
        let said = ns.sh(30, &line);
        let (echoed, longest) = said.split_once('\n').unwrap();
        assert_eq!(echoed, "1000000", "{option}");
        longest.trim().parse().unwrap()
    };
    assert!(longest("") > 1514, "the device cuts, and joins");
    assert_eq!(longest("--plain"), 1514);
}
