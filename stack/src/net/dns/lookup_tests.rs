//! Look-ups in virtual time, against servers that say what the test says.

use super::lookup::{Lookup, Shared, Step, Via};
use super::message::writing::*;
use super::{Family, QUESTIONS_MAX, ResolveError, ResolverConfig};
use crate::net::dns::hosts::Hosts;
use crate::net::dns::name::DomainName;
use crate::random::{Random, Seed};
use crate::time::Instant;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeSet;

const FIRST: &str = "192.0.2.53:53";
const SECOND: &str = "[2001:db8::53]:53";

fn server(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

struct Bench {
    shared: Shared,
    now: Instant,
}

struct Asked {
    server: SocketAddr,
    via: Via,
    message: Vec<u8>,
}

impl Asked {
    fn name(&self) -> String {
        DomainName::read(&self.message, 12).unwrap().to_string()
    }
}

impl Bench {
    fn new(change: impl FnOnce(&mut ResolverConfig)) -> Bench {
        let mut config = ResolverConfig {
            servers: vec![server(FIRST), server(SECOND)],
            ..ResolverConfig::default()
        };
        change(&mut config);
        let shared = Shared::new(config, Random::new(&Seed::from_number(1)));
        Bench { shared, now: Instant::from_secs(5) }
    }

    fn lookup(&self, name: &str) -> Lookup {
        Lookup::new(name, Family::V4, &self.shared.config).unwrap()
    }

    fn asked(&mut self, lookup: &mut Lookup) -> Asked {
        match lookup.step(self.now, &mut self.shared) {
            Step::Ask { server, via, message } => Asked { server, via, message },
            step => panic!("{step:?}"),
        }
    }

    /// Answers what was asked.
    fn say(&mut self, lookup: &mut Lookup, asked: &Asked, flags: u16, records: &[Line]) {
        let message = answer(&asked.message, flags, records, &[]);
        lookup.on_message(self.now, asked.server, &message, &mut self.shared);
    }

    /// Nobody answers until the next deadline.
    fn wait(&mut self, lookup: &mut Lookup) -> Duration {
        let Step::Wait(until) = lookup.step(self.now, &mut self.shared) else { panic!() };
        let time = until - self.now;
        self.now = until;
        time
    }

    fn done(&mut self, lookup: &mut Lookup) -> Result<String, ResolveError> {
        match lookup.step(self.now, &mut self.shared) {
            Step::Done(known) => {
                known.map(|all| all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "))
            }
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn an_answer_is_remembered_for_its_time() {
    let mut bench = Bench::new(|_| ());
    let mut lookup = bench.lookup("www.example.com");
    let asked = bench.asked(&mut lookup);
    assert_eq!((asked.server, asked.via), (server(FIRST), Via::Udp));
    bench.say(&mut lookup, &asked, SOUND, &[address("www.example.com", "192.0.2.7", 60)]);
    assert_eq!(bench.done(&mut lookup), Ok("192.0.2.7".into()));
    bench.now = bench.now + Duration::from_secs(59);
    let mut again = bench.lookup("WWW.example.com.");
    assert_eq!(bench.done(&mut again), Ok("192.0.2.7".into()));
    bench.now = bench.now + Duration::from_secs(1);
    let mut later = bench.lookup("www.example.com");
    bench.asked(&mut later);
    assert_eq!(bench.shared.counters.questions, 2);
    assert_eq!(bench.shared.counters.cached, 1);
}

#[test]
fn times_to_live_have_a_limit() {
    let mut bench = Bench::new(|config| config.ttl_max = Duration::from_secs(100));
    let mut lookup = bench.lookup("a.b");
    let asked = bench.asked(&mut lookup);
    bench.say(&mut lookup, &asked, SOUND, &[address("a.b", "192.0.2.7", i32::MAX as u32)]);
    bench.now = bench.now + Duration::from_secs(100);
    let mut later = bench.lookup("a.b");
    bench.asked(&mut later);
}

#[test]
fn short_names_are_searched_for_and_long_ones_last() {
    let search = |config: &mut ResolverConfig| {
        config.search = vec!["one.example".parse().unwrap(), "two.example".parse().unwrap()];
    };
    let order = |name: &str| {
        let mut bench = Bench::new(search);
        let mut lookup = bench.lookup(name);
        let mut names = Vec::new();
        while let Step::Ask { server, via, message } = lookup.step(bench.now, &mut bench.shared) {
            let asked = Asked { server, via, message };
            names.push(asked.name());
            bench.say(&mut lookup, &asked, SOUND | 3, &[]);
        }
        assert_eq!(bench.done(&mut lookup), Err(ResolveError::NoSuchName));
        names.join(" ")
    };
    assert_eq!(order("www"), "www.one.example www.two.example www");
    assert_eq!(order("a.b"), "a.b a.b.one.example a.b.two.example");
    assert_eq!(order("www."), "www");
}

#[test]
fn a_name_without_an_address_is_not_a_missing_one() {
    let mut bench = Bench::new(|config| config.search = vec!["x".parse().unwrap()]);
    let mut lookup = bench.lookup("a.b");
    for flags in [SOUND, SOUND | 3] {
        let asked = bench.asked(&mut lookup);
        bench.say(&mut lookup, &asked, flags, &[]);
    }
    assert_eq!(bench.done(&mut lookup), Err(ResolveError::NoAddress));
}

#[test]
fn what_is_not_there_is_remembered_where_the_server_says_how_long() {
    let mut bench = Bench::new(|config| config.negative_ttl_max = Duration::from_secs(30));
    let mut lookup = bench.lookup("a.b");
    let asked = bench.asked(&mut lookup);
    let message = answer(&asked.message, SOUND | 3, &[], &[soa("b", 3600, 600)]);
    lookup.on_message(bench.now, asked.server, &message, &mut bench.shared);
    assert_eq!(bench.done(&mut lookup), Err(ResolveError::NoSuchName));
    bench.now = bench.now + Duration::from_secs(29);
    let mut again = bench.lookup("a.b");
    assert_eq!(bench.done(&mut again), Err(ResolveError::NoSuchName));
    bench.now = bench.now + Duration::from_secs(1);
    let mut later = bench.lookup("a.b");
    let asked = bench.asked(&mut later);
    bench.say(&mut later, &asked, SOUND | 3, &[]);
    let mut unsaid = bench.lookup("a.b");
    bench.asked(&mut unsaid);
}

#[test]
fn the_silent_and_the_failing_are_followed_by_the_next() {
    let mut bench = Bench::new(|_| ());
    let mut lookup = bench.lookup("a.b");
    let mut seen = Vec::new();
    for (who, seconds) in [(FIRST, 2), (SECOND, 2), (FIRST, 4), (SECOND, 4)] {
        let asked = bench.asked(&mut lookup);
        assert_eq!(asked.server, server(who));
        assert_eq!(bench.wait(&mut lookup), Duration::from_secs(seconds));
        seen.push(asked.message);
    }
    assert_eq!(bench.done(&mut lookup), Err(ResolveError::TimedOut));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "ids and cases are drawn anew");
    let mut lookup = bench.lookup("a.b");
    let asked = bench.asked(&mut lookup);
    bench.say(&mut lookup, &asked, SOUND | 2, &[]);
    bench.asked(&mut lookup);
    lookup.on_failure(&mut bench.shared);
    let asked = bench.asked(&mut lookup);
    assert_eq!(asked.server, server(FIRST));
    bench.say(&mut lookup, &asked, SOUND | 5, &[]);
    bench.asked(&mut lookup);
    bench.wait(&mut lookup);
    assert_eq!(bench.done(&mut lookup), Err(ResolveError::ServersFailed));
    let mut lonely = Bench::new(|config| config.servers.clear());
    let mut lookup = lonely.lookup("a.b");
    assert_eq!(lonely.done(&mut lookup), Err(ResolveError::NoServers));
}

#[test]
fn what_does_not_fit_and_who_changes_letters_are_asked_over_tcp() {
    let mut bench = Bench::new(|_| ());
    let mut lookup = bench.lookup("some.name");
    let asked = bench.asked(&mut lookup);
    bench.say(&mut lookup, &asked, SOUND | 0x200, &[]);
    let asked = bench.asked(&mut lookup);
    assert_eq!((asked.server, asked.via), (server(FIRST), Via::Tcp));
    bench.say(&mut lookup, &asked, SOUND, &[address("some.name", "192.0.2.1", 0)]);
    assert_eq!(bench.done(&mut lookup), Ok("192.0.2.1".into()));
    let mut lookup = bench.lookup("some.name");
    let mut asked = bench.asked(&mut lookup);
    let text = asked.message.clone();
    asked.message[12..].iter_mut().for_each(|byte| {
        if byte.is_ascii_alphabetic() {
            byte.make_ascii_lowercase();
        }
    });
    assert_ne!(text, asked.message, "the seed has drawn a capital");
    bench.say(&mut lookup, &asked, SOUND, &[address("some.name", "192.0.2.66", 9)]);
    assert_eq!(bench.asked(&mut lookup).via, Via::Tcp);
    assert_eq!(bench.shared.counters.over_tcp, 2);
}

#[test]
fn aliases_are_followed_with_a_limit() {
    let mut bench = Bench::new(|_| ());
    let mut lookup = bench.lookup("a0.x");
    for link in 0..=8 {
        let asked = bench.asked(&mut lookup);
        assert_eq!(asked.name(), format!("a{link}.x"));
        let (from, to) = (format!("a{link}.x"), format!("a{}.x", link + 1));
        bench.say(&mut lookup, &asked, SOUND, &[cname(&from, &to, 10)]);
    }
    assert_eq!(bench.done(&mut lookup), Err(ResolveError::ServersFailed));
    let mut lookup = bench.lookup("a0.x");
    let asked = bench.asked(&mut lookup);
    bench.say(&mut lookup, &asked, SOUND, &[cname("a0.x", "b.y", 10)]);
    let asked = bench.asked(&mut lookup);
    bench.say(&mut lookup, &asked, SOUND, &[address("b.y", "192.0.2.9", 100)]);
    assert_eq!(bench.done(&mut lookup), Ok("192.0.2.9".into()));
    bench.now = bench.now + Duration::from_secs(10);
    let mut later = bench.lookup("a0.x");
    bench.asked(&mut later);
}

#[test]
fn questions_are_limited_whatever_servers_say() {
    let mut bench = Bench::new(|config| {
        config.rounds = 255;
        config.search = (0..20).map(|i| format!("s{i}").parse().unwrap()).collect();
    });
    let mut lookup = bench.lookup("a");
    let mut count = 0;
    while let Step::Ask { server, via, message } = lookup.step(bench.now, &mut bench.shared) {
        count += 1;
        let flags = if count % 5 == 0 { SOUND | 3 } else { SOUND | 2 };
        bench.say(&mut lookup, &Asked { server, via, message }, flags, &[]);
    }
    assert_eq!(count, QUESTIONS_MAX);
}

#[test]
fn known_names_are_not_asked_for() {
    let mut bench = Bench::new(|config| {
        config.hosts = Hosts::parse("192.0.2.4 gate gate.example\n2001:db8::4 six");
        config.search = vec!["example".parse().unwrap()];
    });
    for (name, known) in [
        ("gate", Ok("192.0.2.4".into())),
        ("localhost", Ok("127.0.0.1".into())),
        ("a.localhost", Ok("127.0.0.1".into())),
        ("six.", Err(ResolveError::NoAddress)),
    ] {
        let mut lookup = bench.lookup(name);
        assert_eq!(bench.done(&mut lookup), known, "{name}");
    }
    assert_eq!(bench.shared.counters.questions, 0);
}

/// THREATS D-4: a million answers of somebody who guesses, each wrong in one thing.
#[test]
fn d4_forged_answers_do_not_end_the_waiting() {
    let mut bench = Bench::new(|_| ());
    let mut lookup = bench.lookup("bank.example");
    let asked = bench.asked(&mut lookup);
    let good = answer(&asked.message, SOUND, &[address("bank.example", "192.0.2.1", 60)], &[]);
    let evil = [address("bank.example", "192.0.2.66", 60)];
    let evil = answer(&asked.message, SOUND, &evil, &[]);
    let mut dice = Random::new(&Seed::from_number(2));
    for _ in 0..1_000_000 {
        let (mut message, mut from) = (evil.clone(), asked.server);
        match dice.below(5) {
            0 => message[usize::from(dice.below(2) == 0)] ^= 1 << dice.below(8),
            1 => message[13 + dice.below(4) as usize] ^= 1 << dice.below(5),
            2 => message[2] &= 0x7f,
            3 => from.set_port(dice.below(53) as u16),
            _ => from = SocketAddr::from(([192, 0, 2, 54 + dice.below(100) as u8], 53)),
        }
        lookup.on_message(bench.now, from, &message, &mut bench.shared);
    }
    assert_eq!(bench.shared.counters.ignored, 1_000_000);
    lookup.on_message(bench.now, asked.server, &good, &mut bench.shared);
    assert_eq!(bench.done(&mut lookup), Ok("192.0.2.1".into()));
}

/// THREATS X-5: 16 bits of id and a port by the stack (28,232 of them), and the letters' case.
#[test]
fn x5_ids_and_cases_cannot_be_guessed() {
    let mut bench = Bench::new(|config| config.cache_max = 0);
    let mut ids = BTreeSet::new();
    let mut ones = [0_u32; 16];
    let mut cases = BTreeSet::new();
    for _ in 0..4096 {
        let mut lookup = bench.lookup("abcdefgh.example");
        let asked = bench.asked(&mut lookup);
        let id = u16::from_be_bytes([asked.message[0], asked.message[1]]);
        (0..16).for_each(|bit| ones[bit] += u32::from(id >> bit & 1));
        ids.insert(id);
        cases.insert(asked.message[13..21].to_vec());
    }
    // Of 4096 draws from 65,536 some 3970 are different, and each bit is set in half of them.
    assert!(ids.len() > 3900, "{}", ids.len());
    assert!(ones.iter().all(|count| (1850..2250).contains(count)), "{ones:?}");
    assert_eq!(cases.len(), 256);
}
