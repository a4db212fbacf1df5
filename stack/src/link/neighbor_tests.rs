use super::*;
use crate::random::Seed;

const GATEWAY: Address = Address::v4([192, 0, 2, 1]);
const PEER: Address = Address::v4([192, 0, 2, 7]);
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 66]);

fn table() -> NeighborTable {
    let secret = Secret::derive(&Seed::from_number(1), "neighbours");
    NeighborTable::new(NeighborLimits::default(), secret)
}

fn stranger(n: u32) -> Address {
    let [_, b, c, d] = n.to_be_bytes();
    Address::v4([10, b, c, d])
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn solicits(table: &mut NeighborTable) -> Vec<Solicit> {
    std::iter::from_fn(|| table.poll_solicit()).collect()
}

fn broadcast(target: Address) -> Vec<Solicit> {
    vec![Solicit { target, unicast: None }]
}

fn unicast(target: Address, mac: Mac) -> Vec<Solicit> {
    vec![Solicit { target, unicast: Some(mac) }]
}

/// A table in which `address` has just answered from `MAC` at time zero.
fn knowing(address: Address) -> NeighborTable {
    let mut table = table();
    assert_eq!(table.resolve(at(0), address), Resolution::Pending);
    assert_eq!(solicits(&mut table), broadcast(address));
    assert_eq!(table.learn(at(0), address, MAC, Claim::Reply), Learned::Updated);
    table
}

#[test]
fn packets_wait_for_the_answer_and_leave_in_order() {
    let mut table = table();
    assert_eq!(table.resolve(at(0), PEER), Resolution::Pending);
    assert_eq!(table.resolve(at(1), PEER), Resolution::Pending);
    assert_eq!(solicits(&mut table), broadcast(PEER), "one request for two packets");
    assert_eq!(table.hold(PEER, Box::new([1; 10])), 0);
    assert_eq!(table.hold(PEER, Box::new([2; 10])), 0);
    assert_eq!(table.held_bytes(), 20);
    assert_eq!(table.learn(at(2), PEER, MAC, Claim::Reply), Learned::Updated);
    let out: Vec<_> = std::iter::from_fn(|| table.poll_released()).collect();
    assert_eq!(out, [(MAC, Box::from([1; 10])), (MAC, Box::from([2; 10]))]);
    assert_eq!(table.held_bytes(), 0);
    assert_eq!(table.resolve(at(3), PEER), Resolution::Known(MAC));
    assert_eq!(table.next_timeout(), None, "a reachable neighbour needs no timer");
}

#[test]
fn rfc1122_2_3_2_1_three_requests_a_second_apart_then_failure_for_a_second() {
    let mut table = table();
    table.resolve(at(0), PEER);
    assert_eq!(table.hold(PEER, Box::new([7; 30])), 0);
    let mut sent = vec![];
    for millis in 0..3_000 {
        table.advance(at(millis));
        assert_eq!(table.resolve(at(millis), PEER), Resolution::Pending);
        sent.extend(solicits(&mut table).iter().map(|_| millis));
    }
    assert_eq!(sent, [0, 1_000, 2_000]);
    assert_eq!(table.poll_failed(), None);
    table.advance(at(3_000));
    assert_eq!(table.poll_failed(), Some((PEER, vec![Box::from([7; 30])])));
    assert_eq!(table.held_bytes(), 0);
    assert_eq!(table.resolve(at(3_999), PEER), Resolution::Failed);
    assert_eq!(table.resolve(at(4_000), PEER), Resolution::Pending);
    assert_eq!(solicits(&mut table), broadcast(PEER));
    assert_eq!(table.counters().failed, 1);
}

#[test]
fn a_failed_neighbour_is_forgotten_and_a_late_answer_is_welcome() {
    let mut table = table();
    table.resolve(at(0), PEER);
    (0..=3).for_each(|s| table.advance(at(s * 1_000)));
    assert_eq!(table.len(), 1);
    assert_eq!(table.learn(at(3_500), PEER, MAC, Claim::Reply), Learned::Updated);
    assert_eq!(table.resolve(at(3_600), PEER), Resolution::Known(MAC));
    let mut table = self::table();
    table.resolve(at(0), PEER);
    (0..=4).for_each(|s| table.advance(at(s * 1_000)));
    assert_eq!(table.poll_failed(), Some((PEER, vec![])));
    assert_eq!((table.len(), table.next_timeout()), (0, None));
}

#[test]
fn rfc4861_7_3_stale_is_used_verified_and_given_up() {
    let mut table = knowing(PEER);
    assert_eq!(table.resolve(at(29_999), PEER), Resolution::Known(MAC));
    assert_eq!(table.next_timeout(), None);
    assert_eq!(table.resolve(at(30_000), PEER), Resolution::Known(MAC));
    assert_eq!(table.next_timeout(), Some(at(35_000)), "Delay");
    let mut sent = vec![];
    for millis in (30_000..38_000).step_by(10) {
        table.advance(at(millis));
        assert_eq!(table.resolve(at(millis), PEER), Resolution::Known(MAC));
        for solicit in solicits(&mut table) {
            assert_eq!(solicit.unicast, Some(MAC));
            sent.push(millis);
        }
    }
    assert_eq!(sent, [35_000, 36_000, 37_000]);
    table.advance(at(38_000));
    assert_eq!((table.len(), table.counters().lost), (0, 1));
    assert_eq!(table.resolve(at(38_000), PEER), Resolution::Pending);
}

#[test]
fn an_answer_or_progress_ends_the_verification() {
    for by_progress in [false, true] {
        let mut table = knowing(PEER);
        table.resolve(at(30_000), PEER);
        table.advance(at(35_000));
        assert_eq!(solicits(&mut table), unicast(PEER, MAC));
        if by_progress {
            table.confirm(at(35_001), PEER);
        } else {
            assert_eq!(table.learn(at(35_001), PEER, MAC, Claim::Reply), Learned::Updated);
        }
        assert_eq!(table.next_timeout(), None);
        table.advance(at(60_000));
        assert_eq!(solicits(&mut table), []);
        assert_eq!(table.resolve(at(65_000), PEER), Resolution::Known(MAC));
        assert_eq!(table.next_timeout(), None, "reachable until 65.001 s");
    }
}

#[test]
fn progress_keeps_a_neighbour_reachable_without_requests() {
    let mut table = knowing(PEER);
    for second in 0..600 {
        table.confirm(at(second * 1_000), PEER);
        table.advance(at(second * 1_000));
        assert_eq!(table.resolve(at(second * 1_000), PEER), Resolution::Known(MAC));
    }
    assert_eq!(solicits(&mut table), []);
}

#[test]
fn rfc826_only_own_need_and_requests_for_us_make_entries() {
    let mut table = table();
    assert_eq!(table.learn(at(0), PEER, MAC, Claim::Gratuitous), Learned::Ignored);
    assert_eq!(table.learn(at(0), PEER, MAC, Claim::Reply), Learned::Ignored);
    assert_eq!(table.len(), 0);
    assert_eq!(table.learn(at(0), PEER, MAC, Claim::Request), Learned::New);
    assert_eq!(table.resolve(at(1), PEER), Resolution::Known(MAC));
    assert_eq!(table.next_timeout(), Some(at(5_001)), "verified when used");
    assert_eq!(table.learn(at(0), GATEWAY, Mac::BROADCAST, Claim::Request), Learned::Ignored);
    assert_eq!(table.learn(at(0), GATEWAY, Mac::default(), Claim::Request), Learned::Ignored);
}

#[test]
fn rfc4861_7_2_5_without_override_what_is_known_stands() {
    let other = Mac([2, 0, 0, 0, 0, 9]);
    for (claim, reachable) in [(Claim::Anycast, true), (Claim::Hint, false)] {
        let mut table = self::table();
        assert_eq!(table.learn(at(0), PEER, MAC, claim), Learned::Ignored, "no own need");
        table.resolve(at(0), PEER);
        assert_eq!(table.learn(at(1), PEER, MAC, claim), Learned::Updated);
        assert_eq!(table.resolve(at(2), PEER), Resolution::Known(MAC));
        assert_eq!(table.next_timeout().is_none(), reachable, "{claim:?}");
        assert_eq!(table.learn(at(3), PEER, other, claim), Learned::Ignored);
        table.advance(at(4));
        assert_eq!(
            (table.resolve(at(5), PEER), table.counters().contested),
            (Resolution::Known(MAC), 0)
        );
    }
}

#[test]
fn n2_no_switch_while_the_old_answers() {
    for claim in [Claim::Gratuitous, Claim::Reply, Claim::Request] {
        let mut table = knowing(GATEWAY);
        let mut probes = vec![];
        for millis in 2_000..12_000 {
            // The attacker shouts every millisecond; the gateway answers every probe in two.
            table.learn(at(millis), GATEWAY, OTHER, claim);
            table.advance(at(millis));
            assert_eq!(table.resolve(at(millis), GATEWAY), Resolution::Known(MAC));
            probes.extend(solicits(&mut table).iter().map(|_| millis));
            if probes.last().is_some_and(|last| *last + 2 == millis) {
                assert_eq!(table.learn(at(millis), GATEWAY, MAC, Claim::Reply), Learned::Updated);
            }
        }
        assert_eq!(probes, (2..12).map(|s| s * 1_000).collect::<Vec<_>>(), "one a second");
        let counters = table.counters();
        assert_eq!((counters.switched, counters.contested), (0, 10_000));
    }
}

#[test]
fn n2_a_silent_old_address_gives_way_after_a_second() {
    let mut table = knowing(GATEWAY);
    table.learn(at(5_000), GATEWAY, OTHER, Claim::Gratuitous);
    assert_eq!(solicits(&mut table), unicast(GATEWAY, MAC));
    // Acknowledged data proves that somebody forwards, not who.
    table.confirm(at(5_500), GATEWAY);
    table.advance(at(5_999));
    assert_eq!(table.resolve(at(5_999), GATEWAY), Resolution::Known(MAC));
    table.advance(at(6_000));
    assert_eq!(table.resolve(at(6_000), GATEWAY), Resolution::Known(OTHER));
    assert_eq!(table.counters().switched, 1);
}

#[test]
fn n1_flood_does_not_evict_the_gateway_nor_who_we_talk_to() {
    let mut table = knowing(GATEWAY);
    table.pin_only([GATEWAY.to_ip()].into_iter());
    table.learn(at(0), PEER, MAC, Claim::Request);
    assert_eq!(table.resolve(at(0), PEER), Resolution::Known(MAC));
    table.learn(at(0), PEER, MAC, Claim::Reply);
    for n in 0..1_000_000 {
        let claim = if n % 2 == 0 { Claim::Request } else { Claim::Reply };
        table.learn(at(n / 100), stranger(n as u32), OTHER, claim);
        assert!(table.len() <= 1_024);
    }
    assert_eq!(table.counters().evicted, 500_000 + 2 - 1_024);
    assert_eq!(table.resolve(at(10_001), GATEWAY), Resolution::Known(MAC));
    assert_eq!(table.resolve(at(10_001), PEER), Resolution::Known(MAC));
}

#[test]
fn eviction_takes_the_least_recently_used_and_never_a_pinned_one() {
    let limits = NeighborLimits { entries: 4, ..NeighborLimits::default() };
    let mut table = NeighborTable::new(limits, Secret::derive(&Seed::from_number(1), "n"));
    table.pin_only([stranger(0).to_ip()].into_iter());
    for n in 0..4 {
        table.learn(at(0), stranger(n), MAC, Claim::Request);
    }
    // The pinned one is the only one that was never used.
    for n in [1, 2, 3, 1] {
        table.resolve(at(u64::from(n)), stranger(n));
    }
    table.resolve(at(9), stranger(1));
    assert_eq!(table.resolve(at(10), PEER), Resolution::Pending);
    assert_eq!(table.len(), 4);
    let known = |n| table.find(stranger(n)).is_some();
    assert_eq!([known(0), known(1), known(2), known(3)], [true, true, false, true]);
}

#[test]
fn n4_unresolved_strangers_are_few_and_known_neighbours_unharmed() {
    let mut table = knowing(GATEWAY);
    let mut requests = 0;
    for n in 0..1 << 20 {
        let now = at(u64::from(n) / 100); // 100,000 packets a second
        table.advance(now);
        if table.resolve(now, stranger(n)) == Resolution::Pending {
            let _ = table.hold(stranger(n), Box::new([0; 1_500]));
        }
        requests += solicits(&mut table).len();
        while table.poll_failed().is_some() {}
        assert!(table.incomplete.len() <= 64 && table.held_bytes() <= 256 << 10);
    }
    // 64 in 20 ms, for ten and a half seconds.
    assert!(requests < 35_000, "{requests}");
    assert!(table.counters().refused > 900_000);
    assert_eq!(table.resolve(at(10_500), GATEWAY), Resolution::Known(MAC));
}

#[test]
fn n4_packets_of_an_evicted_neighbour_are_returned() {
    let limits = NeighborLimits { incomplete: 1, ..NeighborLimits::default() };
    let mut table = NeighborTable::new(limits, Secret::derive(&Seed::from_number(1), "n"));
    table.resolve(at(0), PEER);
    assert_eq!(table.hold(PEER, Box::new([7; 30])), 0);
    table.resolve(at(19), GATEWAY);
    assert_eq!((table.counters().refused, table.next_timeout()), (1, Some(at(1_000))));
    table.resolve(at(20), GATEWAY);
    assert_eq!((table.counters().evicted, table.next_timeout()), (1, Some(at(20))));
    assert_eq!((table.counters().dropped, table.held_bytes()), (1, 30));
    assert_eq!(table.poll_failed(), Some((PEER, vec![Box::from([7; 30])])));
    assert_eq!((table.held_bytes(), table.next_timeout()), (0, Some(at(1_020))));
    // Nobody waits for this one.
    table.resolve(at(40), PEER);
    assert_eq!((table.counters().evicted, table.poll_failed()), (2, None));
}

#[test]
fn held_packets_are_bounded_for_one_neighbour_and_the_newest_stay() {
    let mut table = table();
    table.resolve(at(0), PEER);
    for n in 0..100u8 {
        assert_eq!(table.hold(PEER, Box::new([n; 100])), u64::from(n >= 64));
    }
    assert_eq!((table.held_bytes(), table.counters().dropped), (6_400, 36));
    assert_eq!(table.hold(PEER, vec![200; 65_535].into()), 24);
    assert!(table.held_bytes() <= 68 << 10);
    assert_eq!(table.hold(PEER, vec![0; 70_000].into()), 42, "with all others");
    table.resolve(at(0), GATEWAY);
    assert_eq!(table.hold(GATEWAY, Box::new([1; 10])), 0);
    assert_eq!(table.hold(PEER, Box::new([9; 10])), 0);
    table.learn(at(1), PEER, MAC, Claim::Reply);
    let firsts: Vec<u8> =
        std::iter::from_fn(|| table.poll_released()).map(|(_, packet)| packet[0]).collect();
    assert_eq!(firsts.last(), Some(&9));
    assert_eq!(table.held_bytes(), 10, "the other neighbour's packet waits on");
}

#[test]
fn held_packets_are_bounded_in_all_at_the_cost_of_the_same_neighbour() {
    let mut table = table();
    for n in 0..8 {
        table.resolve(at(0), stranger(n));
        for _ in 0..64 {
            let _ = table.hold(stranger(n), Box::new([n as u8; 1_000]));
        }
        assert!(table.held_bytes() <= 256 << 10);
    }
    table.learn(at(1), stranger(0), MAC, Claim::Reply);
    let whole = std::iter::from_fn(|| table.poll_released()).count();
    assert_eq!(whole, 64, "those who came first lose nothing to those who came later");
    assert_eq!(table.hold(PEER, Box::new([0; 10])), 1, "not being resolved");
}
