//! radvd on the other end: addresses by themselves.

use std::time::Duration;

use tests::netns::{KERNEL_V6 as KERNEL, Netns, Running, demo_path, have};

/// What radvd says of `prefixes`, each with more words about it.
fn config(prefixes: &[(&str, &str)]) -> String {
    let prefix = |(prefix, more): &(&str, &str)| {
        format!("prefix {prefix} {{ AdvOnLink on; AdvAutonomous on; {more} }};")
    };
    let prefixes: String = prefixes.iter().map(prefix).collect();
    format!(
        "interface tap0 {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; \
         AdvDefaultLifetime 600; {prefixes} }};"
    )
}

/// A namespace with radvd's program, or words about why not. The kernel's link-local address is
/// the router's, and is not looked for elsewhere first: a router is there before its hosts.
fn with_radvd() -> Option<Netns> {
    let ns = Netns::with_ipv6()?;
    ns.sh(5, "echo 0 > /proc/sys/net/ipv6/conf/tap0/accept_dad");
    have(&["radvd"]).then_some(ns)
}

fn write(ns: &Netns, text: &str) {
    std::fs::write(ns.dir().join("radvd.conf"), text).expect("a file");
}

/// The addresses that a demo said it has.
fn given(demo: &Running) -> Vec<String> {
    let log = demo.log();
    let mut words = log.lines().filter_map(|line| line.split_once("the address "));
    let address = |text: &str| text.split('/').next().unwrap_or_default().to_owned();
    words.by_ref().map(|(_, rest)| address(rest)).collect()
}

#[test]
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests have a clock")]
fn radvd_gives_an_address_and_a_way_out_and_takes_them() {
    let Some(ns) = with_radvd() else { return };
    write(&ns, &config(&[("2001:db8::/64", "")]));
    let _radvd = ns.spawn("radvd", "-n -m stderr -C radvd.conf -p radvd.pid");
    ns.sh(10, "until [ -s radvd.pid ]; do sleep 0.05; done");
    let started = std::time::Instant::now();
    let echo = ns.serve("echo", "--port 7 --autoconf");
    let first = started.elapsed();
    let [address] = &given(&echo)[..] else { panic!("one address: {:?}", given(&echo)) };
    assert!(address.starts_with("2001:db8:"), "{address}");
    let said = ns.sh(20, &format!("ping -6 -c 3 -i 0.2 {address}"));
    assert!(said.contains("3 received"), "{said}");
    drop(echo);

    // As a client, to beyond the link: the router is this kernel.
    ns.sh(5, "ip -6 address add 2001:db8:9::1/64 dev lo nodad");
    let nc = demo_path("nc").display().to_string();
    let fetch = |from: &str| {
        format!(
            "(echo hello | timeout 20 nc -6 -l -N {from} 5000) & sleep 0.3; \
             {nc} --tap tap0 --autoconf {from} 5000 </dev/null"
        )
    };
    for server in [KERNEL, "2001:db8:9::1"] {
        assert_eq!(ns.sh(30, &fetch(server)), "hello\n", "{server}");
    }

    // Lifetime 0: no way out, and the address serves the link still.
    write(&ns, &config(&[("2001:db8::/64", "")]).replace("Lifetime 600", "Lifetime 0"));
    ns.sh(5, "kill -HUP $(cat radvd.pid)");
    std::thread::park_timeout(Duration::from_millis(200));
    assert_eq!(ns.sh(30, &fetch(KERNEL)), "hello\n");
    let output =
        ns.try_sh(30, &format!("{nc} --tap tap0 --autoconf 2001:db8:9::1 5000 </dev/null"));
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Another prefix.
    write(&ns, &config(&[("2001:db8:7::/64", "")]));
    ns.sh(5, "kill -HUP $(cat radvd.pid)");
    std::thread::park_timeout(Duration::from_millis(200));
    let started = std::time::Instant::now();
    let echo = ns.serve("echo", "--port 7 --autoconf");
    // The better of two: neither the router nor this machine may have been ready at once.
    let took = first.min(started.elapsed());
    assert!(took < Duration::from_secs(5), "{took:?}");
    let [address] = &given(&echo)[..] else { panic!("one address: {:?}", given(&echo)) };
    assert!(address.starts_with("2001:db8:7:"), "{address}");
}

/// On each line it connects anew, says from where, and what its first connection echoes.
const CONNECTS: &str = r#"
import socket as s, sys
first = s.create_connection(('2001:db8:9::1', 5000))
for line in sys.stdin:
    again = s.create_connection(('2001:db8:9::1', 5000))
    first.sendall(b'first')
    print('from', again.getsockname()[0], first.recv(9).decode(), flush=True)
"#;

const ECHOES: &str = r#"
import socket as s, threading
def echo(k):
    while text := k.recv(9): k.sendall(text)
l = s.create_server(('::', 5000), family=s.AF_INET6)
print('ready', flush=True)
while True:
    threading.Thread(target=echo, args=[l.accept()[0]], daemon=True).start()
"#;

/// A network that is given another prefix: what begins comes from there, what was there goes on.
#[test]
fn the_prefix_changes_while_a_host_runs() {
    let Some(ns) = with_radvd() else { return };
    if !have(&["python3"]) {
        return;
    }
    ns.sh(5, "ip -6 address add 2001:db8:7::1/64 dev tap0 nodad");
    ns.sh(5, "ip -6 address add 2001:db8:9::1/64 dev lo nodad");
    write(&ns, &config(&[("2001:db8::/64", "")]));
    let _radvd = ns.spawn("radvd", "-n -m stderr -C radvd.conf -p radvd.pid");
    ns.sh(10, "until [ -s radvd.pid ]; do sleep 0.05; done");
    std::fs::write(ns.dir().join("echoes.py"), ECHOES).unwrap();
    std::fs::write(ns.dir().join("connects.py"), CONNECTS).unwrap();
    let mut server = ns.spawn("python3", "-u echoes.py");
    server.wait_for("ready");
    let run = "run --tap tap0 --autoconf -- python3 -u connects.py";
    let mut host = ns.spawn(demo_path("tapstack"), run);
    let mut from = || {
        host.write("\n");
        let said = host.wait_for("from ");
        assert!(said.ends_with(" first"), "{said}");
        said.replace("from ", "")
    };
    let before = from();
    assert!(before.starts_with("2001:db8::") || before.starts_with("2001:db8:0:"), "{before}");
    let old = ("2001:db8::/64", "AdvPreferredLifetime 0; AdvValidLifetime 7200;");
    write(&ns, &config(&[old, ("2001:db8:7::/64", "")]));
    ns.sh(5, "kill -HUP $(cat radvd.pid)");
    // Ten seconds are several advertisements.
    let mut tries = 0..100;
    while !from().starts_with("2001:db8:7:") {
        assert!(tries.next().is_some(), "still from the old prefix");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}
