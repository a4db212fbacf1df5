//! Law 5: nothing is scanned. The same exchange costs the same work beside no other socket and
//! beside a hundred thousand.

use stack::{ConnectOptions, Instant, Work};
use std::net::SocketAddr;
use tests::crowd::Machine;

/// How many connections are opened from here.
const CALLS: usize = 100;

/// Beside so many idle connections: what an exchange costs, what it takes in the table of
/// connections to open so many from any port, and the memory of the idle ones, bytes.
fn beside(idle: usize) -> (Work, u64, usize) {
    let before = resident();
    let mut machine = Machine::with(idle);
    let memory = resident().saturating_sub(before);
    assert_eq!(machine.stack.connections().count(), idle + 1);
    for i in 0..idle / 100 {
        let any = SocketAddr::from(([0, 0, 0, 0], (10_000 + i) as u16));
        machine.stack.bind_udp(any).unwrap();
    }
    // The moment is the same in both runs, to the tick.
    machine.now = Instant::from_secs(100);
    machine.drain();
    let exchange = machine.exchange();
    (exchange, calls(&mut machine), memory)
}

/// Entries looked at while connections are opened from any port to one place.
fn calls(machine: &mut Machine) -> u64 {
    let before = machine.stack.work().demux_probes;
    for _ in 0..CALLS {
        let to = SocketAddr::from(([10, 9, 0, 0], 4001));
        machine.stack.connect(machine.now, to, ConnectOptions::default()).unwrap();
        assert!(machine.drain().is_some(), "no SYN");
    }
    machine.stack.work().demux_probes - before
}

/// Memory of this process, bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let field = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    field.expect("a number of pages") * 4096
}

/// 128 MiB for a hundred thousand, everything counted: blocks, table, timers, lists.
const EACH: usize = (128 << 20) / 100_000;

/// By hand: it takes more than a gigabyte.
#[test]
#[ignore = "takes more than a gigabyte: cargo test -p tests --test scale -- --ignored --nocapture"]
fn a_million_idle_connections_fit_in_ten_times_as_much() {
    let before = resident();
    let machine = Machine::with(1_000_000);
    let each = resident().saturating_sub(before) / machine.accepted.len();
    eprintln!("{each} bytes each");
    assert!(each <= EACH, "{each} bytes each");
}

#[test]
fn law_5_an_exchange_costs_the_same_beside_a_hundred_thousand_sockets() {
    // The crowd first: what another one has given back would hide what this one takes.
    let (crowded, crowded_calls, memory) = beside(100_000);
    let (alone, alone_calls, _) = beside(0);
    let each = memory / 100_000;
    eprintln!("{each} bytes each");
    assert!(each <= EACH, "{each} bytes each");
    assert!(alone.demux_probes >= 200 && alone.queue_pops >= 100, "nothing counted: {alone:?}");
    assert!(alone.timer_probes > 10, "no timer counted: {alone:?}");
    assert_eq!(alone, crowded);
    // Some ports are drawn twice, and hashes look alike: less than once for each call.
    let most = CALLS as u64;
    assert!(alone_calls <= most, "{alone_calls} entries for {CALLS} calls");
    assert!(crowded_calls <= most, "{crowded_calls} entries for {CALLS} calls");
}
