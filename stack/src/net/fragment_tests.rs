use super::*;
use proptest::prelude::*;

const DST: Address = Address::v4([192, 0, 2, 2]);
const HEADER: [u8; 20] = [0x45; 20];
const HEAD: Head<'static> = head(&HEADER);

const fn head(bytes: &[u8]) -> Head<'_> {
    Head { bytes, protocol: 17, link_group: false }
}

fn source(n: u32) -> Address {
    let [a, b, c, d] = (0x0a00_0000 + n).to_be_bytes();
    Address::v4([a, b, c, d])
}

fn key(src: u32, id: u32) -> FragmentKey {
    FragmentKey { src: source(src), dst: DST, id, protocol: Some(17) }
}

fn table() -> Reassembler {
    Reassembler::new(FragmentLimits::default())
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn put(table: &mut Reassembler, offset: u32, more: bool, payload: &[u8]) -> Insert {
    table.insert(at(0), key(1, 1), offset, more, HEAD, payload)
}

fn complete(payload: Vec<u8>) -> Insert {
    whole(&HEADER, payload, Codepoint::of_header(&HEADER))
}

fn whole(header: &[u8], payload: Vec<u8>, ecn: Codepoint) -> Insert {
    let (header, protocol, link_group) = (header.to_vec(), 17, false);
    Insert::Complete(Whole { header, protocol, payload, ecn, link_group })
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Sends a payload cut for `mtu` in the order that `shuffle` makes of the pieces.
fn round_trip(payload: &[u8], mtu: usize, shuffle: impl FnOnce(&mut Vec<Piece>)) {
    let mut table = table();
    let mut pieces: Vec<Piece> = fragments(payload.len(), mtu, 20).collect();
    shuffle(&mut pieces);
    let mut done = None;
    for (n, piece) in pieces.iter().enumerate() {
        assert!(piece.len + 20 <= mtu);
        let bytes = &payload[piece.offset..piece.offset + piece.len];
        match table.insert(at(n as u64), key(1, 1), piece.offset as u32, piece.more, HEAD, bytes) {
            Insert::Held => assert!(done.is_none()),
            Insert::Complete(Whole { payload: whole, .. }) => {
                assert!(done.replace(whole).is_none());
                break;
            }
            Insert::Dropped(reason) => assert_eq!(reason, FragmentDrop::Duplicate),
        }
    }
    assert!(done.as_deref() == Some(payload), "{} bytes at {mtu}", payload.len());
    assert_eq!((table.bytes(), table.len(), table.next_timeout()), (0, 0, None));
    assert!(table.shares.is_empty() && table.by_weight.is_empty() && table.by_activity.is_empty());
}

#[test]
fn f1_every_mtu_every_order() {
    for mtu in [68, 576, 1280, 1281, 1499, 1500, 9000] {
        for len in [0, 1, 7, 8, 9, 48, 49, 1480, 1481, 2960, 2961, 30_000, 65_507, 65_515] {
            let payload = pattern(len);
            round_trip(&payload, mtu, |_| {});
            round_trip(&payload, mtu, |pieces| pieces.reverse());
            round_trip(&payload, mtu, |pieces| {
                pieces.sort_by_key(|piece| (piece.offset / 8).wrapping_mul(40_503) % 8_191);
            });
            round_trip(&payload, mtu, |pieces| {
                let doubled = pieces.iter().flat_map(|piece| [*piece, *piece]).collect();
                *pieces = doubled;
            });
        }
    }
}

#[test]
fn fragments_cover_the_payload_and_end_for_any_mtu() {
    let pieces: Vec<Piece> = fragments(3_000, 1_500, 20).collect();
    let piece = |offset, len, more| Piece { offset, len, more };
    assert_eq!(pieces, [piece(0, 1480, true), piece(1480, 1480, true), piece(2960, 40, false)]);
    assert_eq!(fragments(0, 1_500, 20).collect::<Vec<_>>(), [piece(0, 0, false)]);
    for mtu in 0..40 {
        let sum: usize = fragments(100, mtu, 20).map(|piece| piece.len).sum();
        assert_eq!(sum, 100, "{mtu}");
    }
}

#[test]
fn f2_teardrop_and_every_other_overlap_drops_the_datagram() {
    let other = [9; 64];
    let whole = pattern(64);
    // Held are 16..32 and the last 48..64; each of these contradicts one of them.
    let bad: [(u32, bool, &[u8], &str); 8] = [
        (24, true, &whole[24..40], "begins within"),
        (8, true, &whole[8..24], "ends within"),
        (16, true, &whole[16..24], "a part of one"),
        (8, true, &whole[8..40], "contains one"),
        (16, true, &other[16..32], "other bytes"),
        (16, false, &whole[16..32], "a second last, before"),
        (48, true, &whole[48..64], "the last is not the last"),
        (64, true, &whole[0..8], "behind the last"),
    ];
    for (offset, more, payload, what) in bad {
        let mut table = table();
        assert_eq!(put(&mut table, 16, true, &whole[16..32]), Insert::Held);
        assert_eq!(put(&mut table, 48, false, &whole[48..]), Insert::Held);
        assert_eq!(
            put(&mut table, offset, more, payload),
            Insert::Dropped(FragmentDrop::Overlap),
            "{what}"
        );
        // Not even a complete and flawless set revives it before its timeout.
        for start in (0..64).step_by(16) {
            assert_eq!(
                put(&mut table, start, start < 48, &whole[start as usize..start as usize + 16]),
                Insert::Dropped(FragmentDrop::Poisoned),
                "{what}"
            );
        }
        assert_eq!(table.bytes(), OVERHEAD);
        table.advance(at(30_000));
        let expired = table.poll_expired().unwrap();
        assert_eq!((expired.first().is_none(), table.bytes()), (true, 0));
    }
}

#[test]
fn f2_an_exact_duplicate_is_ignored_the_last_one_too() {
    let whole = pattern(40);
    let mut table = table();
    for _ in 0..3 {
        put(&mut table, 32, false, &whole[32..]);
        put(&mut table, 0, true, &whole[..16]);
    }
    let dup = Insert::Dropped(FragmentDrop::Duplicate);
    assert_eq!(put(&mut table, 0, true, &whole[..16]), dup);
    assert_eq!(put(&mut table, 32, false, &whole[32..]), dup);
    assert_eq!(put(&mut table, 16, true, &whole[16..32]), complete(whole.clone()));
}

#[test]
fn f2_two_fragments_in_one_are_no_duplicate() {
    let mut table = table();
    assert_eq!(put(&mut table, 0, true, &[1; 8]), Insert::Held);
    assert_eq!(put(&mut table, 8, true, &[1; 8]), Insert::Held);
    assert_eq!(put(&mut table, 0, true, &[1; 16]), Insert::Dropped(FragmentDrop::Overlap));
}

#[test]
fn f2_a_last_fragment_before_the_end_of_another_is_an_overlap() {
    let mut table = table();
    assert_eq!(put(&mut table, 64, true, &[1; 64]), Insert::Held);
    assert_eq!(put(&mut table, 32, false, &[1; 8]), Insert::Dropped(FragmentDrop::Overlap));
}

#[test]
fn f3_ping_of_death() {
    let mut table = table();
    assert_eq!(put(&mut table, 0, true, &[1; 1480]), Insert::Held);
    for (offset, len) in [(65_528, 8), (65_528, 1_480), (65_512, 4), (65_520, 1)] {
        let got = put(&mut table, offset, false, &vec![1; len]);
        assert!(
            matches!(got, Insert::Dropped(FragmentDrop::TooLong | FragmentDrop::Poisoned)),
            "{offset}: {got:?}"
        );
    }
    assert_eq!(table.bytes(), OVERHEAD, "nothing is kept of it");
}

#[test]
fn bad_lengths_are_dropped_and_harm_nobody() {
    let mut table = table();
    let bad = Insert::Dropped(FragmentDrop::BadLength);
    assert_eq!(put(&mut table, 0, true, &[1; 8]), Insert::Held);
    assert_eq!(put(&mut table, 8, true, &[1; 9]), bad);
    assert_eq!(put(&mut table, 8, true, &[]), bad);
    assert_eq!(put(&mut table, 8, false, &[]), bad);
    assert_eq!(put(&mut table, 9, false, &[1; 8]), bad);
    assert_eq!(put(&mut table, 8, false, &[1; 3]), complete(vec![1; 11]));
}

#[test]
fn f6_an_atomic_fragment_meets_no_other() {
    let mut table = table();
    assert_eq!(put(&mut table, 8, false, &[1; 8]), Insert::Held);
    assert_eq!(put(&mut table, 0, false, &[2; 5]), complete(vec![2; 5]));
    assert_eq!(put(&mut table, 0, true, &[1; 8]), complete(vec![1; 16]));
}

#[test]
fn f8_every_part_of_the_key_counts() {
    let mut table = table();
    let base = key(1, 1);
    assert_eq!(table.insert(at(0), base, 0, true, HEAD, &[1; 8]), Insert::Held);
    let others = [
        FragmentKey { src: source(2), ..base },
        FragmentKey { dst: source(2), ..base },
        FragmentKey { id: 2, ..base },
        FragmentKey { protocol: Some(1), ..base },
    ];
    for other in others {
        assert_eq!(table.insert(at(0), other, 8, false, HEAD, &[2; 8]), Insert::Held);
    }
    assert_eq!(table.len(), 5);
}

#[test]
fn rfc1122_3_3_2_the_first_fragment_is_reported_at_the_timeout() {
    let mut table = table();
    table.insert(at(0), key(1, 1), 0, true, HEAD, &pattern(16));
    table.insert(at(5), key(2, 1), 8, true, HEAD, &pattern(16));
    assert_eq!(table.next_timeout(), Some(at(30_000)));
    table.advance(at(29_999));
    assert_eq!(table.poll_expired(), None);
    table.advance(at(30_005));
    let first = table.poll_expired().unwrap();
    assert_eq!((first.src, first.dst), (source(1), DST));
    let (head, payload) = first.first().unwrap();
    assert_eq!((head.bytes, payload), (&HEADER[..], &pattern(16)[..]));
    let second = table.poll_expired().unwrap();
    assert_eq!((second.src, second.first().is_none()), (source(2), true));
    assert_eq!((table.poll_expired(), table.bytes(), table.len()), (None, 0, 0));
}

/// A chain of headers as long as IPv6 may have it counts, before and after the table is full.
#[test]
fn law6_kept_headers_are_paid_for() {
    let long = [0x60; 296];
    let mut table = table();
    assert_eq!(table.insert(at(0), key(1, 1), 8, true, head(&long), &[0; 8]), Insert::Held);
    let without = table.bytes();
    assert_eq!(table.insert(at(0), key(1, 1), 0, true, head(&long), &[0; 8]), Insert::Held);
    assert!(table.bytes() >= without + long.len());
    for n in 0..100_000 {
        table.insert(at(1), key(n % 5_000, n), 0, true, head(&long), &[0; 8]);
        if n % 1_000 != 0 {
            continue;
        }
        let held: usize = table.partials.values().map(|it| it.body.header_len() + 16).sum();
        assert!(held <= table.bytes() && table.bytes() <= 4 << 20, "{held} of {}", table.bytes());
    }
    assert!(table.evicted() > 0);
    table.advance(at(60_000));
    while table.poll_expired().is_some() {}
    assert_eq!((table.bytes(), table.len()), (0, 0));
}

#[test]
fn f4_one_source_is_held_to_its_share_and_loses_its_own_oldest() {
    let mut table = table();
    let victim = pattern(3_000);
    table.insert(at(0), key(9, 9), 0, true, HEAD, &victim[..1_480]);
    for id in 0..100_000 {
        table.insert(at(1), key(1, id), 65_400, true, HEAD, &[0; 8]);
        assert!(table.bytes() <= (256 << 10) + 4_096);
        assert!(table.len() <= 65);
    }
    assert!(table.evicted() > 99_000);
    for id in 100_000..100_100 {
        table.insert(at(1), key(1, id), 8, true, HEAD, &[0; 8]);
    }
    assert_eq!(table.len(), 65, "64 small ones and the victim's");
    assert_eq!(
        table.insert(at(2), key(9, 9), 1_480, false, HEAD, &victim[1_480..]),
        complete(victim)
    );
}

/// A flood of fragments that never complete, at 50,000 a second from `sources` addresses, beside
/// an honest sender of 20 KiB datagrams; returns how many of 200 arrive.
fn beside_a_flood(sources: u32, offset: u32) -> usize {
    let mut table = table();
    let honest = pattern(20_000);
    let pieces: Vec<Piece> = fragments(honest.len(), 1_500, 20).collect();
    let (mut noise, mut arrived) = (0u32, 0);
    for id in 0..200 {
        for (n, piece) in pieces.iter().enumerate() {
            // The fragments of one datagram come 1 ms apart: 50 of the flood's between them.
            for _ in 0..50 {
                noise = noise.wrapping_add(1);
                let key = key(noise.wrapping_mul(7_919) % sources, noise);
                table.insert(at(u64::from(noise / 50)), key, offset, true, HEAD, &[0; 8]);
                assert!(table.bytes() <= 4 << 20);
            }
            let bytes = &honest[piece.offset..piece.offset + piece.len];
            let key = FragmentKey { src: DST, ..key(0, id) };
            let now = at(u64::from(noise / 50) + n as u64 / 99);
            if let Insert::Complete(Whole { payload: whole, .. }) =
                table.insert(now, key, piece.offset as u32, piece.more, HEAD, bytes)
            {
                assert_eq!(whole, honest);
                arrived += 1;
            }
        }
    }
    arrived
}

#[test]
fn f4_a_flood_from_one_or_a_million_sources_spares_the_honest() {
    for sources in [1, 10, 20, 100, 10_000, 1_000_000] {
        for offset in [8, 65_400] {
            let arrived = beside_a_flood(sources, offset);
            assert!(arrived >= 198, "{sources} sources at {offset}: {arrived} of 200");
        }
    }
}

#[test]
fn f4_hoarders_pay_before_a_slow_honest_source() {
    let mut table = table();
    table.insert(at(0), key(9_999, 1), 0, true, HEAD, &[7; 1_480]);
    // Twenty-five sources fill the table with what they may hold, over and over.
    for n in 0..100_000 {
        table.insert(at(1), key(n % 25, n), 65_400, true, HEAD, &[0; 8]);
    }
    let last = table.insert(at(29_000), key(9_999, 1), 1_480, false, HEAD, &[7; 20]);
    assert_eq!(last, complete(vec![7; 1_500]));
}

#[test]
fn a_table_too_small_for_a_datagram_drops_it_and_keeps_nothing() {
    let limits = FragmentLimits { bytes: 2_000, source_bytes: 2_000, ..Default::default() };
    let mut table = Reassembler::new(limits);
    assert_eq!(table.insert(at(0), key(1, 1), 0, true, HEAD, &[0; 800]), Insert::Held);
    assert_eq!(
        table.insert(at(0), key(1, 1), 1_600, true, HEAD, &[0; 800]),
        Insert::Dropped(FragmentDrop::Limit)
    );
    assert_eq!((table.bytes(), table.len(), table.evicted()), (0, 0, 1));
}

/// The obvious twin: a list of the fragments as they came, compared byte for byte.
#[derive(Default)]
struct Naive {
    list: Vec<(usize, bool, Vec<u8>)>,
    dead: bool,
}

impl Naive {
    fn insert(&mut self, offset: usize, more: bool, payload: &[u8]) -> Insert {
        let end = offset + payload.len();
        if payload.is_empty() || more && !payload.len().is_multiple_of(8) {
            return Insert::Dropped(FragmentDrop::BadLength);
        }
        if end > 65_515 {
            let was = std::mem::replace(&mut self.dead, true);
            let reason = if was { FragmentDrop::Poisoned } else { FragmentDrop::TooLong };
            return Insert::Dropped(reason);
        }
        if self.dead {
            return Insert::Dropped(FragmentDrop::Poisoned);
        }
        if self.list.iter().any(|f| *f == (offset, more, payload.to_vec())) {
            return Insert::Dropped(FragmentDrop::Duplicate);
        }
        let mut bitmap = [false; 70_000];
        let mut total = None;
        for (offset, more, payload) in &self.list {
            bitmap[*offset..offset + payload.len()].fill(true);
            total = if *more { total } else { Some(offset + payload.len()) };
        }
        let overlaps = bitmap[offset..end].contains(&true);
        let beyond = total.is_some_and(|total| end >= total || !more)
            || !more && bitmap[end..].contains(&true);
        if overlaps || beyond {
            self.dead = true;
            return Insert::Dropped(FragmentDrop::Overlap);
        }
        self.list.push((offset, more, payload.to_vec()));
        bitmap[offset..end].fill(true);
        let total = if more { total } else { Some(end) };
        match total {
            Some(total) if !bitmap[..total].contains(&false) => {
                let mut whole = vec![0; total];
                for (offset, _, payload) in &self.list {
                    whole[*offset..offset + payload.len()].copy_from_slice(payload);
                }
                complete(whole)
            }
            _ => Insert::Held,
        }
    }
}

/// Fragments of a small datagram, mostly true, sometimes lying about place, end or bytes.
fn fragment() -> impl Strategy<Value = (usize, bool, usize, bool)> {
    let true_ones = prop_oneof![Just((0usize, 3usize)), Just((3, 1)), Just((4, 4)), Just((8, 2))];
    prop_oneof![
        20 => true_ones.prop_map(|(at, len)| (at * 8, true, len * 8, true)),
        6 => Just((80, false, 5, true)),
        1 => (0usize..12, any::<bool>(), 0usize..40, any::<bool>())
            .prop_map(|(at, more, len, truth)| (at * 8, more, len, truth)),
        1 => (8_180usize..8_192, any::<bool>(), 0usize..40)
            .prop_map(|(at, more, len)| (at * 8, more, len, true)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_its_twin(list in prop::collection::vec(fragment(), 1..24)) {
        let truth = pattern(70_000);
        let (mut real, mut naive) = (table(), Naive::default());
        for (offset, more, len, honest) in list {
            let mut payload = truth[offset..offset + len].to_vec();
            if let Some(byte) = payload.last_mut().filter(|_| !honest) {
                *byte ^= 1;
            }
            // A whole datagram goes past the table, in both.
            if offset == 0 && !more {
                continue;
            }
            let got = put(&mut real, offset as u32, more, &payload);
            prop_assert_eq!(&got, &naive.insert(offset, more, &payload));
            if matches!(got, Insert::Complete(..)) {
                naive = Naive::default();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_split_any_order_any_duplicates_give_the_payload(
        len in 1usize..=65_515,
        cuts in prop::collection::vec(1usize..8_190, 0..60),
        order in prop::collection::vec(any::<usize>(), 200),
    ) {
        let payload = pattern(len);
        let mut ends: Vec<usize> =
            cuts.iter().map(|cut| cut * 8).filter(|cut| *cut < len).chain([len]).collect();
        ends.sort_unstable();
        ends.dedup();
        let starts = [0].into_iter().chain(ends.iter().copied());
        let mut pieces: Vec<(usize, usize)> = starts.zip(ends.iter().copied()).collect();
        // Any two change places, and some come twice.
        for pair in order.chunks(2) {
            let (a, b) = (pair[0] % pieces.len(), pair[1] % pieces.len());
            pieces.swap(a, b);
            if pair[0] % 9 == 0 {
                pieces.push(pieces[a]);
            }
        }
        let mut table = table();
        let mut done = false;
        for (from, to) in pieces {
            match put(&mut table, from as u32, to < len, &payload[from..to]) {
                Insert::Complete(Whole { payload: whole, .. }) => {
                    prop_assert!(whole == payload);
                    done = true;
                    break;
                }
                Insert::Held => {}
                Insert::Dropped(reason) => prop_assert_eq!(reason, FragmentDrop::Duplicate),
            }
        }
        prop_assert!(done);
        prop_assert_eq!(table.bytes(), 0);
    }
}

/// RFC 3168 §5.3: one marked fragment marks the datagram; who mixes those that know ECN with those
/// that do not is not believed.
#[test]
fn rfc_3168_fragments_combine_their_marks() {
    for (first, last, both) in
        [(2, 3, Some(Codepoint::Ce)), (2, 2, Some(Codepoint::Ect0)), (0, 3, None), (2, 0, None)]
    {
        let mut table = table();
        let header = |bits| {
            let mut header = HEADER;
            header[1] = header[1] & !3 | bits;
            header
        };
        let first_header = header(first);
        let first = table.insert(at(0), key(1, 1), 0, true, head(&first_header), &[1; 8]);
        let last = table.insert(at(0), key(1, 1), 8, false, head(&header(last)), &[1; 8]);
        assert_eq!(first, Insert::Held);
        match both {
            Some(ecn) => assert_eq!(last, whole(&first_header, vec![1; 16], ecn)),
            None => assert_eq!(last, Insert::Dropped(FragmentDrop::Ecn)),
        }
        assert_eq!((table.bytes(), table.len()), (0, 0));
    }
}
