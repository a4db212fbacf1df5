//! Addresses, from dnsmasq.

use std::time::Duration;

use crate::PEER;
use crate::names::dnsmasq;
use tests::netns::{KERNEL, KERNEL_V6, Netns, Running, STACK, demo_path, have};

/// A server which lends the addresses from one to the other; `None` where dnsmasq is missing. Its
/// leases are of two minutes, dnsmasq's shortest, and are renewed after four seconds.
fn server(ns: &Netns, first: &str, last: &str) -> Option<Running> {
    let options = format!(
        "--interface=tap0 --dhcp-authoritative --no-ping --dhcp-leasefile=leases-{first} \
         --dhcp-range={first},{last},255.255.255.0,2m --dhcp-option=option:T1,4 \
         --domain=test --host-record=web.test,{KERNEL}"
    );
    dnsmasq(ns, &options)
}

fn count(server: &Running, what: &str) -> usize {
    server.log().matches(what).count()
}

/// Waits until `server` has said `what` so many times.
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests have a clock")]
fn await_word(server: &Running, what: &str, times: usize) {
    let began = std::time::Instant::now();
    while count(server, what) < times {
        assert!(began.elapsed() < Duration::from_secs(15), "no {what}: {}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Takes some 15 s: two renewals, and one new address that nobody else may have.
#[test]
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests have a clock")]
fn an_address_is_lent_renewed_lost_and_given_back() {
    let Some(ns) = Netns::new() else { return };
    let Some(first) = server(&ns, "192.0.2.50", "192.0.2.50") else { return };
    let began = std::time::Instant::now();
    let echo = ns.serve("echo", "--dhcp");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let said = echo.log();
    assert!(said.contains("192.0.2.50/24 from 192.0.2.1"), "{said}");
    assert!(said.contains("names from 192.0.2.1, in test"), "{said}");
    ns.sh(10, "ping -q -c 2 -i 0.1 192.0.2.50");
    await_word(&first, "DHCPACK", 2);
    assert_eq!(count(&first, "DHCPDISCOVER"), 1, "{}", first.log());
    ns.sh(10, "ping -q -c 2 -i 0.1 192.0.2.50");

    // Its successor knows nothing of this lease, and refuses to renew it.
    drop(first);
    let Some(second) = server(&ns, "192.0.2.60", "192.0.2.60") else { return };
    await_word(&second, "DHCPNAK", 1);
    await_word(&second, "DHCPACK", 1);
    ns.sh(10, "until ping -q -c 1 -W 0.2 192.0.2.60; do :; done");
    assert!(!ns.try_sh(5, "ping -q -c 1 -W 0.2 192.0.2.50").status.success());
    echo.interrupt();
    await_word(&second, "DHCPRELEASE", 1);

    // A client gets its names from there, too.
    let mut web = ns.spawn(PEER, "redirect 192.0.2.1:80");
    web.wait_for("ready");
    let get = demo_path("get").display().to_string();
    assert_eq!(ns.sh(20, &format!("{get} -s --tap tap0 --dhcp http://web/")), "there\n");
}

#[test]
fn an_address_in_use_is_declined() {
    let Some(ns) = Netns::new() else { return };
    // The kernel answers for it on every interface.
    ns.sh(5, "ip address add 192.0.2.50/32 dev lo");
    let Some(server) = server(&ns, "192.0.2.50", "192.0.2.50") else { return };
    let echo = ns.spawn(demo_path("echo"), "--tap tap0 --dhcp");
    await_word(&server, "DHCPDECLINE", 1);
    assert_eq!((count(&server, "DHCPACK"), echo.log().as_str()), (1, ""));
}

/// The router says that there is more to know (RFC 4861 §4.2, flag O).
#[test]
fn what_routers_do_not_say_is_asked_of_dhcpv6() {
    let Some(ns) = Netns::with_ipv6() else { return };
    ns.sh(5, "echo 0 > /proc/sys/net/ipv6/conf/tap0/accept_dad");
    let options = format!(
        "--interface=tap0 --enable-ra --dhcp-range=2001:db8::,ra-stateless,64,10m \
         --dhcp-option=option6:dns-server,[{KERNEL_V6}] --dhcp-option=option6:domain-search,test \
         --host-record=web.test,{KERNEL},{KERNEL_V6}"
    );
    let Some(server) = dnsmasq(&ns, &options) else { return };
    let echo = ns.serve("echo", "--autoconf");
    let said = echo.log();
    assert!(said.contains(&format!("DHCPv6, names from {KERNEL_V6}, in test")), "{said}");
    assert_eq!(count(&server, "DHCPINFORMATION-REQUEST"), 1, "{}", server.log());
    drop(echo);
    let mut web = ns.spawn(PEER, "redirect [::]:80");
    web.wait_for("ready");
    let get = demo_path("get").display().to_string();
    assert_eq!(ns.sh(20, &format!("{get} -s --tap tap0 --autoconf http://web/")), "there\n");
}

/// An address by hand, and names by DHCP: DHCPINFORM.
#[test]
fn who_has_an_address_gets_the_rest() {
    let Some(ns) = Netns::new() else { return };
    let options = format!(
        "--interface=tap0 --dhcp-authoritative --dhcp-leasefile=leases --domain=test \
         --dhcp-range=192.0.2.0,static --host-record=web.test,{KERNEL}"
    );
    let Some(server) = dnsmasq(&ns, &options) else { return };
    let mut web = ns.spawn(PEER, "redirect 192.0.2.1:80");
    web.wait_for("ready");
    let get = demo_path("get").display().to_string();
    let options = format!("--tap tap0 --addr {STACK}/24 --dhcp-inform");
    assert_eq!(ns.sh(20, &format!("{get} -s {options} http://web/")), "there\n");
    assert_eq!((count(&server, "DHCPINFORM"), count(&server, "DHCPACK")), (1, 1));
}

/// Takes some 15 s: a question of DHCP that nobody answers, and the search for others that have the
/// address; then a server answers the next one.
#[test]
fn without_a_server_a_host_helps_itself_until_there_is_one() {
    let Some(ns) = Netns::new() else { return };
    ns.sh(5, "ip address add 169.254.0.1/16 dev tap0");
    let echo = ns.serve("echo", "--dhcp --link-local");
    let said = echo.log();
    let (_, rest) = said.split_once("the address 169.254.").expect(&said);
    let address = format!("169.254.{}", rest.split('/').next().unwrap_or_default());
    ns.sh(10, &format!("ping -q -c 2 -i 0.1 {address}"));
    let Some(server) = server(&ns, "192.0.2.50", "192.0.2.50") else { return };
    await_word(&server, "DHCPACK", 1);
    ns.sh(10, "until ping -q -c 1 -W 0.2 192.0.2.50; do :; done");
    // What uses the other address may go on.
    ns.sh(10, &format!("ping -q -c 1 {address}"));
}

#[test]
fn each_link_gets_an_address() {
    let Some(ns) = Netns::new() else { return };
    ns.sh(10, crate::interfaces::SECOND);
    let range = |network: &str| format!("--dhcp-range={network}.50,{network}.50,255.255.255.0,2m");
    let options = format!(
        "--interface=tap0 --interface=tap1 --dhcp-authoritative --no-ping --dhcp-leasefile=leases \
         {} {}",
        range("192.0.2"),
        range("198.51.100")
    );
    let Some(server) = dnsmasq(&ns, &options) else { return };
    ns.sh(5, "printf '[[interface]]\\ntap = \"tap1\"\\ndhcp = true\\n' >both.toml");
    let file = ns.dir().join("both.toml");
    let echo = ns.serve("echo", &format!("--dhcp --config {}", file.display()));
    let said = echo.log();
    for network in ["192.0.2", "198.51.100"] {
        let lent = format!("{network}.50/24 from {network}.1");
        assert!(said.contains(&lent), "{lent}: {said}");
        ns.sh(10, &format!("ping -q -c 2 -i 0.1 {network}.50"));
    }
    echo.interrupt();
    await_word(&server, "DHCPRELEASE", 2);
}

/// What Linux's VLANs do, for a kernel without them: `tap0.7` is a veth, whose frames have the tag
/// 7 on `tap0`. A checksum that no card will finish is left out, as UDP over IPv4 may.
const VLAN: &str = r#"
import select, socket as s, struct
def port(name):
    k = s.socket(s.AF_PACKET, s.SOCK_RAW, s.htons(3))
    k.bind((name, 3))
    return k
trunk, access = port('tap0'), port('far7')
trunk.setsockopt(263, 8, 1)
print('ready', flush=True)
while True:
    for k in select.select([trunk, access], [], [])[0]:
        frame, control, _, at = k.recvmsg(9000, 100)
        if at[2] == s.PACKET_OUTGOING:
            continue
        if k is trunk:
            status, _, _, _, _, tag = struct.unpack('=IIIHHH', control[0][2][:18])
            if status & 0x10 and tag & 0xfff == 7:
                access.send(frame)
            continue
        if frame[12:14] == b'\x08\x00' and frame[23] == 17:
            frame = frame[:40] + b'\0\0' + frame[42:]
        trunk.send(frame[:12] + b'\x81\0\0\x07' + frame[12:])
"#;

/// Makes `tap0.7`, where the kernel is 198.18.7.1; what runs it, if the kernel does not.
fn vlan(ns: &Netns) -> Option<Option<Running>> {
    let up = "ip address add 198.18.7.1/24 dev tap0.7 && ip link set tap0.7 up";
    if ns.try_sh(10, "ip link add link tap0 name tap0.7 type vlan id 7").status.success() {
        ns.sh(10, up);
        return Some(None);
    }
    if !have(&["python3"]) {
        return None;
    }
    ns.sh(10, &format!("ip link add tap0.7 type veth peer far7 && ip link set far7 up && {up}"));
    std::fs::write(ns.dir().join("vlan.py"), VLAN).unwrap();
    let mut relay = ns.spawn("python3", "-u vlan.py");
    relay.wait_for("ready");
    Some(Some(relay))
}

#[test]
fn a_vlan_gets_an_address_of_its_own() {
    let Some(ns) = Netns::new() else { return };
    let Some(_relay) = vlan(&ns) else { return };
    let options = "--interface=tap0.7 --dhcp-authoritative --no-ping --dhcp-leasefile=leases \
                   --dhcp-range=198.18.7.50,198.18.7.50,255.255.255.0,2m --dhcp-option=option:T1,4";
    let Some(server) = dnsmasq(&ns, options) else { return };
    let echo = ns.serve("echo", "--plain --vlan 7:dhcp");
    let said = echo.log();
    assert!(said.contains("198.18.7.50/24 from 198.18.7.1"), "{said}");
    for address in ["198.18.7.50", STACK] {
        ns.sh(10, &format!("ping -q -c 2 -i 0.1 {address}"));
    }
    await_word(&server, "DHCPACK", 2);
    assert_eq!(count(&server, "DHCPDISCOVER(tap0.7)"), 1, "{}", server.log());
    echo.interrupt();
    await_word(&server, "DHCPRELEASE", 1);
}
