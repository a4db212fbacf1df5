use super::message::{igmp_query, mld_query, packet};
use super::*;
use crate::random::Seed;
use crate::wire::parse;

const V4: Address = Address::v4([239, 1, 2, 3]);
const V6: Address = Address::v6(0xff05 << 112 | 0x123);
const START: Instant = Instant::from_secs(100);

fn groups() -> Groups {
    Groups::new(4, Random::new(&Seed::from_number(1)))
}

/// What is said until `seconds` later, with the milliseconds at which it is.
fn said(groups: &mut Groups, from: Instant, seconds: u64) -> Vec<(u128, Report)> {
    let mut all = Vec::new();
    let mut now = from;
    loop {
        groups.advance(now);
        all.extend(
            std::iter::from_fn(|| groups.poll_report()).map(|it| ((now - from).as_millis(), it)),
        );
        match groups.next_timeout() {
            Some(next) if next <= from + Duration::from_secs(seconds) => now = next,
            _ => return all,
        }
    }
}

fn query(version: Version, group: Option<Address>, millis: u64) -> Query {
    Query { version, group, within: Duration::from_millis(millis) }
}

#[test]
fn rfc3376_5_1_a_change_is_told_twice() {
    let mut groups = groups();
    for group in [V4, V6] {
        groups.join(group).unwrap();
        groups.join(group).unwrap();
        let version = Version::Third;
        let told = said(&mut groups, START, 60);
        let joined = Report { group, saying: Saying::Joined, version };
        assert_eq!(told.iter().map(|it| it.1).collect::<Vec<_>>(), [joined; 2]);
        assert!(told[0].0 == 0 && told[1].0 <= 1_000, "{told:?}");
        groups.leave(group);
        assert!(groups.contains(group));
        assert_eq!(said(&mut groups, START, 60), [], "one is left");
        groups.leave(group);
        assert!(!groups.contains(group));
        let left = Report { group, saying: Saying::Left, version };
        assert_eq!(
            said(&mut groups, START, 60).iter().map(|it| it.1).collect::<Vec<_>>(),
            [left; 2]
        );
    }
    assert!(groups.groups.is_empty() && groups.next_timeout().is_none());
}

#[test]
fn rfc3376_5_2_queries_are_answered_in_time() {
    let mut groups = groups();
    groups.join(V4).unwrap();
    groups.join(V6).unwrap();
    said(&mut groups, START, 60);
    let now = START + Duration::from_secs(60);
    for (from_v4, group, names) in [
        (true, None, Some(V4)),
        (true, Some(V4), Some(V4)),
        (true, Some(Address::v4([239, 9, 9, 9])), None),
        (false, None, Some(V6)),
    ] {
        groups.on_query(now, from_v4, query(Version::Third, group, 5_000));
        groups.on_query(now, from_v4, query(Version::Third, group, 8_000));
        let told = said(&mut groups, now, 60);
        let named: Vec<_> = told.iter().map(|it| it.1.group).collect();
        assert_eq!(named, names.into_iter().collect::<Vec<_>>(), "one answer to both");
        assert!(told.iter().all(|it| it.0 <= 5_000 && it.1.saying == Saying::IsMember));
    }
}

/// Of 100,000 queries in ten seconds, which leave no time for an answer.
#[test]
fn n9_a_storm_of_queries_is_answered_at_a_walk() {
    let mut groups = groups();
    groups.join(V4).unwrap();
    said(&mut groups, START, 60);
    let mut answers = 0;
    for step in 0..100_000 {
        let now = START + Duration::from_secs(60) + Duration::from_micros(100) * step;
        groups.on_query(now, true, query(Version::Third, None, 0));
        groups.advance(now);
        answers += std::iter::from_fn(|| groups.poll_report()).count();
    }
    assert_eq!(answers, 20);
}

#[test]
fn law6_there_are_so_many_groups_and_no_more() {
    let mut groups = groups();
    let name = |last| Address::v4([239, 0, 0, last]);
    for last in 0..4 {
        groups.join(name(last)).unwrap();
    }
    assert_eq!(groups.join(name(9)), Err(GroupError::TooManyGroups));
    groups.join(name(3)).unwrap();
    // Nobody takes the reports: they do not heap up.
    for _ in 0..100 {
        groups.leave(name(0));
        groups.advance(START);
        groups.join(name(0)).unwrap();
        groups.advance(START);
    }
    assert_eq!(groups.reports.len(), 8);
    said(&mut groups, START, 60);
    groups.leave(name(0));
    said(&mut groups, START, 60);
    groups.join(name(9)).unwrap();
}

#[test]
fn rfc3376_7_an_older_querier_is_answered_in_its_version() {
    let mut groups = groups();
    groups.on_query(START, true, query(Version::Second, None, 100));
    groups.on_query(START, true, query(Version::First, None, 100));
    groups.on_query(START, false, query(Version::Second, None, 100));
    let mut version = |after, group| {
        let now = START + Duration::from_secs(after);
        groups.join(group).unwrap();
        groups.advance(now);
        groups.leave(group);
        said(&mut groups, now, 2).last().unwrap().1.version
    };
    assert_eq!([version(1, V4), version(1, V6)], [Version::First, Version::Second]);
    assert_eq!([version(261, V4), version(261, V6)], [Version::Third; 2]);
}

/// The bytes, as the RFCs draw them, and the checksums right.
#[test]
fn reports_are_what_the_rfcs_say() {
    let (own, link) = (Address::v4([192, 0, 2, 1]), Address::v6(0xfe80 << 112 | 1));
    let v4_name = &[239, 1, 2, 3][..];
    let v6_name = &V6.octets()[..];
    let [ff02_16, ff02_2] = [0x16, 2].map(|last| Address::v6(0xff02 << 112 | last));
    let [igmp, routers] = [22, 2].map(|last| Address::v4([224, 0, 0, last]));
    use {Saying::*, Version::*};
    for (group, saying, version, to, head) in [
        (V4, Joined, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 4, 0, 0, 0][..]),
        (V4, Left, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 3, 0, 0, 0]),
        (V4, IsMember, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 2, 0, 0, 0]),
        (V4, Joined, Second, V4, &[0x16, 0]),
        (V4, Left, Second, routers, &[0x17, 0]),
        (V4, IsMember, First, V4, &[0x12, 0]),
        (V6, Joined, Third, ff02_16, &[143, 0, 0, 0, 0, 1, 4, 0, 0, 0]),
        (V6, Joined, Second, V6, &[131, 0, 0, 0, 0, 0]),
        (V6, Left, Second, ff02_2, &[132, 0, 0, 0, 0, 0]),
    ] {
        let source = if group.is_v4() { own } else { link };
        let (there, bytes) = packet(&Report { group, saying, version }, source).unwrap();
        assert_eq!(there, to);
        let message = if group.is_v4() {
            let ip = parse::ipv4(&bytes).unwrap();
            assert_eq!((ip.source, ip.destination, ip.ttl, ip.protocol), (own, to, 1, 2));
            assert_eq!(ip.header[20..], [0x94, 4, 0, 0]);
            assert!(crate::wire::checksum::is_valid(ip.payload));
            ip.payload.to_vec()
        } else {
            let ip = parse::ipv6(&bytes).unwrap();
            let ip = crate::wire::extensions::skip(&ip).unwrap();
            assert_eq!((ip.source, ip.destination, ip.ttl, ip.protocol), (link, to, 1, 58));
            assert!(parse::icmpv6_checksum_ok(&ip));
            ip.payload.to_vec()
        };
        let name = if group.is_v4() { v4_name } else { v6_name };
        let text = [&message[..2], &message[4..message.len() - name.len()]].concat();
        assert_eq!((&text[..], &message[message.len() - name.len()..]), (head, name));
    }
    let gone = Report { group: V4, saying: Left, version: First };
    assert_eq!(packet(&gone, own), None, "the first version knows no leaving");
}

#[test]
fn queries_are_read_with_their_times() {
    let igmp = |ttl: u8, code: u8, group: [u8; 4], tail: &[u8]| {
        let mut message = [&[0x11, code, 0, 0], &group[..], tail].concat();
        let sum = crate::wire::checksum::checksum(&message);
        message[2..4].copy_from_slice(&sum);
        let length = 20 + message.len() as u8;
        let mut ip = vec![0x45, 0, 0, length, 0, 0, 0, 0, ttl, 2, 0, 0, 192, 0, 2, 9, 224, 0, 0, 1];
        let sum = crate::wire::checksum::checksum(&ip);
        ip[10..12].copy_from_slice(&sum);
        ip.extend(message);
        igmp_query(&parse::ipv4(&ip).unwrap())
    };
    let any = [0; 4];
    assert_eq!(igmp(1, 0, any, &[]), Some(query(Version::First, None, 10_000)));
    assert_eq!(igmp(1, 100, any, &[]), Some(query(Version::Second, None, 10_000)));
    assert_eq!(igmp(1, 10, [239, 1, 2, 3], &[0; 4]), Some(query(Version::Third, Some(V4), 1_000)));
    assert_eq!(igmp(1, 0x80, any, &[0; 4]), Some(query(Version::Third, None, 12_800)));
    assert_eq!(igmp(1, 0xff, any, &[0; 4]), Some(query(Version::Third, None, 3_174_400)));
    assert_eq!(igmp(2, 100, any, &[]), None, "from beyond the link");
    assert_eq!(igmp(1, 100, any, &[0; 2]), None, "neither version's length");
    let mld = |source: u128, code: u16, group: Address, tail: &[u8]| {
        let [high, low] = code.to_be_bytes();
        let head = [130, 0, 0, 0, high, low, 0, 0];
        let payload = [&head[..], group.octets(), tail].concat();
        let [header, extensions] = [&[][..]; 2];
        mld_query(&parse::IpPacket {
            source: Address::v6(source),
            destination: Address::ALL_NODES,
            protocol: 58,
            ttl: 1,
            ecn: crate::wire::ecn::Codepoint::NotEct,
            fragment: None,
            header,
            extensions,
            payload: &payload,
        })
    };
    let link = 0xfe80 << 112 | 9;
    let any = Address::UNSPECIFIED_V6;
    assert_eq!(mld(link, 500, any, &[]), Some(query(Version::Second, None, 500)));
    assert_eq!(mld(link, 500, V6, &[0; 4]), Some(query(Version::Third, Some(V6), 500)));
    assert_eq!(mld(link, 0x8000, any, &[0; 4]), Some(query(Version::Third, None, 32_768)));
    assert_eq!(mld(0x2001_0db8 << 96 | 9, 500, any, &[]), None, "not from this link");
}
