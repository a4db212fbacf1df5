//! The C calls beside libc's: one program (`c_parity`), compiled once for each, prints what every
//! call answers.

use std::path::Path;

use tests::netns::{Netns, demo_path};

/// The options of `tapstack_init`.
const CONFIG: &str = "tap=tap0 addr=192.0.2.2/24";

/// Whoever is reached without a wire has answered already.
const AT_ONCE: &str = "a connection to this host itself is refused at once";
/// `docs/decisions/0017-doors.md`.
const PAIR: &str = "what a program polls and shuts down is its end of a pair";
/// The same.
const LATER: &str = "what a datagram meets is told by the next receive";
/// An option is refused rather than taken without effect.
const REFUSED: &str = "an option that would do nothing is refused";
/// What programs take for a mistake, or should.
const STRICT: &str = "what is no family, no port or no address is refused";

/// What Linux says, what Tapstack says, and why: in the order of the checks.
const DIFFERENCES: &[[&str; 3]] = &[
    ["bind to any of no family 0 -", "bind to any of no family -1 EAFNOSUPPORT", STRICT],
    ["connect, to be refused -1 EINPROGRESS", "connect, to be refused -1 ECONNREFUSED", AT_ONCE],
    ["it is refused 28 -", "it is refused 4 -", AT_ONCE],
    ["with its error 111 -", "with its error 0 -", AT_ONCE],
    ["a reset is polled 8221 -", "a reset is polled 8213 -", PAIR],
    ["shutdown after it -1 ENOTCONN", "shutdown after it 0 -", PAIR],
    ["set SO_BROADCAST to 1 1 -", "set SO_BROADCAST to 1 -1 ENOPROTOOPT", REFUSED],
    ["set IP_MTU_DISCOVER to 2 2 -", "set IP_MTU_DISCOVER to 2 -1 ENOPROTOOPT", REFUSED],
    ["set IP_MTU_DISCOVER to 77 -1 EINVAL", "set IP_MTU_DISCOVER to 77 -1 ENOPROTOOPT", REFUSED],
    ["get IP_MTU (4 bytes) -1 ENOTCONN", "get IP_MTU (4 bytes) -1 ENOPROTOOPT", REFUSED],
    [
        "get IP_MULTICAST_TTL (4 bytes) 1 -",
        "get IP_MULTICAST_TTL (4 bytes) -1 ENOPROTOOPT",
        REFUSED,
    ],
    [
        "get IP_MULTICAST_LOOP (4 bytes) 1 -",
        "get IP_MULTICAST_LOOP (4 bytes) -1 ENOPROTOOPT",
        REFUSED,
    ],
    ["set IP_PKTINFO to 1 1 -", "set IP_PKTINFO to 1 -1 ENOPROTOOPT", REFUSED],
    ["set SO_KEEPALIVE to 1 1 -", "set SO_KEEPALIVE to 1 -1 ENOPROTOOPT", REFUSED],
    ["set SO_OOBINLINE to 1 1 -", "set SO_OOBINLINE to 1 -1 ENOPROTOOPT", REFUSED],
    [
        "get TCP_DEFER_ACCEPT (4 bytes) 0 -",
        "get TCP_DEFER_ACCEPT (4 bytes) -1 ENOPROTOOPT",
        REFUSED,
    ],
    ["get TCP_SYNCNT (4 bytes) 6 -", "get TCP_SYNCNT (4 bytes) -1 ENOPROTOOPT", REFUSED],
    ["set TCP_SYNCNT to 0 -1 EINVAL", "set TCP_SYNCNT to 0 -1 ENOPROTOOPT", REFUSED],
    ["get TCP_LINGER2 (4 bytes) 60 -", "get TCP_LINGER2 (4 bytes) -1 ENOPROTOOPT", REFUSED],
    [
        "get TCP_QUICKACK (4 bytes) 1 -",
        "get TCP_QUICKACK (4 bytes) 0 -",
        "it tells what was asked for, not how acknowledgments are paced at the moment",
    ],
    ["sendto the other family -1 EAFNOSUPPORT", "sendto the other family 1 -", LATER],
    ["sendto port 0 -1 EINVAL", "sendto port 0 1 -", LATER],
    ["sendto a broadcast address -1 EACCES", "sendto a broadcast address 1 -", LATER],
    ["is polled 9 -", "is polled 1 -", PAIR],
    ["poll of a new stream 20 -", "poll of a new stream 4 -", PAIR],
    ["poll of a listener 0 -", "poll of a listener 4 -", PAIR],
    ["poll of a listener with a connection 1 -", "poll of a listener with a connection 5 -", PAIR],
    ["poll of it when that is accepted 0 -", "poll of it when that is accepted 4 -", PAIR],
    [
        "a port that is none: 1 of 2 1 6 16 192.0.2.1 0 -",
        "a port that is none: Name or service not known",
        STRICT,
    ],
];

/// Compiles the checks, and runs them; what they print.
fn run(ns: &Netns, name: &str, flags: &str, arguments: &str) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/c_parity");
    ns.sh(60, &format!("cc -Wall -Wextra -Werror -O1 {source}/*.c -o {name} {flags}"));
    ns.sh(30, &format!("{} {arguments}", ns.dir().join(name).display()))
}

#[test]
fn every_call_answers_as_libcs() {
    let Some(ns) = Netns::with_ipv6() else { return };
    let c = concat!(env!("CARGO_MANIFEST_DIR"), "/../stack/doors/c/include");
    let tapstack = demo_path("tapstack");
    let libraries = tapstack.parent().unwrap_or(Path::new("/")).display().to_string();
    let flags = format!("-DTAPSTACK -I {c} -L {libraries} -Wl,-rpath,{libraries} -ltapstack");
    let linux = run(&ns, "libc", "", "");
    let ours = run(&ns, "ours", &flags, &format!("'{CONFIG}'"));
    assert_eq!(linux.lines().count(), ours.lines().count());
    let pairs = linux.lines().zip(ours.lines());
    let found: Vec<[&str; 2]> =
        pairs.filter(|(a, b)| a != b).map(|(linux, ours)| [linux, ours]).collect();
    let meant: Vec<[&str; 2]> = DIFFERENCES.iter().map(|&[linux, ours, _]| [linux, ours]).collect();
    assert_eq!(found, meant);
}
