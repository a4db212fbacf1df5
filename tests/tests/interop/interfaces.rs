//! A host on two TAPs, and on a VLAN of Linux's.

use crate::PEER;
use tests::netns::{Netns, STACK, demo_path, skip};

/// Far more than any buffer on the way holds.
const LENGTH: u64 = 50_000_000;

/// A second TAP, where the kernel is 198.51.100.1.
pub(crate) const SECOND: &str = "ip tuntap add tap1 mode tap && \
                      ip address add 198.51.100.1/24 dev tap1 && ip link set tap1 up";

/// Fetches until it works, which may take the stack a moment.
fn fetch(ns: &Netns, address: &str) {
    let curl = "curl -sSf --retry 20 --retry-all-errors --retry-delay 1 -m 20";
    ns.sh(60, &format!("{curl} http://{address}/big.bin | {PEER} check {LENGTH} 1"));
}

#[test]
fn httpd_is_on_both_taps_and_stays_on_one_when_the_other_is_deleted() {
    let Some(ns) = Netns::new() else { return };
    ns.sh(10, SECOND);
    ns.sh(60, &format!("{PEER} make {LENGTH} 1 >big.bin"));
    let arguments = format!(
        "--port 80 --interface tap1:198.51.100.2/24 --route 203.0.113.0/24=198.51.100.1 {}",
        ns.dir().display()
    );
    let _httpd = ns.serve("httpd", &arguments);
    for address in [STACK, "198.51.100.2"] {
        fetch(&ns, address);
    }
    // What comes from the network behind the second router is answered there.
    ns.sh(10, "ip address add 203.0.113.1/32 dev lo");
    ns.sh(20, "curl -sSf -m 10 --interface 203.0.113.1 http://198.51.100.2/ -o index");
    ns.sh(10, "ip link delete tap1");
    fetch(&ns, STACK);
    ns.sh(10, SECOND);
    fetch(&ns, "198.51.100.2");
}

#[test]
fn a_capture_has_the_frames_of_both_taps() {
    let Some(ns) = Netns::new() else { return };
    ns.sh(10, SECOND);
    let httpd = ns.serve("httpd", "--port 80 --interface tap1:198.51.100.2/24 --pcap all.pcapng");
    for address in [STACK, "198.51.100.2"] {
        ns.sh(20, &format!("curl -sSf --retry 5 --retry-all-errors -m 10 http://{address}/"));
    }
    httpd.signal("TERM");
    assert!(httpd.finish().0.success());
    let bytes = std::fs::read(ns.dir().join("all.pcapng")).unwrap();
    let (mut rest, mut names, mut packets) = (&bytes[..], 0, [0; 2]);
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
        match word(0) {
            1 => names += 1,
            6 => packets[word(8)] += 1,
            _ => {}
        }
        rest = &rest[word(4)..];
    }
    // A handshake, a request, its answer, and the close.
    assert!(names == 2 && packets.iter().all(|count| *count > 7), "{names} {packets:?}");
}

#[test]
fn a_vlan_of_linuxs_both_ways() {
    let Some(ns) = Netns::new() else { return };
    let vlan = "ip link add link tap0 name tap0.7 type vlan id 7";
    if !ns.try_sh(10, vlan).status.success() {
        return skip("this kernel has no VLANs: load its module 8021q");
    }
    ns.sh(10, "ip address add 198.18.7.1/24 dev tap0.7 && ip link set tap0.7 up");
    ns.sh(60, &format!("{PEER} make {LENGTH} 1 >big.bin"));
    let sum = ns.sh(60, "sha256sum <big.bin");
    for plain in ["", "--plain"] {
        let arguments = format!("--port 80 --vlan 7:198.18.7.2/24 {plain} {}", ns.dir().display());
        let httpd = ns.serve("httpd", &arguments);
        for address in [STACK, "198.18.7.2"] {
            fetch(&ns, address);
            ns.sh(20, &format!("ping -c 2 -i 0.2 -W 5 -s 1472 -M do {address}"));
        }
        let upload = "curl -sSf -m 50 -T big.bin http://198.18.7.2/upload";
        let answer = ns.sh(60, upload);
        assert!(answer.contains(sum.split_whitespace().next().unwrap()), "{answer}");
        drop(httpd);
    }
    let ping = demo_path("ping");
    let line = format!("{} --tap tap0 --vlan 7:198.18.7.2/24 -c 2 198.18.7.1", ping.display());
    ns.sh(20, &line);
}
