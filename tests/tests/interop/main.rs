//! Linux on the other end of the cable.
//!
//! Each test has a network namespace with a TAP of its own: the kernel is 192.0.2.1 there and the
//! demo under test 192.0.2.2. Every command has a time limit, so that nothing waits for ever.
//! Where no namespace can be had the tests say so on the terminal and pass without looking.

mod autoconf;
mod browser;
mod c_library;
mod c_parity;
mod control;
mod crowd;
mod dhcp;
mod ecn;
mod endings;
mod fast_open;
mod forward;
mod ftp;
mod http;
mod https;
mod interfaces;
mod ipv6;
mod link;
mod lossy;
mod mail;
mod multicast;
mod names;
mod nc;
mod offload;
mod ping;
mod preload;
mod programs;
mod queues;
mod resets;
mod router;
mod scarce;
mod services;
mod signals;
mod stream;
mod udp;
mod volume;
mod web;

/// The program for the kernel's end.
const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// Waits in a shell until something listens on port 5000 of the kernel's.
const LISTENING: &str = "until ss -Hltn 'sport = 5000' | grep -q .; do sleep 0.02; done";

/// The number after `"name":` in a JSON text.
fn number(json: &str, name: &str) -> u64 {
    let found = json.split_once(&format!("\"{name}\":"));
    let rest = found.unwrap_or_else(|| panic!("no {name} in {json}")).1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{name} is no number in {json}"))
}
