//! Leases in virtual time, from servers that say what the test says.

use super::Lease;
use super::client::{Client, LeaseEvent, Outgoing};
use super::message::writing::reply;
use crate::random::{Random, Seed};
use crate::time::Instant;
use crate::wire::address::Mac;
use core::net::Ipv4Addr;
use core::time::Duration;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
const YOURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const ONE: [u8; 4] = [192, 0, 2, 1];
const OTHER: [u8; 4] = [192, 0, 2, 2];
const HOUR: u32 = 3600;

struct Bench {
    client: Client,
    now: Instant,
}

/// What a message of the client says: kind, addressee, address of its own, wanted, server.
#[derive(Debug, PartialEq, Eq)]
struct Said(u8, Ipv4Addr, Option<Ipv4Addr>, Option<Ipv4Addr>, Option<Ipv4Addr>);

fn said(outgoing: &Outgoing) -> Said {
    let bytes = &outgoing.message;
    let option = |wanted: u8| {
        let mut rest = &bytes[240..];
        while let [kind, length, behind @ ..] = rest {
            let (data, next) = behind.split_at_checked(usize::from(*length))?;
            if *kind == wanted {
                return Some(data);
            }
            rest = next;
        }
        None
    };
    let four = |bytes: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(bytes).unwrap());
    let own = Some(four(&bytes[12..16])).filter(|own| !own.is_unspecified());
    Said(option(53).unwrap()[0], outgoing.to, own, option(50).map(four), option(54).map(four))
}

impl Bench {
    fn new(previous: Option<Ipv4Addr>) -> Bench {
        let now = Instant::from_secs(100);
        Bench { client: Client::new(now, MAC, previous, Random::new(&Seed::from_number(3))), now }
    }

    /// Time passes until the client speaks, at most so many seconds.
    fn hear(&mut self, seconds: u64) -> (Duration, Outgoing) {
        let (began, end) = (self.now, self.now + Duration::from_secs(seconds));
        loop {
            if let Some(out) = self.client.poll_transmit() {
                return (self.now - began, out);
            }
            let next = self.client.next_timeout();
            assert!(next <= end, "silence");
            self.now = self.now.max(next);
            self.client.advance(self.now);
        }
    }

    /// Silence for so many seconds.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.client.next_timeout() <= end {
            self.now = self.client.next_timeout();
            self.client.advance(self.now);
            assert_eq!(self.client.poll_transmit(), None);
        }
        self.now = end;
    }

    fn answer(&mut self, asked: &Outgoing, kind: u8, server: [u8; 4], lease: u32) {
        self.answer_with(asked, (kind, server), lease, &[]);
    }

    fn answer_with(
        &mut self,
        asked: &Outgoing,
        (kind, server): (u8, [u8; 4]),
        lease: u32,
        more: &[(u8, [u8; 4])],
    ) {
        let (kind, lease) = ([kind], lease.to_be_bytes());
        let mut options: Vec<(u8, &[u8])> =
            vec![(53, &kind), (54, &server), (1, &[255, 255, 255, 0]), (51, &lease)];
        options.extend(more.iter().map(|(kind, data)| (*kind, &data[..])));
        let message = reply(&asked.message, YOURS, &options);
        self.client.on_message(self.now, &message);
    }

    /// A lease of an hour, by the way of four messages.
    fn bound() -> Bench {
        let mut bench = Bench::new(None);
        let (_, discover) = bench.hear(1);
        bench.answer(&discover, 2, ONE, HOUR);
        let (_, request) = bench.hear(0);
        bench.answer(&request, 5, ONE, HOUR);
        assert!(matches!(bench.client.poll_event(), Some(LeaseEvent::Bound(..))));
        bench
    }

    fn lost(&mut self) -> bool {
        self.client.poll_event() == Some(LeaseEvent::Lost(YOURS)) && self.client.lease().is_none()
    }
}

#[test]
fn rfc2131_3_1_four_messages_make_a_lease() {
    let mut bench = Bench::new(None);
    let (wait, discover) = bench.hear(1);
    assert!(wait < Duration::from_secs(1));
    assert_eq!(said(&discover), Said(1, Ipv4Addr::BROADCAST, None, None, None));
    bench.answer(&discover, 2, ONE, HOUR);
    bench.answer(&discover, 2, OTHER, HOUR);
    let (_, request) = bench.hear(0);
    let expected = Said(3, Ipv4Addr::BROADCAST, None, Some(YOURS), Some(ONE.into()));
    assert_eq!(said(&request), expected);
    assert_eq!(request.message[4..8], discover.message[4..8], "one transaction");
    bench.answer(&request, 5, OTHER, HOUR);
    assert_eq!(bench.client.lease(), None, "the other was not asked");
    let asked = bench.now;
    bench.answer(&request, 5, ONE, HOUR);
    let Some(LeaseEvent::Bound(Lease { address, .. }, since)) = bench.client.poll_event() else {
        panic!()
    };
    assert_eq!((address, since), ("192.0.2.77/24".parse().unwrap(), asked));
    bench.pass(1799);
}

#[test]
fn rfc3927_2_11_who_hears_no_server_is_alone() {
    let mut bench = Bench::new(None);
    bench.hear(1);
    assert!(!bench.client.is_alone());
    let (_, discover) = bench.hear(5);
    assert!(bench.client.is_alone());
    bench.answer(&discover, 2, ONE, HOUR);
    assert!(!bench.client.is_alone());
    assert!(!Bench::bound().client.is_alone());
}

#[test]
fn d6_one_discover_for_each_slot() {
    let mut bench = Bench::new(None);
    bench.hear(1);
    for slot in [4, 8, 16, 32, 64, 64, 64] {
        let (wait, again) = bench.hear(65);
        assert_eq!(said(&again).0, 1);
        let (least, most) = (Duration::from_secs(slot - 1), Duration::from_secs(slot + 1));
        assert!((least..most).contains(&wait), "{slot}: {wait:?}");
    }
}

#[test]
fn d6_strangers_change_nothing() {
    let mut bench = Bench::new(None);
    let (_, discover) = bench.hear(1);
    let mut wrong = discover.clone();
    for at in [4, 7, 28, 33] {
        wrong.message[at] ^= 1;
        bench.answer(&wrong, 2, ONE, HOUR);
        bench.answer(&wrong, 6, ONE, HOUR);
        wrong.message[at] ^= 1;
    }
    bench.answer(&discover, 5, ONE, HOUR);
    bench.answer(&discover, 6, ONE, HOUR);
    let (wait, again) = bench.hear(6);
    assert_eq!((said(&again).0, wait >= Duration::from_secs(3)), (1, true));
    let mut bench = Bench::bound();
    bench.answer(&discover, 6, ONE, HOUR);
    assert!(bench.client.lease().is_some());
    let (_, renewal) = bench.hear(1800);
    bench.answer(&renewal, 6, OTHER, HOUR);
    assert!(bench.client.lease().is_some(), "only its own server takes a lease back");
}

/// Two servers, one offers and the other refuses: refusals in a row make pauses.
#[test]
fn d6_a_storm_of_refusals_is_answered_ever_slower() {
    let mut bench = Bench::new(None);
    let (mut last, mut waits) = (bench.now, Vec::new());
    for _ in 0..8 {
        let (_, discover) = bench.hear(70);
        assert_eq!(said(&discover).0, 1);
        waits.push((bench.now - last).as_secs());
        last = bench.now;
        bench.answer(&discover, 2, ONE, HOUR);
        let (_, request) = bench.hear(0);
        for _ in 0..100 {
            bench.answer(&request, 6, ONE, HOUR);
        }
    }
    assert!(waits[1] < 2 && waits[2] >= 3 && waits[4] >= 15 && waits[7] >= 62, "{waits:?}");
}

#[test]
fn rfc2131_4_4_5_a_lease_is_renewed_for_ever() {
    let mut bench = Bench::bound();
    for _ in 0..100 {
        let (wait, renewal) = bench.hear(1800);
        assert_eq!(wait, Duration::from_secs(1800));
        assert_eq!(said(&renewal), Said(3, ONE.into(), Some(YOURS), None, None));
        bench.answer(&renewal, 5, ONE, HOUR);
        assert!(matches!(bench.client.poll_event(), Some(LeaseEvent::Bound(..))));
    }
}

#[test]
fn rfc2131_4_4_5_without_its_server_others_are_asked_and_then_it_ends() {
    let mut bench = Bench::bound();
    let began = bench.now;
    let mut times = Vec::new();
    while bench.client.lease().is_some() {
        let next = bench.client.next_timeout();
        bench.now = next;
        bench.client.advance(next);
        if let Some(out) = bench.client.poll_transmit() {
            times.push(((bench.now - began).as_secs(), said(&out).1));
        }
    }
    assert!(bench.lost());
    assert_eq!((bench.now - began).as_secs(), 3600);
    let to =
        |wanted: Ipv4Addr| times.iter().filter(move |(_, to)| *to == wanted).map(|(at, _)| *at);
    let (renewals, rebindings): (Vec<_>, Vec<_>) =
        (to(ONE.into()).collect(), to(Ipv4Addr::BROADCAST).collect());
    assert_eq!(renewals[..3], [1800, 2475, 2812], "half of what is left until T2");
    assert_eq!(rebindings[..2], [3150, 3375], "half of what is left until the end");
    for times in [renewals, rebindings] {
        assert!(times.windows(2).all(|two| two[1] - two[0] >= 59), "a minute: {times:?}");
    }
    let (_, discover) = bench.hear(1);
    assert_eq!(said(&discover).0, 1);
}

#[test]
fn a_lease_that_another_server_takes_over_goes_on() {
    let mut bench = Bench::bound();
    let mut asked = bench.hear(1800).1;
    while said(&asked).1 != Ipv4Addr::BROADCAST {
        asked = bench.hear(1800).1;
    }
    bench.answer(&asked, 5, OTHER, HOUR);
    let Some(LeaseEvent::Bound(lease, _)) = bench.client.poll_event() else { panic!() };
    assert_eq!(lease.server, Ipv4Addr::from(OTHER));
}

#[test]
fn rfc2131_4_3_2_a_lease_that_is_refused_is_lost_at_once() {
    let mut bench = Bench::bound();
    let (_, renewal) = bench.hear(1800);
    bench.answer(&renewal, 6, ONE, HOUR);
    assert!(bench.lost());
    assert_eq!(said(&bench.hear(1).1).0, 1);
}

#[test]
fn rfc2131_3_2_an_earlier_address_is_asked_for_first() {
    let mut bench = Bench::new(Some(YOURS));
    let (_, request) = bench.hear(1);
    assert_eq!(said(&request), Said(3, Ipv4Addr::BROADCAST, None, Some(YOURS), None));
    bench.answer(&request, 5, ONE, HOUR);
    assert!(bench.client.lease().is_some());
    let mut bench = Bench::new(Some(YOURS));
    let (_, request) = bench.hear(1);
    bench.answer(&request, 6, OTHER, HOUR);
    assert_eq!(said(&bench.hear(1).1).0, 1);
    let mut bench = Bench::new(Some(YOURS));
    let kinds: Vec<u8> = (0..6).map(|_| said(&bench.hear(65).1).0).collect();
    assert_eq!(kinds, [3, 3, 3, 3, 1, 1], "nobody answers: from the beginning");
}

#[test]
fn rfc2131_3_1_5_an_address_that_others_have_is_declined() {
    let mut bench = Bench::bound();
    bench.client.on_conflict(bench.now);
    assert!(bench.lost());
    let (_, decline) = bench.hear(0);
    assert_eq!(said(&decline), Said(4, Ipv4Addr::BROADCAST, None, Some(YOURS), Some(ONE.into())));
    let (wait, discover) = bench.hear(12);
    assert!(wait >= Duration::from_secs(10));
    assert_eq!(said(&discover).0, 1);
}

#[test]
fn rfc2131_4_4_6_the_address_is_given_back() {
    let mut bench = Bench::bound();
    bench.client.release(bench.now);
    assert!(bench.lost());
    let (_, release) = bench.hear(0);
    assert_eq!(said(&release), Said(7, ONE.into(), Some(YOURS), None, Some(ONE.into())));
    bench.pass(100_000);
}

#[test]
fn d5_leases_of_a_second_and_for_ever() {
    for lease in [1, 2, 7, u32::MAX] {
        let mut bench = Bench::new(None);
        let (_, discover) = bench.hear(1);
        bench.answer(&discover, 2, ONE, lease);
        let (_, request) = bench.hear(0);
        bench.answer(&request, 5, ONE, lease);
        assert!(bench.client.lease().is_some());
        if lease == u32::MAX {
            bench.pass(1_000_000_000);
            continue;
        }
        let mut messages = 0;
        while bench.client.lease().is_some() {
            bench.now = bench.client.next_timeout();
            bench.client.advance(bench.now);
            messages += usize::from(bench.client.poll_transmit().is_some());
        }
        assert!(messages <= 3, "{messages}");
    }
}

/// A server that lends for ever so short, or says that a lease is to be renewed at once, and
/// answers at once. dhcpcd takes no lease to be shorter than 20 s and busybox's udhcpc than 30;
/// systemd takes a T1 or T2 of 0 for none.
#[test]
fn d6_no_terms_of_a_lease_make_a_storm() {
    for (lease, t1, t2) in [
        (3600, 0, 0),
        (3600, 0, 3150),
        (3600, 1, 2),
        (3600, 4, 4),
        (100, 3, 5),
        (5, 4, 4),
        (4, 0, 0),
        (2, 1, 1),
        (1, 0, 0),
    ] {
        let mut bench = Bench::new(None);
        let end = bench.now + Duration::from_secs(600);
        let (mut messages, mut leases) = (0, 0);
        while bench.client.next_timeout() <= end && messages < 1000 {
            bench.now = bench.now.max(bench.client.next_timeout());
            bench.client.advance(bench.now);
            while let Some(asked) = bench.client.poll_transmit() {
                messages += 1;
                let kind = if said(&asked).0 == 1 { 2 } else { 5 };
                let terms = [(58, u32::to_be_bytes(t1)), (59, u32::to_be_bytes(t2))];
                bench.answer_with(&asked, (kind, ONE), lease, &terms);
            }
            leases += usize::from(matches!(bench.client.poll_event(), Some(LeaseEvent::Bound(..))));
        }
        let terms = (lease, t1, t2);
        assert!(leases > 0 && messages <= 300, "{terms:?}: {messages} messages in ten minutes");
    }
}
