//! A host of IPv6 that configures itself, and the routers and neighbours on its link, by hand.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use stack::{
    AddressInfo, AddressOrigin, AddressState, Autoconfigure, Config, ConnectError, ConnectOptions,
    DropReason, Instant, RxFrame, Seed, Stack,
};

use crate::ipv6::icmp_to;
use crate::net::{balanced, host, mac, settled};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_MLD_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const OTHER_ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the host under test says and hears, in virtual time.
struct Link {
    stack: Stack,
    now: Instant,
    /// Everything that it has said: when, and the frame.
    said: Vec<(Instant, Vec<u8>)>,
}

impl Link {
    fn with(change: impl FnOnce(&mut Config)) -> Link {
        let mut config = Config::new(mac(1));
        config.autoconfigure = Autoconfigure::On;
        change(&mut config);
        config.validate().unwrap();
        let stack = Stack::new(config, Seed::from_number(7));
        Link { stack, now: Instant::ZERO, said: Vec::new() }
    }

    /// A host with its address on the link, which has asked for routers.
    fn ready() -> Link {
        let mut link = Link::with(|_| ());
        link.pass(secs(3));
        assert_eq!(link.local().1, AddressState::Preferred);
        link
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.stack.advance(self.now);
            while let Some(frame) = self.stack.poll_transmit(self.now) {
                self.said.push((self.now, frame.to_vec()));
            }
            let next = self.stack.next_timeout().filter(|&next| next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
        }
        self.now = end;
    }

    fn hear(&mut self, frame: &[u8]) -> Vec<DropReason> {
        let before = self.stack.counters().drops.clone();
        self.stack.receive(self.now, RxFrame::plain(frame));
        balanced(&self.stack);
        let drops = self.stack.counters().drops.iter();
        let new = drops.filter(|(reason, n)| before.get(*reason) != *n).map(|(reason, _)| reason);
        let new = new.collect();
        self.pass(Duration::ZERO);
        new
    }

    fn local(&self) -> (Ipv6Addr, AddressState) {
        let (address, state, _) = self.all(AddressOrigin::LinkLocal)[0];
        (address, state)
    }

    fn all(&self, origin: AddressOrigin) -> Vec<(Ipv6Addr, AddressState, AddressInfo)> {
        let all = self.stack.addresses().filter(|info| info.origin == origin);
        let v6 = |info: AddressInfo| match info.cidr.address {
            IpAddr::V6(address) => Some((address, info.state, info)),
            IpAddr::V4(_) => None,
        };
        all.filter_map(v6).collect()
    }

    fn made(&self) -> Vec<(Ipv6Addr, AddressState)> {
        self.all(AddressOrigin::Slaac)
            .iter()
            .map(|(address, state, _)| (*address, *state))
            .collect()
    }

    /// The messages of `kind` that the host has said: when, from whom, to whom, and the bytes.
    fn messages(&self, kind: u8) -> Vec<(Instant, Ipv6Addr, Ipv6Addr, Vec<u8>)> {
        let address = |bytes: &[u8]| Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap());
        let of_kind = self.said.iter().filter(|(_, frame)| {
            frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == kind
        });
        let parts = |(at, frame): &(Instant, Vec<u8>)| {
            assert_eq!(frame[21], 255, "hop limit");
            (*at, address(&frame[22..38]), address(&frame[38..54]), frame[54..].to_vec())
        };
        of_kind.map(parts).collect()
    }

    /// What routers and switches were told of the host's groups by MLD: when, from whom, of what,
    /// and the kind of record; in the order in which all was said, where each stands.
    fn reports(&self) -> Vec<(usize, Instant, Ipv6Addr, Ipv6Addr, u8)> {
        let address = |bytes: &[u8]| Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap());
        let is_report = |frame: &[u8]| frame[12..14] == [0x86, 0xdd] && frame[20] == 0;
        let all = self.said.iter().enumerate().filter(|(_, (_, frame))| is_report(frame));
        let parts = |(place, (at, frame)): (usize, &(Instant, Vec<u8>))| {
            assert_eq!((frame[62], address(&frame[38..54])), (143, ALL_MLD_ROUTERS));
            (place, *at, address(&frame[22..38]), address(&frame[74..90]), frame[70])
        };
        all.map(parts).collect()
    }

    /// Where a connection to `to` would come from.
    fn source(&mut self, to: &str) -> Result<IpAddr, ConnectError> {
        let remote = (to.parse::<IpAddr>().unwrap(), 80).into();
        let id = self.stack.connect(self.now, remote, ConnectOptions::default())?;
        let tcp = self.stack.tcp(id).unwrap();
        let local = tcp.local().ip();
        tcp.abort(self.now);
        Ok(local)
    }
}

/// A router advertisement: what it says of the router, and its options.
pub(crate) struct Word {
    router: Ipv6Addr,
    hop_limit: u8,
    flags: u8,
    lifetime: u16,
    options: Vec<u8>,
}

impl Word {
    pub(crate) fn new() -> Word {
        let options = vec![1, 1, 2, 0, 0, 0, 0, 9];
        Word { router: ROUTER, hop_limit: 0, flags: 0, lifetime: 1800, options }
    }

    fn prefix(mut self, prefix: &str, flags: u8, valid: u32, preferred: u32) -> Word {
        self.options.extend([3, 4, 64, flags]);
        self.options.extend(valid.to_be_bytes());
        self.options.extend(preferred.to_be_bytes());
        self.options.extend([0; 4]);
        self.options.extend(prefix.parse::<Ipv6Addr>().unwrap().octets());
        self
    }

    pub(crate) fn mtu(mut self, mtu: u32) -> Word {
        self.options.extend([5, 1, 0, 0]);
        self.options.extend(mtu.to_be_bytes());
        self
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        self.frame_with(255)
    }

    fn frame_with(&self, hops: u8) -> Vec<u8> {
        let mut message = vec![134, 0, 0, 0, self.hop_limit, self.flags];
        message.extend(self.lifetime.to_be_bytes());
        message.extend([0; 8]);
        message.extend(&self.options);
        icmp_to(ALL_NODES, self.router, hops, &message)
    }
}

/// On the link, and for addresses.
const BOTH: u8 = 0xc0;

fn group_of(address: Ipv6Addr) -> Ipv6Addr {
    let [.., b, c, d] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(b), u16::from_be_bytes([c, d]))
}

/// "Does anybody have `address`?", from another who wants it, with a nonce perhaps.
fn probe(address: Ipv6Addr, nonce: &[u8]) -> Vec<u8> {
    let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &address.octets(), nonce].concat();
    icmp_to(group_of(address), Ipv6Addr::UNSPECIFIED, 255, &message)
}

/// "`address` is mine."
fn claim(address: Ipv6Addr) -> Vec<u8> {
    let message =
        [&[136, 0, 0, 0, 0x20, 0, 0, 0][..], &address.octets(), &[2, 1], &mac(9).0].concat();
    icmp_to(ALL_NODES, address, 255, &message)
}

#[test]
fn rfc4862_5_4_2_an_address_is_asked_for_before_it_is_used() {
    let mut link = Link::with(|_| ());
    let (local, state) = link.local();
    assert_eq!(state, AddressState::Tentative);
    assert_eq!(link.source("fe80::9"), Err(ConnectError::NetworkUnreachable));
    // Within a second the question, a second later the address is there.
    link.pass(secs(1));
    let [(at, from, to, message)] = &link.messages(135)[..] else { panic!("one question") };
    assert!(*at <= Instant::from_secs(1));
    assert_eq!((*from, *to), (Ipv6Addr::UNSPECIFIED, group_of(local)));
    assert_eq!((&message[8..24], &message[24..26]), (&local.octets()[..], &[14, 1][..]));
    let sure = *at + secs(1);
    link.pass(sure - link.now - Duration::from_millis(1));
    assert_eq!(link.local().1, AddressState::Tentative);
    link.pass(Duration::from_millis(1));
    assert_eq!(link.local(), (local, AddressState::Preferred));
    assert_eq!(link.source("fe80::9"), Ok(local.into()));
    // Our own question, come back by a loop in the link, says nothing (RFC 7527 §4.2).
    assert_eq!(link.messages(135).len(), 1);
}

/// A switch that forwards groups to their members only has to know the member before the question
/// is asked, or the answer does not come.
#[test]
fn rfc4862_5_4_2_a_switch_knows_who_asks_before_the_question() {
    const JOINED: u8 = 4;
    const LEFT: u8 = 3;
    let mut link = Link::with(|_| ());
    let (local, _) = link.local();
    link.pass(secs(1));
    let question = link.messages(135)[0].0;
    let (place, at, from, group, kind) = link.reports()[0];
    assert_eq!((at, from), (question, Ipv6Addr::UNSPECIFIED), "nobody's, as the question");
    assert_eq!((group, kind), (group_of(local), JOINED));
    assert_eq!(link.said[place + 1].1[54], 135, "the question is next");
    // Routers listen to it as soon as it has an address.
    link.pass(secs(3));
    let from_us = link.reports().into_iter().filter(|it| it.2 == local);
    let from_us: Vec<_> = from_us.map(|it| (it.3, it.4)).collect();
    assert_eq!(from_us, [(group_of(local), JOINED); 2]);
    // A router's prefix makes an address: the same again.
    link.said.clear();
    link.hear(&Word::new().prefix("2001:db8::", BOTH, 7200, 3600).frame());
    let [(address, AddressState::Tentative)] = link.made()[..] else { panic!("one") };
    link.pass(secs(3));
    let (place, at, from, group, kind) = link.reports()[0];
    assert_eq!((at, from), (link.messages(135)[0].0, local));
    assert_eq!((group, kind), (group_of(address), JOINED));
    assert_eq!(link.said[place + 1].1[54], 135);
    assert_eq!(link.reports().len(), 2, "nothing about all nodes, whom everybody hears");
    // Its end, and a neighbour that shares the group.
    link.said.clear();
    let like_it = Ipv6Addr::from(address.to_bits() ^ 1 << 64);
    let cidr = stack::Cidr::new(like_it.into(), 64);
    link.stack.add_address(link.now, stack::NewAddress::configured(cidr)).unwrap();
    link.stack.remove_address(link.now, address.into()).unwrap();
    link.pass(secs(3));
    assert_eq!(link.reports(), [], "the other is there");
    link.stack.remove_address(link.now, like_it.into()).unwrap();
    link.pass(secs(3));
    let told: Vec<_> = link.reports().into_iter().map(|it| (it.2, it.3, it.4)).collect();
    assert_eq!(told, [(local, group_of(address), LEFT); 2]);
}

/// THREATS E-3: whoever is at the other end of a link that is back may know of no group.
#[test]
fn e3_groups_are_told_again_when_a_link_is_back() {
    let mut link = Link::ready();
    let local = link.local().0;
    link.pass(secs(3));
    link.said.clear();
    link.stack.set_link(false);
    link.pass(secs(3));
    assert_eq!(link.reports(), [], "to nobody");
    link.stack.set_link(true);
    link.pass(secs(3));
    let told: Vec<_> = link.reports().into_iter().map(|it| (it.2, it.3, it.4)).collect();
    assert_eq!(told, [(local, group_of(local), 4); 2]);
}

/// Of several that are one host, the first tells: it is who answers.
#[test]
fn of_the_parts_of_a_host_one_reports() {
    let seed = Seed::from_number(7);
    let told = stack::Part::all(&seed, 2.try_into().unwrap()).map(|part| {
        let mut link = Link::with(|_| ());
        link.stack.become_part(part);
        link.pass(secs(5));
        !link.reports().is_empty()
    });
    assert_eq!(told.collect::<Vec<_>>(), [true, false]);
}

/// What another has is not asked for again, and its group is left.
#[test]
fn rfc4862_5_4_5_the_group_of_an_address_that_another_has_is_left() {
    let mut link = Link::with(|_| ());
    let (local, _) = link.local();
    link.pass(secs(1));
    link.hear(&claim(local));
    link.pass(secs(3));
    let of_it = link.reports().into_iter().filter(|it| it.3 == group_of(local));
    let kinds: Vec<u8> = of_it.map(|it| it.4).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&4), Some(&3)), "{kinds:?}");
}

#[test]
fn rfc4862_5_4_5_an_address_that_another_has_is_not_used() {
    let (mut seen, mut link) = (Vec::new(), Link::with(|_| ()));
    for _ in 0..4 {
        let (local, state) = link.local();
        assert!(!seen.contains(&local) && state == AddressState::Tentative);
        seen.push(local);
        let frame = if seen.len() % 2 == 0 { claim(local) } else { probe(local, &[]) };
        assert_eq!(link.hear(&frame), []);
    }
    // Four were tried (RFC 7217 §6): no address, and nothing is said.
    assert_eq!(link.local(), (seen[3], AddressState::Duplicate));
    assert_eq!(link.stack.counters().addresses_duplicate, 4);
    link.said.clear();
    link.pass(secs(100));
    assert_eq!(link.said, []);
    assert_eq!(link.source("fe80::9"), Err(ConnectError::NetworkUnreachable));
}

#[test]
fn rfc7527_4_2_our_own_question_come_back_is_no_conflict() {
    let mut link = Link::with(|_| ());
    link.pass(secs(1));
    let [(_, _, _, message)] = &link.messages(135)[..] else { panic!("one question") };
    let nonce = message[24..32].to_vec();
    let (local, _) = link.local();
    link.hear(&probe(local, &nonce));
    assert_eq!(link.local(), (local, AddressState::Tentative));
    let mut other = nonce;
    other[7] ^= 1;
    link.hear(&probe(local, &other));
    assert_ne!(link.local().0, local);
}

#[test]
fn n5_a_storm_of_conflicts_costs_four_tries_and_no_more() {
    let mut link = Link::with(|_| ());
    for _ in 0..10_000 {
        let local = link.local().0;
        link.hear(&claim(local));
    }
    assert_eq!(link.stack.counters().addresses_duplicate, 4);
    assert!(link.said.is_empty());
}

/// RFC 8981 §3.4: after three more attempts the network has none, as long as the host is on this
/// link.
#[test]
fn n5_a_storm_of_conflicts_of_temporary_addresses_costs_four_tries_and_no_more() {
    let mut link = Link::with(|config| config.temporary_addresses = true);
    link.pass(secs(3));
    let word = Word::new().prefix("2001:db8::", BOTH, 604_800, 604_800).frame();
    let tentative = |link: &Link| {
        let all = link.all(AddressOrigin::Temporary);
        all.iter().find(|it| it.1 == AddressState::Tentative).map(|it| it.0)
    };
    // The first ten seconds, and three days.
    for span in [Duration::from_millis(100); 100].into_iter().chain([secs(1800); 3 * 48]) {
        link.hear(&word);
        for _ in 0..10 {
            let Some(address) = tentative(&link) else { break };
            link.hear(&claim(address));
        }
        link.pass(span);
    }
    assert_eq!(link.stack.counters().addresses_duplicate, 4);
    assert_eq!(link.all(AddressOrigin::Temporary), [], "nothing is left of them");
    assert_eq!(link.made()[0].1, AddressState::Preferred);
    // Another network is another matter, and so is another link.
    link.hear(&Word::new().prefix("2001:db8:1::", BOTH, 604_800, 604_800).frame());
    link.pass(secs(10));
    assert_eq!(link.all(AddressOrigin::Temporary).len(), 1);
    link.stack.set_link(false);
    link.stack.set_link(true);
    link.hear(&word);
    assert!(tentative(&link).is_some());
}

/// RFC 8981 §3.4: what counts is conflicts in a row.
#[test]
fn rfc8981_3_4_a_temporary_address_that_nobody_has_ends_the_count() {
    let mut link = Link::with(|config| config.temporary_addresses = true);
    link.pass(secs(3));
    link.hear(&Word::new().prefix("2001:db8::", BOTH, u32::MAX, u32::MAX).frame());
    let tentative = |link: &mut Link| loop {
        let all = link.all(AddressOrigin::Temporary);
        if let Some(it) = all.iter().find(|it| it.1 == AddressState::Tentative) {
            break it.0;
        }
        let next = link.stack.next_timeout().unwrap();
        link.pass(next - link.now);
    };
    for day in 1..5 {
        for _ in 0..3 {
            let address = tentative(&mut link);
            link.hear(&claim(address));
        }
        // The fourth is left in peace.
        let address = tentative(&mut link);
        link.pass(secs(3));
        link.hear(&Word::new().frame());
        assert_eq!(link.source("2001:db8:9::9"), Ok(address.into()));
        assert_eq!(link.stack.counters().addresses_duplicate, 3 * day);
    }
}

#[test]
fn rfc4861_6_3_7_routers_are_asked_until_one_answers() {
    let mut link = Link::ready();
    link.pass(secs(30));
    let asked = link.messages(133);
    let local = link.local().0;
    assert!(asked.iter().all(|(_, from, to, message)| {
        (*from, *to) == (local, ALL_ROUTERS) && message[8..] == [&[1, 1][..], &mac(1).0].concat()
    }));
    assert_eq!(asked.len(), 4, "after 0, 4, 12 and 28 seconds, about (RFC 7559 §2)");
    link.hear(&Word::new().frame());
    link.pass(secs(1799));
    assert_eq!(link.messages(133).len(), 4, "it has a way out");
    link.pass(secs(2));
    assert_eq!(link.messages(133).len(), 5, "it has none");
}

#[test]
fn rfc4862_5_5_3_a_router_s_prefix_makes_an_address() {
    let mut link = Link::ready();
    assert_eq!(link.source("2001:db8:9::9"), Err(ConnectError::NetworkUnreachable));
    assert_eq!(link.hear(&Word::new().prefix("2001:db8::", BOTH, 7200, 3600).frame()), []);
    let [(address, AddressState::Tentative)] = link.made()[..] else { panic!("one") };
    assert_eq!(address.segments()[..4], [0x2001, 0xdb8, 0, 0]);
    link.pass(secs(2));
    assert_eq!(link.made(), [(address, AddressState::Preferred)]);
    assert_eq!(link.source("2001:db8:9::9"), Ok(address.into()));
    assert_eq!(link.source("fe80::9"), Ok(link.local().0.into()));
    // The router is a way out, and its link address is known: it need not be asked for.
    link.said.clear();
    let far = "[2001:db8:9::9]:80".parse().unwrap();
    link.stack.connect(link.now, far, ConnectOptions::default()).unwrap();
    link.pass(Duration::ZERO);
    assert_eq!(link.said[0].1[..6], [2, 0, 0, 0, 0, 9]);
    // What has the prefix is on the link.
    link.said.clear();
    let near = "[2001:db8::9]:80".parse().unwrap();
    link.stack.connect(link.now, near, ConnectOptions::default()).unwrap();
    link.pass(Duration::ZERO);
    assert_eq!(link.messages(135)[0].2, group_of("2001:db8::9".parse().unwrap()));
    // It is deprecated, then it goes.
    link.pass(secs(3600));
    assert_eq!(link.made(), [(address, AddressState::Deprecated)]);
    link.pass(secs(3600));
    assert_eq!(link.made(), []);
}

#[test]
fn rfc5942_4_an_address_says_nothing_of_what_is_on_the_link() {
    let mut link = Link::ready();
    link.hear(&Word::new().prefix("2001:db8::", 0x40, 7200, 3600).frame());
    link.pass(secs(2));
    link.said.clear();
    let near = "[2001:db8::9]:80".parse().unwrap();
    link.stack.connect(link.now, near, ConnectOptions::default()).unwrap();
    link.pass(Duration::ZERO);
    assert_eq!(link.said[0].1[..6], [2, 0, 0, 0, 0, 9], "by the router");
}

#[test]
fn rfc4862_5_5_3_prefixes_that_make_no_address() {
    let mut link = Link::ready();
    let mut short = Word::new().prefix("2001:db8::", BOTH, 7200, 3600);
    short.options[10] = 56;
    link.hear(&short.frame());
    link.hear(&Word::new().prefix("2001:db8::", 0x80, 7200, 3600).frame());
    link.hear(&Word::new().prefix("2001:db8::", BOTH, 3600, 7200).frame());
    link.hear(&Word::new().prefix("fe80::", BOTH, 7200, 3600).frame());
    link.hear(&Word::new().prefix("2001:db8::", BOTH, 0, 0).frame());
    assert_eq!(link.made(), []);
}

#[test]
fn rfc4862_5_5_3_e_a_life_is_not_ended_by_a_stranger() {
    let left = |link: &Link| {
        let (_, _, info) = link.all(AddressOrigin::Slaac)[0];
        info.valid_until.unwrap() - link.now
    };
    let mut link = Link::ready();
    let say = |link: &mut Link, valid, preferred| {
        link.hear(&Word::new().prefix("2001:db8::", BOTH, valid, preferred).frame());
    };
    say(&mut link, 86_400, 14_400);
    link.pass(secs(2));
    assert_eq!(left(&link), secs(86_398));
    say(&mut link, 10, 0);
    assert_eq!(left(&link), secs(7200), "two hours remain");
    assert_eq!(link.made()[0].1, AddressState::Deprecated, "it need not begin anything new");
    link.pass(secs(3600));
    say(&mut link, 10, 10);
    assert_eq!(left(&link), secs(3600), "nor is what is left made shorter");
    assert_eq!(link.made()[0].1, AddressState::Preferred);
    say(&mut link, 4000, 4000);
    assert_eq!(left(&link), secs(4000), "but longer");
    say(&mut link, 86_400, 14_400);
    assert_eq!(left(&link), secs(86_400));
}

#[test]
fn rfc4861_6_3_4_a_router_that_resigns_and_one_that_is_better() {
    let mut link = Link::ready();
    let prefix = |word: Word| word.prefix("2001:db8::", BOTH, 7200, 3600);
    link.hear(&prefix(Word::new()).frame());
    link.pass(secs(2));
    let mut other = Word { router: OTHER_ROUTER, flags: 0x08, ..Word::new() };
    other.options[7] = 8;
    link.hear(&other.frame());
    let way = |link: &mut Link| {
        link.said.clear();
        let far = "[2001:db8:9::9]:80".parse().unwrap();
        link.stack.connect(link.now, far, ConnectOptions::default()).ok()?;
        link.pass(Duration::ZERO);
        Some(link.said[0].1[5])
    };
    assert_eq!(way(&mut link), Some(8), "it wants to be used (RFC 4191)");
    link.hear(&Word { lifetime: 0, ..other }.frame());
    assert_eq!(way(&mut link), Some(9));
    link.hear(&Word { lifetime: 0, ..Word::new() }.frame());
    assert_eq!(way(&mut link), None);
    assert_eq!(link.made().len(), 1, "a router that is no way out may tell of prefixes still");
}

/// Linux looks at the router's neighbour entry for each packet.
#[test]
fn rfc4861_6_3_6_a_router_falls_and_comes_back() {
    let first_frame = |link: &mut Link| {
        link.said.clear();
        let far = "[2001:db8:9::9]:80".parse().unwrap();
        let id = link.stack.connect(link.now, far, ConnectOptions::default()).unwrap();
        link.pass(Duration::ZERO);
        link.stack.tcp(id).unwrap().abort(link.now);
        link.said[0].1.clone()
    };
    for speaks in [true, false] {
        let mut link = Link::ready();
        // The better one does not say where it is: it has to be asked for.
        let better = || Word { flags: 0x08, ..Word::new() }.prefix("2001:db8::", BOTH, 7200, 3600);
        let mut nowhere = better();
        nowhere.options.drain(..8);
        link.hear(&nowhere.frame());
        let mut other = Word { router: OTHER_ROUTER, ..Word::new() };
        other.options[7] = 8;
        link.hear(&other.frame());
        link.pass(secs(2));
        assert_eq!(first_frame(&mut link)[38..54], group_of(ROUTER).octets());
        link.pass(Duration::from_millis(3500));
        assert_eq!(first_frame(&mut link)[..6], mac(8).0, "it is silent");
        if speaks {
            link.hear(&better().frame());
        } else {
            // A late answer to the last question.
            let own = link.local().0;
            let head = [136, 0, 0, 0, 0x60, 0, 0, 0];
            let answer = [&head[..], &ROUTER.octets(), &[2, 1], &mac(9).0].concat();
            link.hear(&icmp_to(own, ROUTER, 255, &answer));
        }
        assert_eq!(first_frame(&mut link)[..6], mac(9).0, "it is back; speaks: {speaks}");
    }
}

#[test]
fn n6_a_rogue_router_is_held_to_its_limits() {
    let mut link = Link::ready();
    link.hear(&Word::new().prefix("2001:db8::", BOTH, 7200, 3600).mtu(1400).frame());
    link.pass(secs(2));
    let before = link.made()[0];
    for mtu in [0, 68, 1279] {
        link.hear(&Word { hop_limit: 0, ..Word::new().mtu(mtu) }.frame());
    }
    for n in 0..1000 {
        let prefix = format!("2001:db8:{n:x}:1::");
        let word = Word { router: Ipv6Addr::from(ROUTER.to_bits() + n), ..Word::new() };
        link.hear(&word.prefix(&prefix, BOTH, 7200, 3600).frame());
    }
    link.pass(secs(2));
    let made = link.made();
    assert_eq!((made.len(), made[0]), (10, before));
    assert_eq!(link.stack.addresses().count(), 11);
    let counters = link.stack.counters();
    assert_eq!((counters.addresses_refused, counters.routers_refused), (991, 990 + 991));
    // The MTU is what was said in reason.
    link.said.clear();
    let far = "[2001:db8:9::9]:80".parse().unwrap();
    link.stack.connect(link.now, far, ConnectOptions::default()).unwrap();
    link.pass(Duration::ZERO);
    let syn = &link.said[0].1;
    assert_eq!(syn[74..78], [2, 4, 0x05, 0x3c], "1340: 1400 less sixty");
}

#[test]
fn n5_a_router_s_word_from_beyond_the_link_changes_nothing() {
    let mut link = Link::ready();
    let word = Word::new().prefix("2001:db8::", BOTH, 7200, 3600);
    for hops in [0, 1, 64, 254] {
        assert_eq!(link.hear(&word.frame_with(hops)), [DropReason::NdpMalformed]);
    }
    let global = Word { router: "2001:db8::1".parse().unwrap(), ..word };
    assert_eq!(link.hear(&global.frame()), [DropReason::NdpMalformed]);
    assert_eq!((link.made().len(), link.stack.routes().count()), (0, 0));
}

#[test]
fn n8_a_redirect_changes_nothing() {
    let mut link = Link::ready();
    link.hear(&Word::new().prefix("2001:db8::", BOTH, 7200, 3600).frame());
    link.pass(secs(2));
    let own = link.made()[0].0;
    let far: Ipv6Addr = "2001:db8:9::9".parse().unwrap();
    let message = [&[137, 0, 0, 0, 0, 0, 0, 0][..], &OTHER_ROUTER.octets(), &far.octets()].concat();
    assert_eq!(link.hear(&icmp_to(own, ROUTER, 255, &message)), [DropReason::NdpIgnored]);
    link.said.clear();
    link.stack.connect(link.now, (far, 80).into(), ConnectOptions::default()).unwrap();
    link.pass(Duration::ZERO);
    assert_eq!(link.said[0].1[..6], [2, 0, 0, 0, 0, 9]);
}

#[test]
fn rfc8981_3_an_address_that_changes_every_day() {
    let mut link = Link::with(|config| config.temporary_addresses = true);
    link.pass(secs(3));
    let word = Word { lifetime: 9000, ..Word::new() };
    let word = word.prefix("2001:db8::", BOTH, u32::MAX, u32::MAX).frame();
    let mut seen = Vec::new();
    for _ in 0..(3 * 48) {
        link.hear(&word);
        link.pass(secs(1800));
        let source = link.source("2001:db8:9::9").unwrap();
        if !seen.contains(&source) {
            seen.push(source);
        }
    }
    let made = link.made();
    assert_eq!(made.len(), 1);
    assert!(!seen.contains(&made[0].0.into()), "what begins does not come from the stable one");
    assert!((3..=6).contains(&seen.len()), "{} in three days", seen.len());
    let temporary = link.all(AddressOrigin::Temporary);
    assert!((2..=4).contains(&temporary.len()), "the old live for two days at most");
}

#[test]
fn rfc8106_5_servers_of_names() {
    let mut link = Link::ready();
    let mut word = Word::new();
    word.options.extend([25, 3, 0, 0, 0, 0, 0, 60]);
    word.options.extend("2001:db8::53".parse::<Ipv6Addr>().unwrap().octets());
    word.options.extend([31, 2, 0, 0, 0, 0, 0, 30]);
    word.options.extend(b"\x04test\x00\0\0");
    word.flags = 0x40;
    link.hear(&word.frame());
    let domains = |link: &Link| link.stack.search_domains().cloned().collect::<Vec<_>>();
    assert_eq!(domains(&link), ["test".parse().unwrap()]);
    link.pass(secs(30));
    assert_eq!(domains(&link), []);
    let server: IpAddr = "2001:db8::53".parse().unwrap();
    assert_eq!(link.stack.name_servers().collect::<Vec<_>>(), [server]);
    assert_eq!(link.stack.routers_recommend_dhcp(), (false, true));
    link.pass(secs(30));
    assert_eq!(link.stack.name_servers().count(), 0);
}

#[test]
fn rfc6724_the_destination_that_can_be_reached_best_comes_first() {
    let mut link = Link::with(|config| config.addresses = vec!["192.0.2.1/24".parse().unwrap()]);
    let sorted = |link: &Link| {
        let mut all = ["2001:db8:9::9", "192.0.2.9"].map(|text| text.parse::<IpAddr>().unwrap());
        link.stack.sort_destinations(&mut all);
        all.map(|ip| ip.is_ipv6())
    };
    link.pass(secs(3));
    assert_eq!(sorted(&link), [false, true], "no way leads there by IPv6");
    link.hear(&Word::new().prefix("2001:db8::", BOTH, 7200, 3600).frame());
    link.pass(secs(2));
    assert_eq!(sorted(&link), [true, false]);
}

#[test]
fn a_host_that_is_not_to_configure_itself_is_silent_and_deaf() {
    let mut stack = settled(host(1));
    let now = Instant::from_secs(1);
    stack.advance(now);
    assert!(stack.poll_transmit(now).is_none());
    let word = Word::new().prefix("2001:db8:7::", BOTH, 7200, 3600).frame();
    stack.receive(now, RxFrame::plain(&word));
    assert_eq!(stack.counters().drops.get(DropReason::NdpIgnored), 1);
    assert_eq!((stack.addresses().count(), stack.next_timeout()), (3, None));
}
