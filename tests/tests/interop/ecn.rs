//! ECN (RFC 3168) with Linux: each side asks once, and both send text that routers may mark.

use crate::PEER;
use tests::netns::{KERNEL, Netns, STACK, demo_path};

/// Packets with ECT(0) that Linux has received in this namespace.
fn received(ns: &Netns) -> u64 {
    let netstat = ns.sh(5, "cat /proc/net/netstat");
    let mut lines = netstat.lines().filter(|line| line.starts_with("IpExt:"));
    let (names, numbers) = (lines.next().unwrap(), lines.next().unwrap());
    let mut pairs = names.split(' ').zip(numbers.split(' '));
    let (_, number) = pairs.find(|(name, _)| *name == "InECT0Pkts").expect("Linux counts them");
    number.parse().unwrap()
}

#[test]
fn linux_asks() {
    let Some(ns) = Netns::new() else { return };
    let _echo = ns.serve("echo", "");
    ns.sh(20, &format!("{PEER} crowd {STACK}:7 3 100000"));
    assert_eq!(received(&ns), 0, "nobody asked");
    ns.sh(5, "echo 1 >/proc/sys/net/ipv4/tcp_ecn");
    ns.sh(20, &format!("{PEER} crowd {STACK}:7 3 100000"));
    assert!(received(&ns) >= 3, "{}", received(&ns));
}

#[test]
fn we_ask() {
    let Some(ns) = Netns::new() else { return };
    let nc = demo_path("nc").display().to_string();
    let listening = "until ss -Hltn 'sport = 5000' | grep -q .; do sleep 0.02; done";
    let said = ns.sh(
        30,
        &format!(
            "{PEER} answer {KERNEL}:5000 & {listening}; \
             {PEER} make 1000000 | {nc} --tap tap0 --ecn on -N {KERNEL} 5000 | \
             {PEER} check 1000000; wait"
        ),
    );
    assert_eq!(said, "ok\nok\n");
    assert!(received(&ns) >= 15, "{}", received(&ns));
}
