//! Two queues of one TAP, which Linux picks from.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;

use stack::host::{Host, HostStats};
use stack::{Config, Mac};
use tapdev::{NetworkNamespace, Tap, TapOptions};
use tests::netns::{KERNEL, KERNEL_V6, Netns, Running, STACK, STACK_V6, demo_path, skip};
use tests::pattern;

use crate::c_library::compile;
use crate::{PEER, number};

const BYTES: u64 = 64 << 20;

const CONNECTIONS: usize = 100;

/// With a TAP of several queues in place of the ordinary one.
fn namespace() -> Option<Netns> {
    let ns = Netns::new()?;
    ns.sh(10, "ip link delete tap0 && ip tuntap add tap0 mode tap multi_queue");
    ns.sh(10, &format!("ip address add {KERNEL}/24 dev tap0 && ip link set tap0 up"));
    Some(ns)
}

fn perf(ns: &Netns, options: &str) -> Running {
    let options = format!("serve --tap tap0 --queues 2 --counters {options}");
    let mut perf = ns.spawn(demo_path("perf"), &options);
    perf.wait_for("ready");
    perf
}

/// What it has counted, once it is told to end.
fn counters(perf: Running) -> String {
    perf.signal("INT");
    perf.finish().1
}

#[test]
fn five_hundred_connections_talk_over_two_queues() {
    let Some(ns) = namespace() else { return };
    let perf = perf(&ns, &format!("--ip {STACK}"));
    ns.sh(120, &format!("{PEER} crowd {STACK}:5003 500 65536"));
    ns.sh(20, &format!("ping -q -c 5 -i 0.05 {STACK}"));
    ns.sh(60, &format!("{PEER} udp-echo {STACK}:5005 0 65507 331"));
    ns.sh(60, &format!("{PEER} udp-flood {STACK}:5006 1400"));
    for port in 6001..6009 {
        let said = ns.sh(20, &format!("echo hello | nc -u -w 1 -p {port} {STACK} 5005"));
        assert_eq!(said, "hello\n");
    }
    let said = counters(perf);
    assert!(said.contains("TcpPassiveOpens 500"), "{said}");
    assert!(!said.contains("TcpOutRsts"), "{said}");
}

/// Linux forgets after three seconds of silence which queue a flow was sent from. It notes the new
/// one after it has taken a frame, so its acknowledgment of that frame goes to the other queue and
/// may be overtaken: `nc` does not end before it has come, or it would meet a closed connection and
/// be reset (RFC 9293 3.10.7.1).
#[test]
fn connections_go_on_after_four_seconds_of_silence() {
    let Some(ns) = namespace() else { return };
    ns.sh(10, &format!("ip address add {KERNEL_V6}/64 dev tap0 nodad"));
    let perf = perf(&ns, &format!("--addr {STACK}/24,{STACK_V6}/64"));
    ns.sh(
        30,
        &format!(
            "for n in 1 2 3 4 5 6 7 8; do for ip in {STACK} {STACK_V6}; do \
             (echo early; sleep 4; echo late; sleep 1) | nc -N $ip 5003 >said.$n.$ip & \
             done; done; wait"
        ),
    );
    let said = ns.sh(10, "cat said.*");
    assert_eq!(said, "early\nlate\n".repeat(16));
    let said = counters(perf);
    assert!(said.contains("TcpPassiveOpens 16"), "{said}");
    assert!(!said.contains("TcpOutRsts"), "{said}");
    // On a busy machine an answer may be late enough for a probe, never for a time-out.
    assert!(!said.contains("TcpExtTCPTimeouts"), "{said}");
}

#[test]
fn curls_move_64_mebibytes_both_ways_over_two_queues() {
    let Some(ns) = namespace() else { return };
    ns.sh(60, &format!("{PEER} make {BYTES} 1 >big.bin"));
    let sum = ns.sh(60, "sha256sum <big.bin");
    let sum = sum.split_whitespace().next().expect("a checksum");
    let _httpd = ns.serve("httpd", &format!("--queues 2 --port 80 {}", ns.dir().display()));
    let url = format!("http://{STACK}");
    let said = ns.sh(
        120,
        &format!(
            "for n in 1 2 3 4; do \
             (curl -sSf {url}/big.bin | {PEER} check {BYTES} 1 >down.$n) & \
             curl -sSf -T big.bin {url}/upload >up.$n & done; wait; cat down.* up.*"
        ),
    );
    assert_eq!(said.matches("ok\n").count(), 4, "{said}");
    assert_eq!(said.matches(sum).count(), 4, "{said}");
    let status = ns.sh(20, &format!("curl -sSf {url}/status.json"));
    assert_eq!(number(&status, "TcpPassiveOpens"), 9, "{status}");
    // A flow stays with one queue once it has been answered, so nothing overtakes anything.
    assert!(!status.contains("TcpExtTCPOFOQueue"), "{status}");
    let theirs = ns.sh(10, "nstat -asz TcpExtTCPOFOQueue | awk '/OFO/ { print $2 }'");
    assert_eq!(theirs, "0\n");
}

#[test]
fn shards_connect_and_the_answers_come_by_their_own_queues() {
    const BYTES: u64 = 50_000;
    const ROUNDS: u32 = 20;
    let Some(ns) = namespace() else { return };
    let there = NetworkNamespace::named(&ns.id().to_string()).expect("the namespace");
    let open =
        || (Tap::open_queues(&TapOptions::named("tap0"), 2), TcpListener::bind((KERNEL, 80)));
    let Ok((taps, listener)) = there.run(open) else {
        return skip("entering another namespace needs root");
    };
    ns.sh(10, "until ip link show tap0 | grep -q LOWER_UP; do sleep 0.02; done");
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, 2]));
    config.addresses = vec![format!("{STACK}/24").parse().expect("an address")];
    let shards = Host::builder(config).start_shards(taps.expect("two queues")).expect("a host");
    let listener = listener.expect("Linux's listener");
    let all_are_there = &Barrier::new(CONNECTIONS);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..CONNECTIONS {
                let (stream, _) = listener.accept().expect("a connection");
                scope.spawn(move || echo(stream));
            }
        });
        for (seed, host) in (0..CONNECTIONS as u64).zip(shards.hosts().iter().cycle()) {
            scope.spawn(move || {
                let mut stream =
                    stack::host::TcpStream::connect(host, (KERNEL, 80)).expect("Linux");
                all_are_there.wait();
                for round in 0..ROUNDS {
                    let mut text = round.to_be_bytes();
                    stream.write_all(&text).expect("sent");
                    stream.read_exact(&mut text).expect("echoed");
                    assert_eq!(text, round.to_be_bytes());
                }
                pattern::make(seed, BYTES, &mut stream).expect("sent");
                stream.shutdown(Shutdown::Write).expect("its end");
                pattern::check(seed, BYTES, &mut stream).expect("echoed");
            });
        }
    });
    let sum = |of: fn(HostStats) -> u64| -> u64 {
        shards.hosts().iter().map(|host| of(host.stats())).sum()
    };
    let (passed, all) = (sum(|stats| stats.passed), sum(|stats| stats.frames_in));
    // ARP tells all, and Linux answers a SYN before it notes by which queue that came.
    assert!(passed < CONNECTIONS as u64 + 10, "{passed} of {all}");
    assert!(all > CONNECTIONS as u64 * u64::from(ROUNDS), "{all}");
    assert_eq!(shards.counters().tcp_out_rsts, 0);
}

/// Says everything back.
fn echo(mut stream: TcpStream) {
    let mut text = [0; 4096];
    loop {
        match stream.read(&mut text).expect("read") {
            0 => return,
            length => stream.write_all(&text[..length]).expect("written"),
        }
    }
}

#[test]
fn programs_of_one_engine_have_both_queues() {
    let Some(ns) = namespace() else { return };
    let echo = ns.serve("echo", "--queues 2");
    ns.sh(60, &format!("{PEER} crowd {STACK}:7 200 65536"));
    ns.sh(60, &format!("{PEER} udp-echo {STACK}:7 0 65507 331"));
    drop(echo);
    // What an engine for each queue cannot do is done by one, which says so.
    let httpd = ns.serve("httpd", "--queues 2 --port 80 --pcap all.pcapng");
    ns.sh(20, &format!("for n in 1 2 3 4; do curl -sSf http://{STACK}/status.txt; done"));
    assert!(httpd.log().contains("one engine has all queues"), "{}", httpd.log());
    drop(httpd);
    let serve = format!("echo hello | timeout 20 nc -l -N {KERNEL} 5000");
    let [nc, tapstack] = ["nc", "tapstack"].map(|it| demo_path(it).display().to_string());
    for client in [
        format!("{nc} --tap tap0 --queues 2 -N {KERNEL} 5000 </dev/null"),
        format!("{tapstack} run --tap tap0 --queues 2 -- nc -N {KERNEL} 5000 </dev/null"),
    ] {
        let said = ns.sh(20, &format!("{serve} & {}; {client}; wait", crate::LISTENING));
        assert_eq!(said, "hello\n", "{client}");
    }
}

#[test]
fn the_c_library_has_both_queues() {
    let Some(ns) = namespace() else { return };
    compile(&ns, "echo");
    let server = |queues: &str| {
        let program = ns.dir().join("echo");
        format!("timeout 20 {} 'tap=tap0 addr={STACK}/24 queues={queues}' 7", program.display())
    };
    let crowd =
        format!("until nc -z {STACK} 7; do sleep 0.02; done; {PEER} crowd {STACK}:7 50 200000");
    let said = ns.sh(30, &format!("{} >/dev/null & {crowd}; kill $!", server("2")));
    assert_eq!(said, "ok\n");
    let refused = ns.try_sh(10, &server("65"));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("1..=64"), "{told}");
}

#[test]
fn a_number_of_queues_that_cannot_be_is_refused_with_the_reason() {
    let Some(ns) = Netns::new() else { return };
    let perf = demo_path("perf");
    for (options, reason) in [
        ("--queues 2 --tap tap0", "mode tap multi_queue"),
        ("--queues 0 --tap tap0", "1..=64"),
        ("--queues 65 --tap tap0", "1..=64"),
        ("--queues 2 --tap tap0 --plain", "do with one queue"),
        ("--queues 2 --fd 3", "do with one queue"),
    ] {
        let said = ns.try_sh(10, &format!("{} serve {options}", perf.display()));
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains(reason), "{options}: {said}");
    }
}
