//! Programs whose signal handlers leave a call of the stack's, or make one of their own.

use crate::programs::on_tapstack;
use tests::netns::{KERNEL, Netns, Running, have};

/// A name server that takes its time for names with `slow` in them, and knows addresses of IPv4.
const NAMES: &str = "
import socket as s, threading
server = s.socket(s.AF_INET, s.SOCK_DGRAM)
server.bind(('192.0.2.1', 53))
listener = s.create_server(('', 9))
print('ready', flush=True)
def answer(query, who):
    end = query.index(0, 12) + 5
    is_a = query[end - 4:end - 2] == bytes([0, 1])
    address = s.inet_aton('192.0.2.66' if b'slow' in query.lower() else '192.0.2.77')
    record = bytes([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]) + address if is_a else b''
    head = query[:2] + bytes([0x85, 0x80, 0, 1, 0, is_a, 0, 0, 0, 0])
    server.sendto(head + query[12:end] + record, who)
while True:
    query, who = server.recvfrom(1500)
    threading.Timer(0.5 if b'slow' in query.lower() else 0, answer, (query, who)).start()
";

/// The name server, and how a program is run that asks it; it is compiled from `c/signals.c`.
fn signals(ns: &Netns) -> Option<(Running, String)> {
    if !have(&["python3", "cc"]) {
        return None;
    }
    std::fs::write(ns.dir().join("names.py"), NAMES).unwrap();
    let mut names = ns.spawn("python3", "-u names.py");
    names.wait_for("ready");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/c/signals.c");
    ns.sh(60, &format!("cc -Wall -Wextra -Werror -O1 {source} -o signals"));
    let run = on_tapstack().replace(" --tap", &format!(" --dns {KERNEL} --tap"));
    Some((names, format!("{run} ./signals")))
}

#[test]
fn a_look_up_that_was_left_answers_nothing_else() {
    let Some(ns) = Netns::new() else { return };
    let Some((_names, run)) = signals(&ns) else { return };
    let fast = "fast.test: 192.0.2.77";
    let expected = [fast, fast, "0 0 1 1", "few stay open: 1", fast, "0 0 1 1"];
    let said = ns.sh(40, &format!("{run} left"));
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_handler_asks_while_the_program_waits() {
    let Some(ns) = Netns::new() else { return };
    let Some((_names, run)) = signals(&ns) else { return };
    let slow = "slow.test: 192.0.2.66";
    let expected = [slow, "a handler: 1 1", "0 0 1 1", "fast.test: 192.0.2.77"];
    let said = ns.sh(30, &format!("{run} asked"));
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

/// signal(7): a handler with SA_RESTART does not end connect, unless that is to end in time.
#[test]
fn connect_is_restarted_where_the_handler_says_so() {
    let Some(ns) = Netns::new() else { return };
    let Some((_names, run)) = signals(&ns) else { return };
    let expected = [
        "restarted: connected",
        "signals: 1",
        "not restarted: EINTR",
        "without signals: connected",
        "restarted in time: EINTR",
        "in time: EINPROGRESS",
        "in next to no time: EINPROGRESS",
        "0 0 1 1",
    ];
    let said = ns.sh(30, &format!("{run} connect 192.0.2.77 192.0.2.9"));
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}
