//! A Linux router between Tapstack and a Linux host.
//!
//! ```text
//!  Tapstack 192.0.2.2 == tap0 192.0.2.1 [router] eth 198.18.0.1 -- veth -- 198.18.0.9 host
//!           2001:db8::2       2001:db8::1             fd00::1              fd00::9
//! ```

use crate::PEER;
use tests::netns::{Netns, Running, STACK, STACK_V6, demo_path, have, skipped};

/// The host behind the router.
const FAR: &str = "198.18.0.9";
const FAR_V6: &str = "fd00::9";

/// The stack's side, with the router as its gateway.
const HERE: &str = "--addr 192.0.2.2/24,2001:db8::2/64 --gateway 192.0.2.1,2001:db8::1";

/// Bytes of the transfer.
const COUNT: u64 = 50_000_000;

struct Lab {
    router: Netns,
    far: Netns,
}

fn lab() -> Option<Lab> {
    let router = Netns::with_ipv6()?;
    let far = router.beside();
    let (there, link) = (far.id(), "ip link add dev eth type veth peer name eth netns");
    if !router.try_sh(10, &format!("{link} {there}")).status.success() {
        return skipped();
    }
    for (ns, v4, v6) in [(&router, "198.18.0.1", "fd00::1"), (&far, FAR, FAR_V6)] {
        ns.sh(10, &format!("ip address add {v4}/24 dev eth"));
        ns.sh(10, &format!("ip address add {v6}/64 dev eth nodad && ip link set dev eth up"));
    }
    far.sh(10, "ip route add default via 198.18.0.1 && ip -6 route add default via fd00::1");
    router
        .sh(10, "cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding");
    await_v6(&router, FAR_V6);
    Some(Lab { router, far })
}

/// A new link of Linux's is deaf to IPv6 for a second or two.
fn await_v6(ns: &Netns, address: &str) {
    ns.sh(10, &format!("until ping -6 -c 1 -W 1 {address}; do :; done"));
}

/// In the middle of a transfer the router's way to the far host carries 1280 bytes of a sudden, and
/// it says so, or not: then it is the other end of the wire that lets go, silently, what is longer.
fn narrows(plain: &str, told: bool) {
    for stack in [STACK, &format!("[{STACK_V6}]")] {
        let Some(lab) = lab() else { return };
        lab.router.sh(60, &format!("{PEER} make {COUNT} 1 >big.bin"));
        let directory = lab.router.dir().display();
        let _httpd = lab.router.serve("httpd", &format!("--port 80 {HERE}{plain} {directory}"));
        // Slowly enough that it is not over before.
        let get = format!("curl -sSf -g --limit-rate 40M http://{stack}/big.bin");
        let check = format!("{get} | {PEER} check {COUNT} 1");
        std::thread::scope(|scope| {
            let fetching = scope.spawn(|| lab.far.sh(120, &check));
            let narrow = "sleep 0.4 && ip link set dev eth mtu 1280";
            if told { &lab.router } else { &lab.far }.sh(10, narrow);
            fetching.join().expect("all of the file");
        });
    }
}

#[test]
fn a_router_says_that_the_path_has_become_narrow() {
    narrows("", true);
}

#[test]
fn t17_a_path_becomes_narrow_and_nobody_says_so() {
    narrows(" --plain", false);
}

#[test]
fn traceroute_from_here_to_there() {
    let Some(lab) = lab() else { return };
    let traceroute = demo_path("traceroute").display().to_string();
    for (far, router) in [(FAR, "192.0.2.1"), (FAR_V6, "2001:db8::1")] {
        for icmp in ["", " -I"] {
            let line = format!("{traceroute} --tap tap0 {HERE}{icmp} -w 2 {far}");
            let said = lab.router.sh(40, &line);
            let lines: Vec<_> = said.lines().collect();
            assert_eq!(lines.len(), 3, "{said}");
            assert!(lines[0].starts_with(&format!("traceroute to {far}")), "{said}");
            assert!(lines[1].trim_start().starts_with(&format!("1  {router}  ")), "{said}");
            assert!(lines[2].trim_start().starts_with(&format!("2  {far}  ")), "{said}");
            assert!(!said.contains('*'), "{said}");
        }
    }
}

#[test]
fn traceroute_from_there_to_here() {
    let Some(lab) = lab() else { return };
    if !have(&["traceroute"]) {
        return;
    }
    let _echo = lab.router.serve("echo", HERE);
    await_v6(&lab.router, STACK_V6);
    for (to, router) in [(STACK, "198.18.0.1"), (STACK_V6, "fd00::1")] {
        for icmp in ["", "-I "] {
            let said = lab.far.sh(40, &format!("traceroute -n {icmp}-w 2 -q 1 -N 1 {to}"));
            let lines: Vec<_> = said.lines().collect();
            assert_eq!(lines.len(), 3, "{said}");
            assert!(lines[1].contains(router) && lines[2].contains(to), "{said}");
        }
    }
}

/// Has one line echoed, sends another that no way leads for, until it is told so, and waits for
/// its echo.
const ASKS_FOR_ERRORS: &str = r#"
import socket as s, sys, time
k = s.create_connection((sys.argv[1], 7))
level, name = (s.IPPROTO_IPV6, 25) if ':' in sys.argv[1] else (s.IPPROTO_IP, 11)
k.setsockopt(level, name, 1)
k.sendall(b'one'); print('echoed', k.recv(9), flush=True)
sys.stdin.readline()
k.sendall(b'two')
while True:
    error = k.getsockopt(s.SOL_SOCKET, s.SO_ERROR)
    if error: break
    time.sleep(0.02)
print('told', error, flush=True)
sys.stdin.readline()
print('echoed', k.recv(9), flush=True)
"#;

const ECHOES: &str = r#"
import socket as s
l = s.create_server(('::', 7), family=s.AF_INET6, dualstack_ipv6=True)
print('ready', flush=True)
while True:
    k = l.accept()[0]
    while text := k.recv(9): k.sendall(text)
"#;

/// What is told of each address without a route: none to the host, and over IPv6 none to the
/// network, as the router calls it.
const UNREACHABLE: [(&str, u8, i32); 2] = [(FAR, 32, 113), (FAR_V6, 128, 101)];

/// The echo server's program is there and listens.
fn echoes(far: &Netns) -> Running {
    std::fs::write(far.dir().join("echoes.py"), ECHOES).unwrap();
    let mut server = far.spawn("python3", "-u echoes.py");
    server.wait_for("ready");
    server
}

/// A client is told that the router has no way, and goes on when there is one again.
fn is_told(router: &Netns, mut client: Running, (to, length, errno): (&str, u8, i32)) {
    assert_eq!(client.wait_for("echoed"), "echoed b'one'");
    router.sh(5, &format!("ip route add unreachable {to}/{length} metric 1"));
    client.write("\n");
    assert_eq!(client.wait_for("told"), format!("told {errno}"));
    router.sh(5, &format!("ip route delete unreachable {to}/{length} metric 1"));
    client.write("\n");
    assert_eq!(client.wait_for("echoed"), "echoed b'two'");
    assert!(client.finish().0.success());
}

/// Linux's IP_RECVERR: a connection is told at once that a router has no way, and goes on when
/// there is one again.
#[test]
fn a_connection_that_asks_is_told_what_routers_say() {
    let Some(lab) = lab() else { return };
    if !have(&["python3"]) {
        return;
    }
    std::fs::write(lab.router.dir().join("asks.py"), ASKS_FOR_ERRORS).unwrap();
    let _server = echoes(&lab.far);
    for told in UNREACHABLE {
        let run = format!("run --tap tap0 {HERE} -- python3 -u asks.py {}", told.0);
        is_told(&lab.router, lab.router.spawn(demo_path("tapstack"), &run), told);
    }
}

/// The same, where it is a read that is told.
const SLEEPS: &str = r#"
import socket as s, sys, threading
k = s.create_connection((sys.argv[1], 7))
level, name = (s.IPPROTO_IPV6, 25) if ':' in sys.argv[1] else (s.IPPROTO_IP, 11)
k.setsockopt(level, name, 1)
k.sendall(b'one'); print('echoed', k.recv(9), flush=True)
def send():
    sys.stdin.readline()
    k.sendall(b'two')
threading.Thread(target=send).start()
try: print('echoed', k.recv(9), flush=True)
except OSError as error: print('told', error.errno, flush=True)
sys.stdin.readline()
while True:
    try: print('echoed', k.recv(9), flush=True); break
    except OSError: pass
"#;

/// A host of Linux's beside the stack, at the same router.
fn neighbor(router: &Netns) -> Netns {
    let near = router.beside();
    let link = "ip link add dev near type veth peer name eth netns";
    router.sh(10, &format!("{link} {}", near.id()));
    for (ns, name, last) in [(router, "near", 1), (&near, "eth", 2)] {
        ns.sh(10, &format!("ip address add 198.18.1.{last}/24 dev {name}"));
        ns.sh(10, &format!("ip address add fd01::{last}/64 dev {name} nodad"));
        ns.sh(10, &format!("ip link set dev {name} up"));
    }
    near.sh(10, "ip route add default via 198.18.1.1 && ip -6 route add default via fd01::1");
    await_v6(&near, FAR_V6);
    near
}

/// IP_RECVERR wakes who sleeps in a read, here as in Linux.
#[test]
fn a_read_that_sleeps_is_told_what_routers_say() {
    let Some(lab) = lab() else { return };
    if !have(&["python3"]) {
        return;
    }
    let near = neighbor(&lab.router);
    let (router, beside) = (lab.router.dir().join("sleeps.py"), near.dir().join("sleeps.py"));
    std::fs::write(router, SLEEPS).and_then(|()| std::fs::write(beside, SLEEPS)).unwrap();
    let _server = echoes(&lab.far);
    for told in UNREACHABLE {
        let program = format!("-u sleeps.py {}", told.0);
        let run = format!("run --tap tap0 {HERE} -- python3 {program}");
        is_told(&lab.router, near.spawn("python3", &program), told);
        is_told(&lab.router, lab.router.spawn(demo_path("tapstack"), &run), told);
    }
}
