//! Groups: our chat with itself and with Linux, on a bridge that listens to IGMP and MLD.
//!
//! ```text
//!  python, 192.0.2.1 on hub ==[ bridge, snooping and asking ]== tap0: alice, tap1: bob
//! ```

use crate::programs::on_tapstack;
use tests::netns::{Netns, Running, demo_path, have, skipped};

/// A member on Linux's sockets: prints what it hears, and says what it reads.
const MEMBER: &str = r#"
import socket as s, struct, sys, threading
group = sys.argv[1]
version = s.AF_INET6 if ':' in group else s.AF_INET
k = s.socket(version, s.SOCK_DGRAM)
k.setsockopt(s.SOL_SOCKET, s.SO_REUSEADDR, 1)
k.bind(('', 7777))
hub, packed = s.if_nametoindex('hub'), s.inet_pton(version, group)
if version == s.AF_INET6:
    k.setsockopt(s.IPPROTO_IPV6, s.IPV6_JOIN_GROUP, packed + struct.pack('@I', hub))
    k.setsockopt(s.IPPROTO_IPV6, s.IPV6_MULTICAST_IF, hub)
else:
    k.setsockopt(s.IPPROTO_IP, s.IP_ADD_MEMBERSHIP, struct.pack('4s4si', packed, b'', hub))
    k.setsockopt(s.IPPROTO_IP, s.IP_MULTICAST_IF, s.inet_aton('192.0.2.1'))
def hear():
    while True:
        print(k.recv(2000).decode().strip(), flush=True)
threading.Thread(target=hear, daemon=True).start()
print('ready', flush=True)
for line in sys.stdin:
    k.sendto(line.encode(), (group, 7777))
"#;

/// Puts `tap0` and a second TAP on a bridge which forwards what is for a group only to where
/// somebody has joined it, and asks every second who has.
fn bridge(ns: &Netns) -> Option<()> {
    let hub = "ip link add dev hub type bridge forward_delay 0 mcast_snooping 1 mcast_querier 1 \
               mcast_igmp_version 3 mcast_mld_version 2 mcast_query_interval 100 \
               mcast_query_response_interval 50 mcast_startup_query_interval 50 \
               mcast_last_member_interval 20 mcast_membership_interval 200";
    if !ns.try_sh(10, hub).status.success() {
        return skipped();
    }
    ns.sh(
        10,
        "echo 0 >/proc/sys/net/ipv6/conf/hub/accept_dad; ip address flush dev tap0; \
         ip tuntap add tap1 mode tap; ip link set tap0 master hub; ip link set tap1 master hub; \
         ip link set tap1 up; ip address add 192.0.2.1/24 dev hub; \
         ip address add 2001:db8::1/64 dev hub nodad; ip link set hub up",
    );
    Some(())
}

/// Starts a chat, which is in the group then.
fn chat(ns: &Netns, name: &str, port: &str, last: u8, group: &str) -> Running {
    let addresses = format!("192.0.2.{last}/24,2001:db8::{last}/64");
    let options = format!("--name {name} --tap {port} --addr {addresses} --group {group}");
    let mut chat = ns.spawn(demo_path("chat"), &options);
    chat.wait_for(&format!("* you are {name}"));
    chat
}

fn talk_with_each_other_and_with_linux(group: &str) {
    let Some(ns) = Netns::with_ipv6() else { return };
    if !have(&["python3", "bridge"]) || bridge(&ns).is_none() {
        return;
    }
    std::fs::write(ns.dir().join("member.py"), MEMBER).unwrap();
    let mut linux = ns.spawn("python3", &format!("-u member.py {group}"));
    linux.wait_for("ready");
    let mut second = ns.spawn("python3", &format!("-u member.py {group}"));
    second.wait_for("ready");

    let mut alice = chat(&ns, "alice", "tap0", 2, group);
    linux.wait_for("JOIN alice");
    // Linux has read our report.
    let joined =
        |port: &str| format!("bridge mdb show dev hub | grep -q 'port {port} grp {group}'");
    ns.sh(10, &format!("until {}; do sleep 0.05; done", joined("tap0")));
    let mut bob = chat(&ns, "bob", "tap1", 3, group);
    alice.wait_for("* bob joins");
    // She answers, unless he has heard her say once more that she joins.
    bob.wait_for("* alice ");
    ns.sh(10, &format!("until {}; do sleep 0.05; done", joined("tap1")));

    alice.write("hello\n");
    for (member, heard) in [(&mut bob, "alice: hello"), (&mut linux, "SAY alice hello")] {
        member.wait_for(heard);
    }
    second.wait_for("SAY alice hello");
    linux.write("SAY tux hello from Linux\n");
    alice.wait_for("tux: hello from Linux");
    bob.wait_for("tux: hello from Linux");
    // Longer than a report lives without being renewed: we answer Linux's questions.
    ns.sh(10, &format!("sleep 3; {} && {}", joined("tap0"), joined("tap1")));
    linux.write("SAY tux still there?\n");
    bob.wait_for("tux: still there?");

    bob.close_stdin();
    alice.wait_for("* bob leaves");
    let (status, _) = bob.finish();
    assert!(status.success(), "{status}");
    ns.sh(10, &format!("while {}; do sleep 0.05; done; {}", joined("tap1"), joined("tap0")));
    alice.interrupt();
    linux.wait_for("LEAVE alice");
}

#[test]
fn members_talk_over_ipv4() {
    talk_with_each_other_and_with_linux("239.192.7.7");
}

#[test]
fn members_talk_over_ipv6() {
    talk_with_each_other_and_with_linux("ff15::7:7");
}

/// A program that joins a group for one source, and prints what it hears. `MCAST_JOIN_SOURCE_GROUP`
/// takes a `struct group_source_req`.
const OF_ONE_SOURCE: &str = r#"
import socket as s, struct, sys
group, source = sys.argv[1:]
version, level = (s.AF_INET6, s.IPPROTO_IPV6) if ':' in group else (s.AF_INET, s.IPPROTO_IP)
def storage(text):
    packed = s.inet_pton(version, text)
    if version == s.AF_INET6:
        return struct.pack('=HHI16sI100x', version, 0, 0, packed, 0)
    return struct.pack('=HH4s120x', version, 0, packed)
k = s.socket(version, s.SOCK_DGRAM)
k.bind(('', 7777))
k.setsockopt(level, 46, struct.pack('@I4x', 0) + storage(group) + storage(source))
print('ready', flush=True)
while True:
    print('heard', k.recv(2000).decode(), flush=True)
"#;

/// Linux speaks from two addresses: first from that which nobody asked for.
const OF_TWO_SOURCES: &str = r#"
import socket as s, sys
group, *sources = sys.argv[1:]
version = s.AF_INET6 if ':' in group else s.AF_INET
for source in sources:
    k = s.socket(version, s.SOCK_DGRAM)
    k.bind((source, 0))
    if version == s.AF_INET6:
        k.setsockopt(s.IPPROTO_IPV6, s.IPV6_MULTICAST_IF, s.if_nametoindex('hub'))
    else:
        k.setsockopt(s.IPPROTO_IP, s.IP_MULTICAST_IF, s.inet_aton(source))
    k.sendto(source.encode(), (group, 7777))
"#;

fn one_source_is_heard_of_two(group: &str, [friend, stranger]: [&str; 2]) {
    let Some(ns) = Netns::with_ipv6() else { return };
    if !have(&["python3", "bridge"]) || bridge(&ns).is_none() {
        return;
    }
    ns.sh(
        10,
        "ip address add 192.0.2.9/24 dev hub; ip address add 2001:db8::9/64 dev hub nodad; \
         ip route add default dev hub",
    );
    std::fs::write(ns.dir().join("member.py"), OF_ONE_SOURCE).unwrap();
    std::fs::write(ns.dir().join("speaker.py"), OF_TWO_SOURCES).unwrap();
    let line = format!("exec {} python3 -u member.py {group} {friend}\n", on_tapstack());
    std::fs::write(ns.dir().join("member.sh"), line).unwrap();
    let mut member = ns.spawn("sh", "member.sh");
    member.wait_for("ready");
    // Linux has read our report.
    let joined = format!("port tap0 grp {group} src {friend} ");
    ns.sh(
        10,
        &format!("until bridge -d mdb show dev hub | grep -q '{joined}'; do sleep 0.05; done"),
    );
    let speak = format!("python3 speaker.py {group} {stranger} {friend}");
    ns.sh(10, &speak);
    assert_eq!(member.wait_for("heard"), format!("heard {friend}"));
    // Longer than a report lives: we answer Linux's questions about it.
    ns.sh(10, &format!("sleep 3; bridge -d mdb show dev hub | grep -q '{joined}'"));
    // A bridge that lets all pass.
    ns.sh(10, &format!("ip link set hub type bridge mcast_snooping 0; {speak}; {speak}"));
    for _ in 0..2 {
        assert_eq!(member.wait_for("heard"), format!("heard {friend}"));
    }
}

#[test]
fn one_source_is_heard_of_two_over_ipv4() {
    one_source_is_heard_of_two("232.1.2.3", ["192.0.2.1", "192.0.2.9"]);
}

#[test]
fn one_source_is_heard_of_two_over_ipv6() {
    one_source_is_heard_of_two("ff35::123", ["2001:db8::1", "2001:db8::9"]);
}

/// RFC 4862 §5.4.2: what neighbours ask of a host reaches it through a switch that has heard its
/// reports, and through no other.
#[test]
fn a_snooping_switch_lets_through_what_neighbors_ask() {
    let Some(ns) = Netns::with_ipv6() else { return };
    if !have(&["bridge"]) || bridge(&ns).is_none() {
        return;
    }
    let _echo = ns.serve("echo", "--addr 192.0.2.2/24,2001:db8::2/64");
    let known = "bridge mdb show dev hub | grep -q 'port tap0 grp ff02::1:ff00:2'";
    ns.sh(10, &format!("until {known}; do sleep 0.05; done"));
    // Longer than a report lives without being renewed: we answer the switch's questions.
    ns.sh(10, &format!("sleep 3; {known}"));
    ns.sh(10, "ip -6 neigh flush dev hub; ping -6 -q -c 1 -W 8 2001:db8::2");
}
