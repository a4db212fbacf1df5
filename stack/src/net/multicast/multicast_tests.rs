use super::message::{igmp_query, mld_query, packet};
use super::*;
use crate::random::Seed;
use crate::wire::parse;

const V4: Address = Address::v4([239, 1, 2, 3]);
const V6: Address = Address::v6(0xff05 << 112 | 0x123);
const START: Instant = Instant::from_secs(100);

fn groups() -> Groups {
    Groups::new(4, 12, Random::new(&Seed::from_number(1)))
}

impl Groups {
    /// A socket joins for all sources.
    fn join(&mut self, group: Address) -> Result<(), GroupError> {
        self.change(group, None, Some(&Filter::ALL))
    }

    /// Such a one leaves.
    fn leave(&mut self, group: Address) {
        self.change(group, Some(&Filter::ALL), None).unwrap();
    }
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
    Query { version, group, sources: BTreeSet::new(), within: Duration::from_millis(millis) }
}

#[test]
fn rfc3376_5_1_a_change_is_told_twice() {
    let mut groups = groups();
    for group in [V4, V6] {
        groups.join(group).unwrap();
        groups.join(group).unwrap();
        let version = Version::Third;
        let told = said(&mut groups, START, 60);
        let sources = Vec::new();
        let joined = Report { group, saying: Saying::ToExclude, sources, version };
        assert_eq!(told.iter().map(|it| &it.1).collect::<Vec<_>>(), [&joined; 2]);
        assert!(told[0].0 == 0 && told[1].0 <= 1_000, "{told:?}");
        groups.leave(group);
        assert!(groups.contains(group));
        assert_eq!(said(&mut groups, START, 60), [], "one is left");
        groups.leave(group);
        assert!(!groups.contains(group));
        let left = Report { saying: Saying::ToInclude, ..joined };
        let told = said(&mut groups, START, 60);
        assert_eq!(told.iter().map(|it| &it.1).collect::<Vec<_>>(), [&left; 2]);
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
        groups.on_query(now, from_v4, &query(Version::Third, group, 5_000));
        groups.on_query(now, from_v4, &query(Version::Third, group, 8_000));
        let told = said(&mut groups, now, 60);
        let named: Vec<_> = told.iter().map(|it| it.1.group).collect();
        assert_eq!(named, names.into_iter().collect::<Vec<_>>(), "one answer to both");
        assert!(told.iter().all(|it| it.0 <= 5_000 && it.1.saying == Saying::IsExclude));
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
        groups.on_query(now, true, &query(Version::Third, None, 0));
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
    groups.on_query(START, true, &query(Version::Second, None, 100));
    groups.on_query(START, true, &query(Version::First, None, 100));
    groups.on_query(START, false, &query(Version::Second, None, 100));
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
    let v4_source = Address::v4([198, 51, 100, 7]);
    let v6_source = Address::v6(0x2001_0db8 << 96 | 7);
    let [ff02_16, ff02_2] = [0x16, 2].map(|last| Address::v6(0xff02 << 112 | last));
    let [igmp, routers] = [22, 2].map(|last| Address::v4([224, 0, 0, last]));
    use {Saying::*, Version::*};
    for (group, saying, sources, version, to, head) in [
        (V4, ToExclude, 0, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 4, 0, 0, 0][..]),
        (V4, ToInclude, 0, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 3, 0, 0, 0]),
        (V4, IsExclude, 0, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 2, 0, 0, 0]),
        (V4, IsInclude, 1, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 1, 0, 0, 1]),
        (V4, Allow, 2, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 5, 0, 0, 2]),
        (V4, Block, 1, Third, igmp, &[0x22, 0, 0, 0, 0, 1, 6, 0, 0, 1]),
        (V4, ToExclude, 0, Second, V4, &[0x16, 0]),
        (V4, ToInclude, 0, Second, routers, &[0x17, 0]),
        (V4, IsInclude, 0, First, V4, &[0x12, 0]),
        (V6, ToExclude, 0, Third, ff02_16, &[143, 0, 0, 0, 0, 1, 4, 0, 0, 0]),
        (V6, Allow, 2, Third, ff02_16, &[143, 0, 0, 0, 0, 1, 5, 0, 0, 2]),
        (V6, ToExclude, 0, Second, V6, &[131, 0, 0, 0, 0, 0]),
        (V6, ToInclude, 0, Second, ff02_2, &[132, 0, 0, 0, 0, 0]),
    ] {
        let source = if group.is_v4() { own } else { link };
        let named = vec![if group.is_v4() { v4_source } else { v6_source }; sources];
        let name = |it: &Address| it.as_v4().map_or(it.octets().to_vec(), |it| it.to_vec());
        let names: Vec<u8> = [group].iter().chain(&named).flat_map(name).collect();
        let report = Report { group, saying, sources: named, version };
        let (there, bytes) = packet(&report, source).unwrap();
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
        let (text, tail) = message.split_at(message.len() - names.len());
        assert_eq!(([&text[..2], &text[4..]].concat(), tail), (head.to_vec(), &names[..]));
    }
    let gone = Report { group: V4, saying: ToInclude, sources: vec![], version: First };
    assert_eq!(packet(&gone, own), None, "the first version knows no leaving");
}

/// Hop-by-hop options with Router Alert for MLD, in front of ICMPv6 (RFC 2711 §2.1).
const ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];
const FE80_9: u128 = 0xfe80 << 112 | 9;

/// A query from such a source, with such a hop limit, behind these extension headers.
fn mld(
    (source, hops): (u128, u8),
    extensions: &[u8],
    code: u16,
    (group, tail): (Address, &[u8]),
) -> Option<Query> {
    let [high, low] = code.to_be_bytes();
    let query = [&[130, 0, 0, 0, high, low, 0, 0][..], group.octets(), tail].concat();
    let first = if extensions.is_empty() { 58 } else { 0 };
    let payload = [extensions, &query].concat();
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let head = [0x60, 0, 0, 0, high, low, first, hops];
    let source = Address::v6(source);
    let ip = [&head[..], source.octets(), Address::ALL_NODES.octets(), &payload].concat();
    let whole = parse::ipv6(&ip).unwrap();
    mld_query(&crate::wire::extensions::skip(&whole).unwrap())
}

/// A querier is on this link, and says so in three ways: Linux, too, wants all of them, and the
/// value of the option to be MLD's.
#[test]
fn rfc3810_6_2_a_query_is_from_this_link_and_alerts_routers() {
    let group = Address::UNSPECIFIED_V6;
    for (tail, version) in [(&[][..], Version::Second), (&[2, 125, 0, 0], Version::Third)] {
        let query = |from, extensions: &[u8]| mld(from, extensions, 500, (group, tail));
        let good = Some(self::query(version, None, 500));
        assert_eq!(query((FE80_9, 1), &ALERT), good);
        let padded = [58, 1, 0, 1, 0, 5, 2, 0, 0, 1, 4, 0, 0, 0, 0, 0];
        assert_eq!(query((FE80_9, 1), &padded), good, "behind padding");
        for from in [(FE80_9, 2), (FE80_9, 255), (0x2001_0db8 << 96 | 9, 1)] {
            assert_eq!(query(from, &ALERT), None, "{from:?}");
        }
        for wrong in [
            &[][..],
            &[58, 0, 1, 4, 0, 0, 0, 0],
            &[58, 0, 5, 2, 0, 1, 1, 0],
            &[58, 0, 5, 3, 0, 0, 0, 0],
            &[58, 0, 5, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(query((FE80_9, 1), wrong), None, "{wrong:?}");
        }
        // Options for the destination are no place for it.
        let elsewhere = [&[60, 0, 1, 4, 0, 0, 0, 0][..], &ALERT].concat();
        assert_eq!(query((FE80_9, 1), &elsewhere), None);
    }
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
    let [one, other] = [[198, 51, 100, 1], [198, 51, 100, 2]];
    let asked = |sources: &[[u8; 4]]| {
        let sources = sources.iter().map(|it| Address::v4(*it)).collect();
        Some(Query { sources, ..query(Version::Third, Some(V4), 1_000) })
    };
    let list = [&[0, 0, 0, 2][..], &other, &one].concat();
    assert_eq!(igmp(1, 10, [239, 1, 2, 3], &list), asked(&[one, other]));
    assert_eq!(igmp(1, 10, any, &list), Some(query(Version::Third, None, 1_000)));
    // More than are counted, and less.
    let list = [&[0, 0, 0, 1][..], &other, &one].concat();
    assert_eq!(igmp(1, 10, [239, 1, 2, 3], &list), asked(&[other]));
    let list = [&[0, 0, 0, 3][..], &other, &one].concat();
    assert_eq!(igmp(1, 10, [239, 1, 2, 3], &list), None);
    assert_eq!(igmp(2, 100, any, &[]), None, "from beyond the link");
    assert_eq!(igmp(1, 100, any, &[0; 2]), None, "neither version's length");
    let mld = |source, code, group, tail: &[u8]| mld((source, 1), &ALERT, code, (group, tail));
    let link = FE80_9;
    let any = Address::UNSPECIFIED_V6;
    assert_eq!(mld(link, 500, any, &[]), Some(query(Version::Second, None, 500)));
    assert_eq!(mld(link, 500, V6, &[0; 4]), Some(query(Version::Third, Some(V6), 500)));
    assert_eq!(mld(link, 0x8000, any, &[0; 4]), Some(query(Version::Third, None, 32_768)));
    let source = Address::v6(0x2001_0db8 << 96 | 7);
    let list = [&[0, 0, 0, 1][..], source.octets()].concat();
    let asked = Query { sources: [source].into(), ..query(Version::Third, Some(V6), 500) };
    assert_eq!(mld(link, 500, V6, &list), Some(asked));
    assert_eq!(mld(link, 500, V6, &list[..19]), None);
    assert_eq!(mld(0x2001_0db8 << 96 | 9, 500, any, &[]), None, "not from this link");
}

fn only(sources: &[Address]) -> Filter {
    Filter { mode: Mode::Include, sources: sources.to_vec() }
}

fn without(sources: &[Address]) -> Filter {
    Filter { mode: Mode::Exclude, sources: sources.to_vec() }
}

fn source(last: u8) -> Address {
    Address::v4([198, 51, 100, last])
}

/// What is said of the sources of V4 after a change, every report as often.
fn told(
    groups: &mut Groups,
    before: Option<&Filter>,
    after: Option<&Filter>,
) -> Vec<(Saying, Vec<Address>)> {
    groups.change(V4, before, after).unwrap();
    let told = said(groups, START, 60);
    let all: Vec<_> = told.into_iter().map(|(_, it)| (it.saying, it.sources)).collect();
    let half = all.len() / 2;
    assert_eq!(all[..half], all[half..], "told twice");
    all[..half].to_vec()
}

/// The table of RFC 3376 §5.1.
#[test]
fn rfc3376_5_1_changes_of_sources_are_told() {
    let [a, b, c] = [1, 2, 3].map(source);
    use Saying::*;
    let mut groups = groups();
    let mut before: Option<Filter> = None;
    for (after, expected) in [
        (Some(only(&[a, b])), vec![(Allow, vec![a, b])]),
        (Some(only(&[b, c])), vec![(Allow, vec![c]), (Block, vec![a])]),
        (Some(without(&[a])), vec![(ToExclude, vec![a])]),
        (Some(without(&[a, b])), vec![(Block, vec![b])]),
        (Some(without(&[c])), vec![(Allow, vec![a, b]), (Block, vec![c])]),
        (Some(only(&[b, c])), vec![(ToInclude, vec![b, c])]),
        (None, vec![(Block, vec![b, c])]),
        (Some(without(&[])), vec![(ToExclude, vec![])]),
        (None, vec![(ToInclude, vec![])]),
    ] {
        assert_eq!(told(&mut groups, before.as_ref(), after.as_ref()), expected, "{after:?}");
        before = after;
    }
    assert!(groups.groups.is_empty() && groups.sources == 0 && groups.next_timeout().is_none());
}

/// RFC 3376 §3.2, with its examples.
#[test]
fn rfc3376_3_2_sockets_together() {
    let [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6].map(source);
    for (filters, mode, named, heard) in [
        (
            vec![without(&[a, b, c, d]), without(&[b, c, d, e]), only(&[d, e, f])],
            Mode::Exclude,
            vec![b, c],
            vec![a, d, e, f],
        ),
        (
            vec![only(&[a, b, c]), only(&[b, c, d]), only(&[e, f])],
            Mode::Include,
            vec![a, b, c, d, e, f],
            vec![a, b, c, d, e, f],
        ),
        (vec![only(&[a, b]), without(&[a])], Mode::Exclude, vec![], vec![a, b, c, d, e, f]),
        (vec![only(&[c])], Mode::Include, vec![c], vec![c]),
    ] {
        let mut reception = Reception::default();
        for filter in &filters {
            reception.change(None, Some(filter));
        }
        assert_eq!(reception.state(), (mode, named.into_iter().collect()), "{filters:?}");
        let admitted = [a, b, c, d, e, f].into_iter().filter(|it| reception.admits(*it));
        assert_eq!(admitted.collect::<Vec<_>>(), heard, "{filters:?}");
        for filter in &filters {
            reception.change(Some(filter), None);
        }
        assert!(!reception.is_any() && reception.named() == 0);
    }
}

/// What changes while a change is still being told goes with it.
#[test]
fn rfc3376_5_1_changes_upon_changes() {
    let [a, b] = [1, 2].map(source);
    let mut groups = groups();
    let mut change = |before: Option<Filter>, after: Option<Filter>| {
        groups.change(V4, before.as_ref(), after.as_ref()).unwrap();
        groups.advance(START);
        std::iter::from_fn(|| groups.poll_report())
            .map(|it| (it.saying, it.sources))
            .collect::<Vec<_>>()
    };
    use Saying::*;
    assert_eq!(change(None, Some(only(&[a]))), [(Allow, vec![a])]);
    // The second report of a is the first of b.
    assert_eq!(change(Some(only(&[a])), Some(only(&[a, b]))), [(Allow, vec![a, b])]);
    assert_eq!(change(Some(only(&[a, b])), Some(only(&[b]))), [(Allow, vec![b]), (Block, vec![a])]);
    assert_eq!(change(Some(only(&[b])), Some(without(&[]))), [(ToExclude, vec![])]);
    assert_eq!(change(Some(without(&[])), Some(without(&[a]))), [(ToExclude, vec![a])]);
    let rest: Vec<_> =
        said(&mut groups, START, 60).into_iter().map(|it| (it.1.saying, it.1.sources)).collect();
    assert_eq!(rest, [(ToExclude, vec![a])]);
}

#[test]
fn rfc3376_5_2_queries_about_sources() {
    let [a, b, c] = [1, 2, 3].map(source);
    use Saying::*;
    let now = START + Duration::from_secs(60);
    for (filter, asked, expected) in [
        (only(&[a, b]), vec![], Some((IsInclude, vec![a, b]))),
        (only(&[a, b]), vec![b, c], Some((IsInclude, vec![b]))),
        (only(&[a, b]), vec![c], None),
        (without(&[a, b]), vec![], Some((IsExclude, vec![a, b]))),
        (without(&[a, b]), vec![b, c], Some((IsInclude, vec![c]))),
        (without(&[a, b]), vec![a, b], None),
    ] {
        let mut groups = groups();
        groups.change(V4, None, Some(&filter)).unwrap();
        said(&mut groups, START, 60);
        let ask = |sources: &[Address]| Query {
            sources: sources.iter().copied().collect(),
            ..query(Version::Third, Some(V4), 500)
        };
        groups.on_query(now, true, &ask(&asked));
        let answers = |groups: &mut Groups, now| -> Vec<_> {
            said(groups, now, 60).into_iter().map(|it| (it.1.saying, it.1.sources)).collect()
        };
        assert_eq!(answers(&mut groups, now), Vec::from_iter(expected), "{filter:?} {asked:?}");
        // Two questions have one answer; one about all covers it; so does one about very many.
        let now = now + Duration::from_secs(60);
        let all = answers_to(&mut groups, now, &[ask(&[a]), ask(&[c])]);
        assert_eq!(all, [(IsInclude, vec![if filter.mode == Mode::Include { a } else { c }])]);
        let whole = if filter.mode == Mode::Include { IsInclude } else { IsExclude };
        let many: Vec<Address> = (0..=REPORT_SOURCES as u8).map(source).collect();
        for (step, questions) in
            [[ask(&[a]), ask(&[])], [ask(&[]), ask(&[a])], [ask(&[a]), ask(&many)]]
                .into_iter()
                .enumerate()
        {
            let now = now + Duration::from_secs(60) * (step as u32 + 1);
            assert_eq!(answers_to(&mut groups, now, &questions), [(whole, vec![a, b])]);
        }
    }
}

fn answers_to(
    groups: &mut Groups,
    now: Instant,
    questions: &[Query],
) -> Vec<(Saying, Vec<Address>)> {
    for question in questions {
        groups.on_query(now, true, question);
    }
    said(groups, now, 30).into_iter().map(|it| (it.1.saying, it.1.sources)).collect()
}

#[test]
fn rfc3376_7_older_queriers_are_told_of_groups_only() {
    let [a, b] = [1, 2].map(source);
    let mut groups = groups();
    groups.on_query(START, true, &query(Version::Second, None, 100));
    let mut says = |before: Option<Filter>, after: Option<Filter>| {
        told(&mut groups, before.as_ref(), after.as_ref())
    };
    let (member, left) = ([(Saying::ToExclude, vec![])], [(Saying::ToInclude, vec![])]);
    assert_eq!(says(None, Some(only(&[a]))), member);
    assert_eq!(says(Some(only(&[a])), Some(only(&[b]))), member);
    assert_eq!(says(Some(only(&[b])), None), left);
    assert_eq!(says(None, Some(without(&[a]))), member);
    assert_eq!(says(Some(without(&[a])), Some(only(&[b]))), member);
}

#[test]
fn law6_there_are_so_many_sources_and_no_more() {
    let mut groups = groups();
    let sources: Vec<Address> = (0..13).map(source).collect();
    let other = Address::v4([239, 9, 9, 9]);
    groups.change(V4, None, Some(&only(&sources[..10]))).unwrap();
    groups.change(V4, None, Some(&without(&sources[..11]))).unwrap();
    let refused = Err(GroupError::TooManySources);
    assert_eq!(groups.change(other, None, Some(&only(&sources[..2]))), refused);
    assert!(!groups.contains(other), "nothing was changed");
    groups.change(other, None, Some(&only(&sources[..1]))).unwrap();
    assert_eq!(groups.change(V4, None, Some(&only(&sources[11..]))), refused);
    // Fewer are never refused, and then there is room.
    groups.change(V4, Some(&without(&sources[..11])), None).unwrap();
    groups.change(V4, None, Some(&only(&sources[11..12]))).unwrap();
    assert_eq!(groups.sources, 12);
}

/// A list of any length is told in messages that fit, or as much of it as does; and what changes
/// all the time is told as a whole.
#[test]
fn rfc3376_4_2_16_long_lists() {
    let many: Vec<Address> = (0..100).map(source).collect();
    let mut groups = Groups::new(4, 1000, Random::new(&Seed::from_number(1)));
    let lengths = |told: Vec<(Saying, Vec<Address>)>| -> Vec<_> {
        told.into_iter().map(|it| (it.0, it.1.len())).collect()
    };
    use Saying::*;
    let (only, without) = (only(&many), without(&many));
    // So many at once are told with all.
    assert_eq!(lengths(told(&mut groups, None, Some(&only))), [(ToInclude, 64), (ToInclude, 36)]);
    assert_eq!(lengths(told(&mut groups, Some(&only), Some(&without))), [(ToExclude, 64)]);
    let report = Report {
        group: V6,
        saying: Allow,
        sources: vec![V6; REPORT_SOURCES],
        version: Version::Third,
    };
    assert!(packet(&report, Address::v6(1)).unwrap().1.len() <= 1280);
    let report = Report { group: V4, sources: vec![V4; REPORT_SOURCES], ..report };
    assert!(packet(&report, source(1)).unwrap().1.len() <= 576);
}

/// The groups of Neighbor Discovery are told of like those of sockets, from their time on, and one
/// that both want once.
#[test]
fn rfc3810_6_groups_of_addresses_are_told_of_too() {
    let mut groups = groups();
    let node = |last| Address::v6(0xff02_0000_0000_0000_0000_0001_ff00_0000 | last);
    let own = |lasts: &[u128], millis| {
        let at = START + Duration::from_millis(millis);
        BTreeMap::from_iter(lasts.iter().map(|last| (node(*last), at)))
    };
    let told = |groups: &mut Groups, from| {
        let all = said(groups, from, 60);
        all.into_iter().map(|it| (it.1.group, it.1.saying, it.0)).collect::<Vec<_>>()
    };
    groups.follow(&own(&[1, 2], 300));
    groups.follow(&own(&[1, 2], 900));
    let all = told(&mut groups, START);
    let of = |last| all.iter().filter(move |it| (it.0, it.1) == (node(last), Saying::ToExclude));
    assert!([1, 2].iter().all(|last| of(*last).count() == 2) && all.len() == 4, "{all:?}");
    assert!(of(1).all(|it| (300..=1300).contains(&it.2)) && of(1).next().unwrap().2 == 300);
    groups.join(node(1)).unwrap();
    let later = START + Duration::from_secs(60);
    groups.follow(&own(&[3], 0));
    let all = told(&mut groups, later);
    let mut news: Vec<_> = all.iter().map(|it| (it.0, it.1)).collect();
    news.sort_by_key(|it| it.0);
    let (left, joined) = ((node(2), Saying::ToInclude), (node(3), Saying::ToExclude));
    assert_eq!(news, [left, left, joined, joined], "a socket is in the first");
    // Sockets have their limit for themselves, and who changes addresses fast leaves nothing.
    for last in 0..3 {
        groups.join(Address::v4([239, 0, 0, last])).unwrap();
    }
    assert_eq!(groups.join(V4), Err(GroupError::TooManyGroups));
    for last in 0..100 {
        groups.follow(&own(&[last, last + 100], 0));
        groups.advance(later);
        assert!(groups.groups.len() <= 12);
    }
    groups.follow(&BTreeMap::new());
    said(&mut groups, later, 60);
    assert_eq!(groups.groups.len(), 4);
}

/// RFC 3590 §4: routers do not listen to who has no address.
#[test]
fn rfc3590_4_all_is_told_again_when_there_is_an_address() {
    let mut groups = groups();
    groups.join(V6).unwrap();
    groups.join(V4).unwrap();
    said(&mut groups, START, 60);
    for (is_known, expected) in [(false, 0), (true, 2), (true, 0), (false, 0), (true, 2)] {
        groups.set_known(is_known);
        let told = said(&mut groups, START + Duration::from_secs(60), 60);
        assert_eq!(told.len(), expected);
        assert!(told.iter().all(|it| (it.1.group, it.1.saying) == (V6, Saying::ToExclude)));
    }
    // What is still to be said is not said more often.
    groups.set_known(false);
    groups.leave(V6);
    groups.join(V6).unwrap();
    groups.set_known(true);
    assert_eq!(said(&mut groups, START, 60).len(), 2);
}
