//! `forward` between a Linux client and Linux servers: everything to 198.18.0.0/15 goes through it.

use crate::PEER;
use std::fs;
use tests::netns::{Netns, Running, STACK, STACK_V6, demo_path};

/// A namespace whose route to addresses of nobody leads through the stack.
fn routed() -> Option<Netns> {
    let ns = Netns::with_ipv6()?;
    ns.sh(10, &format!("ip route add 198.18.0.0/15 via {STACK} dev tap0"));
    ns.sh(10, &format!("ip -6 route add 2001:db8:18::/48 via {STACK_V6} dev tap0"));
    Some(ns)
}

/// The addresses of nobody lead to the loopback of the namespace.
const MAP: &str = "--map 198.18.0.0/15=127.0.0.1,2001:db8:18::/48=::1";

fn forward(ns: &Netns, how: &str) -> Running {
    ns.serve("forward", &format!("--addr {STACK}/24,{STACK_V6}/64 --log info {MAP} {how}"))
}

/// A web server on Linux's own sockets, which knows one answer.
fn web(ns: &Netns, bind: &str) -> Running {
    let serve = format!("while timeout 60 nc -l -N {bind} <answer >/dev/null; do :; done");
    fs::write(ns.dir().join("answer"), ANSWER).unwrap();
    fs::write(ns.dir().join("web"), format!("#!/bin/sh\n{serve}\n")).unwrap();
    let running = ns.spawn("sh", "web");
    let port = bind.rsplit(' ').next().unwrap_or(bind);
    ns.sh(10, &format!("until ss -Hltn 'sport = {port}' | grep -q .; do sleep 0.02; done"));
    running
}

const ANSWER: &str = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

#[test]
fn curl_reaches_a_server_at_any_address() {
    let Some(ns) = routed() else { return };
    let forward = forward(&ns, "--direct");
    let _web = web(&ns, "127.0.0.1 80");
    for address in ["198.18.0.1", "198.19.255.7"] {
        let said = ns.sh(20, &format!("curl -sS -m 10 http://{address}/"));
        assert_eq!(said, "hello\n", "{address}");
        ns.sh(10, "until ss -Hltn 'sport = 80' | grep -q .; do sleep 0.02; done");
    }
    let _web6 = web(&ns, "-6 ::1 81");
    assert_eq!(ns.sh(20, "curl -sS -m 10 http://[2001:db8:18::7]:81/"), "hello\n");
    assert!(forward.interrupt().contains("over 3 connections, 0 refused"));
}

#[test]
fn a_closed_port_is_heard_as_one() {
    let Some(ns) = routed() else { return };
    let forward = forward(&ns, "--direct");
    for url in ["http://198.18.0.1:81/", "http://[2001:db8:18::7]:81/"] {
        let status = ns.try_sh(20, &format!("curl -sS -m 5 {url}")).status.code();
        assert_eq!(status, Some(7), "curl could not connect, and did not wait: {url}");
    }
    assert!(forward.interrupt().contains("2 refused"));
}

#[test]
fn every_byte_arrives_and_halves_end_alone() {
    let Some(ns) = routed() else { return };
    let _forward = forward(&ns, "--direct");
    let count = 50_000_000;
    ns.sh(
        60,
        &format!(
            "timeout 50 {PEER} take 127.0.0.1:5000 {count} 1 >took & {}; \
             {PEER} give 198.18.3.4:5000 {count} 1 && wait && grep -q ok took",
            crate::LISTENING
        ),
    );
    // What is said back begins when the client's half has ended.
    ns.sh(
        60,
        &format!(
            "timeout 50 {PEER} answer 127.0.0.1:5000 >said & {}; \
             {PEER} make 1000000 2 | nc -N 198.18.3.4 5000 | {PEER} check 1000000 2",
            crate::LISTENING
        ),
    );
}

#[test]
fn through_a_socks_proxy() {
    let Some(ns) = routed() else { return };
    let mut proxy = ns.spawn(PEER, "socks 127.0.0.1:1080");
    proxy.wait_for("ready");
    let options = format!("--tap tap0 --addr {STACK}/24,{STACK_V6}/64 --socks 127.0.0.1:1080");
    let mut forward = ns.spawn(demo_path("forward"), &options);
    forward.wait_for("ready");
    let _web = web(&ns, "127.0.0.1 80");
    assert_eq!(ns.sh(20, "curl -sS -m 10 http://198.18.0.9/"), "hello\n");
    assert_eq!(proxy.wait_for("asked"), "asked [198, 18, 0, 9]");
    ns.sh(10, "until ss -Hltn 'sport = 80' | grep -q .; do sleep 0.02; done");
    assert_eq!(ns.sh(20, "curl -sS -m 10 http://[2001:db8:18::7]/"), "hello\n");
    assert!(proxy.wait_for("asked").starts_with("asked [32, 1, 13, 184, 0, 24, "));
    let status = ns.try_sh(20, "curl -sS -m 5 http://198.18.0.9:82/").status.code();
    assert_eq!(status, Some(7), "the proxy's refusal is a closed port");
}

/// Nothing is answered before it is known: the SYN-ACK comes after the connection onwards.
#[test]
fn a_server_that_does_not_answer_is_not_answered_for() {
    let Some(ns) = routed() else { return };
    let options = format!("--map 198.18.0.0/15={NOBODY} --direct --addr {STACK}/24");
    let _forward = ns.serve("forward", &options);
    let status = ns.try_sh(20, "curl -sS -m 2 http://198.18.0.1/").status.code();
    assert_eq!(status, Some(28), "curl timed out while connecting");
}

/// On the TAP, where nobody has it: its neighbour question goes unanswered for some seconds.
const NOBODY: &str = "192.0.2.77";
