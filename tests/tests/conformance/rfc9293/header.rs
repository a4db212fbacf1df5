//! RFC 9293 §3.1, §3.2, §3.7.1: header, options, checksum, maximum segment size.

use crate::ms;
use stack::State;
use stack::testing::packet::Segment;
use stack::testing::rig::{Rig, Version};
use stack::{ConnectOptions, ListenOptions, TcpOptions};

/// Acknowledges every second segment, again and again, and returns the most that was in flight.
fn most_in_flight(t: &mut Rig, window: u16, rounds: usize) -> i64 {
    let (mut acked, mut most) = (1, 0);
    for _ in 0..rounds {
        let ends: Vec<i64> = t.take_segments().iter().map(|segment| t.end_of(segment)).collect();
        for end in ends.chunks(2).filter_map(|two| two.last()) {
            t.inject(&format!(". 1:1(0) ack {end} win {window}"));
        }
        most = most.max(ends.last().map_or(0, |end| end - acked));
        acked = *ends.last().unwrap_or(&acked);
    }
    t.forget_rest();
    most
}

#[test]
fn must_1_windows_are_unsigned() {
    let mut t = Rig::established();
    t.send(500_000);
    let most = most_in_flight(&mut t, 0xffff, 12);
    assert!((0x8000..=0xffff).contains(&most), "{most} bytes in flight");
}

#[test]
fn rec_1_windows_are_32_bits_wide() {
    let mut t = Rig::accepted("<mss 1460,nop,wscale 14>");
    t.send(1_000_000);
    let most = most_in_flight(&mut t, 0xffff, 20);
    assert!(most > 0x2_0000, "{most} bytes in flight under a window of a GiB");
}

/// The rig reads every segment that the stack sends and fails on a wrong sum; here are all kinds.
#[test]
fn must_2_every_segment_is_summed() {
    let mut t = Rig::accepted("<mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>");
    t.send(3).expect("P. 1:4(3) ack 1");
    t.expect_within(ms(1000), "P. 1:4(3) ack 1");
    t.inject(". 3:4(1) ack 1").expect(". 4:4(0) ack 1 <...>");
    t.inject("S 1:1(0)").expect(". 4:4(0) ack 1 <...>");
    t.abort().expect("R. 4:4(0) ack 1 <...>");
    t.inject(". 1:1(0) ack 4").expect("R 4:4(0)");
    t.set_host_port(81).inject("S 1:1(0) win 9").expect("R. @0:@0(0) ack 2");
}

#[test]
fn must_3_a_wrong_sum_is_silence() {
    let flip = |frame: &mut Vec<u8>| frame[34 + 16] ^= 1;
    let zero = |frame: &mut Vec<u8>| frame[34 + 16..34 + 18].fill(0);
    let mut t = Rig::listening();
    t.inject_damaged("S 0:0(0) win 9 <mss 1460>", flip).expect_nothing().state(State::Listen);
    t.inject_damaged("S 0:0(0) win 9 <mss 1460>", zero).expect_nothing().state(State::Listen);
    let mut t = Rig::established();
    for line in [". 1:11(10) ack 1", "R 1:1(0)", "F. 1:1(0) ack 1", "S 1:1(0)"] {
        t.inject_damaged(line, flip);
        t.inject_damaged(line, zero);
        t.expect_silence(ms(500)).state(State::Established);
    }
    t.inject("P. 1:11(10) ack 1").expect_within(ms(500), ". 1:1(0) ack 11");
    t.expect_read(10).expect_nothing();
}

#[test]
fn must_4_end_nop_and_mss_are_understood() {
    for options in ["<nop,nop,mss 1000,eol>", "<mss 1000,eol>", "<mss 1000>", "<nop,mss 1000>"] {
        let mut t = Rig::accepted(options);
        t.send(1000).expect("P. 1:1001(1000) ack 1");
        assert_eq!(t.info().unwrap().send_mss, 1000, "{options}");
    }
}

#[test]
fn must_5_options_may_come_in_any_segment() {
    for options in ["<nop,nop,nop,nop>", "<mss 9>", "<opt 253 0102>", "<TS val 1 ecr 1>", "<eol>"] {
        let mut t = Rig::established();
        t.inject(&format!("P. 1:11(10) ack 1 win 65535 {options}"));
        t.expect_within(ms(500), ". 1:1(0) ack 11");
        t.expect_read(10);
        t.inject(&format!("F. 11:11(0) ack 1 win 65535 {options}"));
        t.expect_within(ms(500), ". 1:1(0) ack 12");
    }
}

#[test]
fn must_6_unknown_options_are_skipped() {
    for kind in [253, 254, 158, 30] {
        for data in ["", "01", "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"] {
            let mut t = Rig::accepted(&format!("<opt {kind} {data},mss 700>"));
            t.send(700).expect("P. 1:701(700) ack 1");
            t.inject(&format!("P. 1:11(10) ack 701 win 9000 <opt {kind} {data}>"));
            t.expect_within(ms(500), ". 701:701(0) ack 11");
        }
    }
}

/// Lengths 0 and 1, lengths past the header, and wrong lengths of every kind that is known.
const ILLEGAL: [&str; 12] = [
    "0200",
    "0201",
    "0228",
    "020305",
    "0206050403020100",
    "fd00",
    "fd01",
    "fdff",
    "050900",
    "0809",
    "030400",
    "0403",
];

#[test]
fn must_7_illegal_option_lengths_are_survived() {
    for raw in ILLEGAL {
        let mut t = Rig::listening();
        t.inject(&format!("S 0:0(0) win 9000 <raw {raw}>"));
        t.expect("S. 0:0(0) ack 1 <...>");
        t.inject(&format!(". 1:1(0) ack 1 win 9000 <raw {raw}>")).accept();
        t.inject(&format!("P. 1:11(10) ack 1 win 9000 <raw {raw}>"));
        t.expect_within(ms(500), ". 1:1(0) ack 11 <...>");
        t.expect_read(10).state(State::Established);
        t.set_peer_port(41_000);
        t.inject("S 0:0(0) win 9000 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    }
}

#[test]
fn must_64_options_need_no_alignment() {
    let mut t = Rig::accepted("<nop,mss 600,nop,nop,nop>");
    t.send(600).expect("P. 1:601(600) ack 1");
    let mut t = Rig::accepted("<nop,TS val 5 ecr 0,mss 600>");
    t.inject("P. 1:2(1) ack 1 win 900 <nop,nop,nop,TS val 2000000 ecr 0>");
    t.expect_within(ms(500), ". 1:1(0) ack 2 <nop,nop,TS val * ecr 2000000>");
}

/// Walks the options as they stand in the header: kinds, or what is wrong.
fn walk(segment: &Segment) -> Result<Vec<u8>, &'static str> {
    let (mut rest, mut kinds) = (&segment.options[..], Vec::new());
    while let [kind, tail @ ..] = rest {
        rest = match (kind, tail) {
            (0, padding) if padding.iter().all(|byte| *byte == 0) => return Ok(kinds),
            (0, _) => return Err("padding that is not zero"),
            (1, tail) => tail,
            (_, [len, ..]) if (2..=rest.len()).contains(&usize::from(*len)) => {
                &rest[usize::from(*len)..]
            }
            _ => return Err("an option without its length"),
        };
        kinds.push(*kind);
    }
    Ok(kinds)
}

/// Every segment of a life with all options.
fn life() -> Vec<Segment> {
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>");
    let mut seen = t.take_segments();
    t.inject(". 1:1(0) ack 1").accept();
    t.send(10);
    t.inject("P. 101:201(100) ack 11").inject("P. 1001:1101(100) ack 11");
    t.shutdown();
    seen.extend(t.take_segments());
    let mut t = Rig::new().connect(Default::default());
    seen.push(t.last().clone());
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    seen.extend(t.take_segments());
    seen
}

#[test]
fn must_68_every_option_has_its_length() {
    for segment in life() {
        assert!(walk(&segment).is_ok(), "{segment:?}");
    }
}

#[test]
fn must_69_padding_is_zero() {
    for segment in life() {
        assert_eq!(segment.options.len() % 4, 0);
        assert_ne!(walk(&segment), Err("padding that is not zero"), "{segment:?}");
    }
}

#[test]
fn must_14_the_mss_is_sent_and_obeyed() {
    for mss in [536, 1000, 88] {
        let mut t = Rig::listening();
        t.inject(&format!("S 0:0(0) win 65535 <mss {mss}>")).expect("S. 0:0(0) ack 1 <mss 1460>");
        t.inject(". 1:1(0) ack 1").accept();
        t.send(3 * mss);
        let longest = t.take_segments().iter().map(|segment| segment.payload.len()).max();
        assert_eq!(longest, Some(mss));
    }
}

#[test]
fn must_15_without_an_mss_536() {
    let expected = match Version::of_this_run() {
        Version::V4 => &[536, 536, 536, 392][..],
        Version::V6 => &[1220, 780],
    };
    let mut t = Rig::accepted("");
    t.send(2000);
    let lengths: Vec<_> = t.take_segments().iter().map(|segment| segment.payload.len()).collect();
    assert_eq!(lengths, expected);
}

#[test]
fn must_16_the_effective_mss() {
    for (options, most) in [
        ("<mss 9000>", 1460),
        ("<mss 9000,nop,nop,TS val 1 ecr 0>", 1448),
        ("<mss 600,nop,nop,TS val 1 ecr 0>", 588),
        ("<mss 600>", 600),
    ] {
        let mut t = Rig::accepted(options);
        t.send(4000);
        let longest = t.take_segments().iter().map(|segment| segment.payload.len()).max();
        assert_eq!(longest, Some(most), "{options}");
    }
}

/// SACK blocks take their room from the text: the packet still fits the link.
#[test]
fn must_16_sack_blocks_take_room_from_the_text() {
    let mut t = Rig::accepted("<mss 1460,sackOK,TS val 1 ecr 0>");
    t.inject("P. 1001:1101(100) ack 1").expect(". 1:1(0) ack 1 <...>");
    t.inject("P. 2001:2101(100) ack 1").expect(". 1:1(0) ack 1 <...>");
    t.send(4000);
    for segment in t.take_segments() {
        let packet = 20 + 20 + segment.options.len() + segment.payload.len();
        assert!(packet <= 1500, "{packet} bytes");
        assert!(walk(&segment).unwrap().contains(&5), "no blocks: {segment:?}");
    }
}

#[test]
fn must_65_no_mss_without_a_syn() {
    for segment in life() {
        let is_syn = segment.flags.0 & 2 != 0;
        assert!(is_syn || !walk(&segment).unwrap().contains(&2), "{segment:?}");
    }
}

#[test]
fn must_67_the_announced_mss_is_the_mtu_less_forty() {
    for (mtu, mss) in [(1500, 1460), (9000, 8960), (576, 536), (1280, 1240)] {
        let mut t = Rig::with(|config| config.mtu = mtu).listen(ListenOptions::default());
        t.inject("S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>");
        t.expect(&format!("S. 0:0(0) ack 1 <mss {mss},sackOK,TS val 0 ecr 1,nop,wscale 7>"));
    }
    let smaller = TcpOptions { max_segment: Some(1000), ..TcpOptions::default() };
    let options = ListenOptions { tcp: smaller, ..ListenOptions::default() };
    let mut t = Rig::new().listen(options);
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <mss 1000>");
}

/// What is asked for is bounded on both sides of a handshake: 88 octets at the least.
#[test]
fn a_segment_size_that_is_none_is_no_ones() {
    for asked in [0, 10, 12, 87] {
        let tcp = TcpOptions { max_segment: Some(asked), ..TcpOptions::default() };
        let mut t = Rig::new().connect(ConnectOptions { tcp, ..ConnectOptions::default() });
        assert_eq!(t.last().options[..4], [2, 4, 0, 88], "{asked}");
        t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>");
        t.expect(". 1:1(0) ack 1 <nop,nop,TS val * ecr 1>").send(100).forget_rest();
    }
}

#[test]
fn shld_5_every_syn_carries_the_mss() {
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535").expect("S. 0:0(0) ack 1 <mss 1460>");
    let mut t = Rig::new().connect(Default::default());
    assert!(walk(t.last()).unwrap().contains(&2));
    t.expect_within(ms(1500), "S 0:0(0) <...>");
    assert!(walk(t.last()).unwrap().contains(&2), "and again");
}
