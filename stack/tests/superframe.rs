//! Super-frames: frames that stand for many segments, in both directions.

use stack::testing::packet::{Segment, icmp, ipv4, udp};
use stack::testing::rig::{HOST, HOST_MAC, PEER, PEER_MAC, Rig};
use stack::*;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

/// A stack whose device cuts super-frames, and a peer with segments of 1,000 octets.
fn rig(options: &str) -> Rig {
    let config = |config: &mut Config| {
        config.device_checksums = true;
        config.super_frame_max = 65_535;
    };
    Rig::with(config).listen(ListenOptions::default()).accept_from(options)
}

fn segments(t: &Rig) -> (u64, u64, u64) {
    let info = t.info().unwrap();
    (info.segments_out, info.text_segments_out.into(), info.retransmits)
}

#[test]
fn a_flight_is_one_frame_of_whole_segments() {
    let mut t = rig("<mss 1000,sackOK>");
    let (before, _, _) = segments(&t);
    let counted = t.stack.counters().tcp_out_segs;
    t.send(25_300);
    t.expect(". 1:10001(10000) ack 1").expect_nothing();
    assert_eq!(segments(&t), (before + 10, 10, 0), "the initial window");
    assert_eq!(t.stack.counters().tcp_out_segs, counted + 10);
    t.inject(". 1:1(0) ack 10001").expect("P. 10001:25301(15300) ack 1").expect_nothing();
    assert_eq!(segments(&t).1, 26);
}

/// RFC 4821 §7.4: that a probe of the path was lost says nothing of what flies beside it.
#[test]
fn a_lost_probe_takes_no_super_frame_with_it() {
    let mut t = rig("<mss 1460,sackOK>");
    t.send(1460);
    let first = t.next_segment();
    let fits_1300 = [0, 0, 5, 20];
    t.inject_error(3, 4, fits_1300, &first).forget_rest();
    t.inject(". 1:1(0) ack 1461").advance(Duration::from_secs(601)).forget_rest();
    t.send(20_000);
    let flight = t.take_segments();
    let probe = flight.iter().find(|it| it.payload.len() == 1460).expect("a probe");
    assert!(flight.iter().any(|it| it.payload.len() > 1460), "and super-frames behind it");
    let (before, probe) = (segments(&t).2, probe.clone());
    t.inject_error(3, 4, fits_1300, &probe);
    let again: usize = t.take_segments().iter().map(|it| it.payload.len()).sum();
    assert_eq!((again, segments(&t).2 - before), (1460, 2));
    assert_eq!(t.stack.counters().tcp_mtup_fail, 1);
}

#[test]
fn what_the_device_has_to_do_is_said() {
    let mut t = rig("<mss 1000,sackOK,nop,nop,TS val 1 ecr 0>");
    let now = t.now();
    t.tcp().send(now, &[7; 2964]).unwrap();
    let frame = t.stack.poll_transmit(now).unwrap();
    // 988 octets beside the timestamps.
    assert_eq!(frame.gso, Some(Gso { segment: 988 }));
    assert_eq!(frame.checksum, Some(ChecksumAt { start: 34, offset: 16 }));
    assert_eq!(frame.len(), 14 + 20 + 32 + 3 * 988);
    // One segment is one packet, and its checksum is the device's, too.
    t.forget_rest();
    let mut t = rig("<mss 1000>");
    t.tcp().send(now, &[7; 1000]).unwrap();
    let frame = t.stack.poll_transmit(now).unwrap();
    assert_eq!((frame.gso, frame.checksum.is_some()), (None, true));
}

#[test]
fn a_device_that_only_cuts_sums_what_it_cuts() {
    let mut t = Rig::with(|config| config.super_frame_max = 65_535)
        .listen(ListenOptions::default())
        .accept_from("<mss 1000>");
    let now = t.now();
    t.tcp().send(now, &[7; 2000]).unwrap();
    let frame = t.stack.poll_transmit(now).unwrap();
    assert_eq!(frame.gso, Some(Gso { segment: 1000 }));
    assert_eq!(frame.checksum, Some(ChecksumAt { start: 34, offset: 16 }));
    t.tcp().send(now, &[7; 1000]).unwrap();
    let frame = t.stack.poll_transmit(now).unwrap();
    assert_eq!((frame.gso, frame.checksum), (None, None), "whole");
    t.forget_rest();
}

#[test]
fn a_frame_is_never_longer_than_an_ip_packet() {
    let config = |config: &mut Config| {
        config.device_checksums = true;
        config.super_frame_max = 65_535;
        config.tcp.congestion = Congestion::Reno;
    };
    let mut t = Rig::with(config).listen(ListenOptions::default());
    t.window = 65_535;
    let mut t = t.accept_from("<mss 1460,sackOK,nop,wscale 5>");
    let mut longest = 0;
    t.send(1 << 20);
    for _ in 0..60 {
        let sent = t.take_segments();
        longest = sent.iter().map(|segment| segment.payload.len()).chain([longest]).max().unwrap();
        let Some(last) = sent.last() else { break };
        t.inject(&format!(". 1:1(0) ack {}", t.end_of(last)));
    }
    t.forget_rest();
    assert_eq!(longest, 44 * 1460, "as many segments as fit in 65,535 bytes");
}

/// A frame has two places for text: what lies in more, copied and shared in turn, is brought
/// together, when it is sent and when it is sent again.
#[test]
fn shared_text_leaves_like_any_other() {
    let mut t = rig("<mss 1000,sackOK>");
    let now = t.now();
    let all: Vec<u8> = (0..9_000u32).map(|n| (n % 251) as u8).collect();
    let mut shared = Bytes::from(all.clone());
    for (start, end, shares) in
        [(0, 300, false), (300, 2_000, true), (2_000, 2_100, false), (2_100, 9_000, true)]
    {
        let taken = match shares {
            true => t.tcp().send_shared(now, &mut shared.slice(start..end)),
            false => t.tcp().send_more(now, &all[start..end]),
        };
        assert_eq!(taken, Ok(end - start));
    }
    let sent = t.advance(Duration::ZERO).take_segments();
    assert_eq!(sent.iter().map(|it| it.payload.len()).sum::<usize>(), 9_000);
    assert!(sent.len() < 9, "super-frames");
    let first = sent[0].seq;
    let again = t.advance(Duration::from_secs(2)).take_segments();
    assert!(again.iter().any(|it| it.seq == first), "the front is among them");
    for it in sent.iter().chain(&again) {
        let at = it.seq.wrapping_sub(first) as usize;
        assert!(it.payload == all[at..at + it.payload.len()], "{} bytes at {at}", it.payload.len());
    }
    assert_eq!(t.tcp().unsent(), 9_000);
    shared.clear();
    t.inject(". 1:1(0) ack 9001").forget_rest();
    assert_eq!(t.tcp().unsent(), 0);
}

#[test]
fn a_tail_goes_along_unless_nagle_or_a_cork_holds_it_back() {
    let mut t = rig("<mss 1000>");
    t.send(2500).expect("P. 1:2501(2500) ack 1");
    t.send(2500).expect(". 2501:4501(2000) ack 1").expect_nothing();
    t.inject(". 1:1(0) ack 2501").expect("P. 4501:5001(500) ack 1");
    let now = t.now();
    let mut options = t.tcp().options();
    options.nodelay = true;
    t.tcp().set_options(now, options);
    t.send(2500).expect("P. 5001:7501(2500) ack 1");
    t.inject(". 1:1(0) ack 7501");
    options.cork = true;
    t.tcp().set_options(now, options);
    t.send(2500).expect(". 7501:9501(2000) ack 1").expect_nothing();
}

#[test]
fn while_more_follows_frames_go_full_or_behind_nothing() {
    let mut t = rig("<mss 1000>");
    let mut written = 0;
    let mut more = |t: &mut Rig, count| {
        let text: Vec<_> = (written..written + count).map(stack::testing::rig::host_byte).collect();
        written += count;
        let now = t.now();
        t.tcp().send_more(now, &text).unwrap();
        t.drain();
    };
    more(&mut t, 2500);
    t.expect(". 1:2001(2000) ack 1").expect_nothing();
    more(&mut t, 3000);
    t.expect_nothing();
    t.inject(". 1:1(0) ack 2001").expect(". 2001:5001(3000) ack 1").expect_nothing();
    more(&mut t, 1700);
    t.expect_silence(Duration::from_millis(100));
    t.inject(". 1:1(0) ack 3001").expect_silence(Duration::from_millis(90));
    t.expect_within(Duration::from_millis(20), "P. 5001:7201(2200) ack 1");
    t.inject(". 1:1(0) ack 7201").expect_nothing();
}

/// RFC 9293 §3.8.6.3: the acknowledgment of one segment may take half a second, and a small buffer
/// has no room for what would fill a frame: it was sent a buffer at a time, 40 ms apart.
#[test]
fn no_frame_waits_to_be_full_behind_a_single_segment() {
    let mut t = rig("<mss 1000>");
    let now = t.now();
    let text: Vec<_> = (0..6000).map(stack::testing::rig::host_byte).collect();
    t.tcp().send_more(now, &text[..3000]).unwrap();
    t.drain().expect(". 1:3001(3000) ack 1").expect_nothing();
    t.tcp().send_more(now, &text[3000..]).unwrap();
    t.drain().expect_nothing();
    t.inject(". 1:1(0) ack 1001").expect_nothing();
    t.inject(". 1:1(0) ack 2001").expect(". 3001:6001(3000) ack 1").expect_nothing();
}

#[test]
fn the_end_goes_with_the_last_segment() {
    let mut t = rig("<mss 1000>");
    let now = t.now();
    t.tcp().send(now, &(0..2500).map(stack::testing::rig::host_byte).collect::<Vec<_>>()).unwrap();
    t.tcp().shutdown_write(now).unwrap();
    t.drain().expect("FP. 1:2501(2500) ack 1");
    t.inject(". 1:1(0) ack 2502").state(State::FinWait2);
}

#[test]
fn a_report_cuts_a_frame_and_neighbours_go_again_together() {
    let mut t = rig("<mss 1000,sackOK>");
    t.send(10_000).expect("P. 1:10001(10000) ack 1");
    t.inject(". 1:1(0) ack 1 <nop,nop,sack 7001:10001>");
    // As much as was delivered (RFC 9937 §6.2): the flight is below the threshold of seven.
    t.expect(". 1:3001(3000) ack 1").expect_nothing();
    assert_eq!(segments(&t).2, 3, "so many segments, not frames");
    // Two and a half are delivered, and one is for all going well.
    t.inject(". 1:1(0) ack 2501 <nop,nop,sack 7001:10001>");
    t.expect(". 3001:6001(3000) ack 1").expect_nothing();
    assert_eq!(t.stack.counters().tcp_retrans_segs, 6);
    assert_eq!(t.stack.counters().tcp_fast_retrans, 6);
    t.inject(". 1:1(0) ack 10001").expect_nothing();
    assert_eq!(t.info().unwrap().in_flight, 0);
}

#[test]
fn a_tail_probe_is_one_segment() {
    let mut t = rig("<mss 1000,sackOK>");
    t.send(9_500).expect("P. 1:9501(9500) ack 1");
    t.send(200).inject(". 1:1(0) ack 1001").expect_nothing();
    let probe = t.advance(Duration::from_millis(900)).take_segments();
    assert_eq!(probe[0].payload.len(), 200, "new text first: {probe:?}");
    t.inject(". 1:1(0) ack 9701").expect_nothing();
    t.send(5_000).forget_rest();
    let probe = t.advance(Duration::from_millis(300)).take_segments();
    assert_eq!((t.end_of(&probe[0]), probe[0].payload.len()), (14_701, 1000), "{probe:?}");
}

#[test]
fn a_time_out_sends_the_first_segment_again() {
    let mut t = rig("<mss 1000>");
    t.send(10_000).expect("P. 1:10001(10000) ack 1");
    t.advance(Duration::from_secs(1)).expect(". 1:1001(1000) ack 1").forget_rest();
    t.inject(". 1:1(0) ack 1001");
    let sizes: Vec<_> = t.take_segments().iter().map(|segment| segment.payload.len()).collect();
    assert_eq!(sizes, [2000], "slow start: two more");
}

#[test]
fn a_narrow_path_makes_smaller_segments() {
    let mut t = rig("<mss 1460>");
    t.send(14_600).expect("P. 1:14601(14600) ack 1");
    let sent = t.last().clone();
    t.inject_error(3, 4, [0, 0, 2, 108], &sent);
    // 620 - 40 = 580 octets; the window lets as much out as was in flight.
    let again = t.take_segments();
    let fits = |it: &Segment| it.payload.len().is_multiple_of(580) || t.end_of(it) > 14_000;
    assert!(!again.is_empty() && again.iter().all(fits), "{again:?}");
    let now = t.now();
    t.inject(". 1:1(0) ack 14601");
    t.tcp().send(now, &[7; 5800]).unwrap();
    let frame = t.stack.poll_transmit(now).unwrap();
    assert_eq!(frame.gso, Some(Gso { segment: 580 }));
}

#[test]
fn holes_to_report_make_room_in_every_segment() {
    let mut t = rig("<mss 1000,sackOK>");
    t.inject(". 101:201(100) ack 1").forget_rest();
    let now = t.now();
    t.tcp().send(now, &[7; 3000]).unwrap();
    let frame = t.stack.poll_transmit(now).unwrap();
    assert_eq!(frame.gso, Some(Gso { segment: 1000 - 36 }));
    t.forget_rest();
}

#[test]
fn a_super_frame_is_acknowledged_once_and_at_once() {
    let mut t = rig("<mss 1000,sackOK>");
    let (before, counted) = (t.info().unwrap(), t.stack.counters().tcp_in_segs);
    t.inject_super_frame("P. 1:30001(30000) ack 1", 1000);
    t.expect(". 1:1(0) ack 30001").expect_nothing();
    let after = t.info().unwrap();
    assert_eq!(after.segments_in - before.segments_in, 30);
    assert_eq!(after.text_segments_in, 30);
    assert_eq!(t.stack.counters().tcp_in_segs, counted + 30);
    t.expect_read(30_000);
    t.forget_rest();
    // The quick acknowledgments of slow start are used up: one segment waits.
    t.inject("P. 30001:31001(1000) ack 1").expect_nothing();
    let (least, most) = (Duration::from_millis(3), Duration::from_millis(40));
    t.expect_between(least, most, ". 1:1(0) ack 31001");
}

#[test]
fn a_super_frame_keeps_to_the_window_and_fills_holes() {
    let mut t = rig("<mss 1000,sackOK>");
    t.inject_super_frame(". 5001:9001(4000) ack 1", 1000);
    t.expect(". 1:1(0) ack 1 <nop,nop,sack 5001:9001>");
    assert_eq!(t.info().unwrap().out_of_order, 4);
    t.inject_super_frame(". 1:7001(7000) ack 1", 1000);
    t.expect(". 1:1(0) ack 9001 <...>").expect_read(9_000).forget_rest();
    let edge = 9_001 + i64::from(t.info().unwrap().receive_window);
    let (start, end) = (edge - 10_000, edge + 5_000);
    t.inject_super_frame(&format!(". {start}:{end}(15000) ack 1"), 1000);
    t.expect(&format!(". 1:1(0) ack 9001 <nop,nop,sack {start}:{edge}>"));
}

#[test]
fn an_end_in_a_super_frame_is_an_end() {
    let mut t = rig("<mss 1000>");
    t.inject_super_frame("FP. 1:2501(2500) ack 1", 1000);
    t.forget_rest().state(State::CloseWait);
    t.expect_read(2500).expect_end();
}

#[test]
fn what_has_no_segments_is_no_super_frame() {
    let mut t = rig("<mss 1000>");
    let packet = ipv4(PEER, HOST, 1, &icmp(8, 0, [0; 4], &[7; 3000]));
    let frame = stack::testing::packet::ethernet(PEER_MAC, HOST_MAC, 0x0800, &packet);
    for bytes in [&frame[..], &frame[..20], &[]] {
        let (checksum, gso) = (RxChecksum::Verified, Some(Gso { segment: 1000 }));
        t.stack.receive(t.now(), RxFrame { bytes, checksum, gso });
    }
    let counters = t.stack.counters();
    assert_eq!(counters.drops.get(DropReason::SuperFrame), 1);
    assert_eq!(counters.frames_in, counters.frames_delivered + counters.drops.total());
    // Segments of nothing, and larger ones than there is text: counted as one octet, and as one.
    t.inject_super_frame(". 1:11(10) ack 1", 0).inject_super_frame(". 11:21(10) ack 1", 999);
    t.forget_rest();
    assert_eq!(t.info().unwrap().text_segments_in, 11);
}

#[test]
fn a_super_frame_of_datagrams_is_datagrams() {
    let mut t = Rig::new();
    let local: SocketAddr = (HOST, 9).into();
    let socket = t.stack.bind_udp(local).unwrap();
    let (from, to) = (SocketAddrV4::new(PEER, 7), SocketAddrV4::new(HOST, 9));
    let text: Vec<u8> = (0..2500).map(|i| (i / 1000) as u8).collect();
    let packet = ipv4(PEER, HOST, 17, &udp(from, to, &text));
    let bytes = stack::testing::packet::ethernet(PEER_MAC, HOST_MAC, 0x0800, &packet);
    let (checksum, gso) = (RxChecksum::Verified, Some(Gso { segment: 1000 }));
    t.stack.receive(t.now(), RxFrame { bytes: &bytes, checksum, gso });
    let mut out = [9; 3000];
    for (value, length) in [(0, 1000), (1, 1000), (2, 500)] {
        let got = t.stack.udp(socket).unwrap().recv_from(&mut out).unwrap();
        assert_eq!(got, (length, SocketAddr::from(from)));
        assert!(out[..length].iter().all(|&byte| byte == value));
    }
    assert!(t.stack.udp(socket).unwrap().recv_from(&mut out).is_err());
    assert_eq!(t.stack.counters().udp_in_datagrams, 3);
}

/// A host talks to itself: nobody cuts there, so the stack does.
#[test]
fn loopback_gets_ordinary_packets() {
    let mut t = rig("<mss 1000>");
    t.forget_rest();
    let now = t.now();
    let address: SocketAddr = (HOST, 80).into();
    let client = t.stack.connect(now, address, ConnectOptions::default()).unwrap();
    t.drain().forget_rest();
    let listener = t.listener.unwrap();
    let server = t.stack.accept(listener).unwrap();
    let text: Vec<u8> = (0..60_000).map(|i| (i * 7 / 3) as u8).collect();
    assert_eq!(t.stack.tcp(client).unwrap().send(now, &text), Ok(60_000));
    let (mut got, mut out) = (Vec::new(), [0; 5000]);
    while got.len() < text.len() {
        t.drain();
        let count = t.stack.tcp(server).unwrap().recv(now, &mut out).unwrap();
        got.extend_from_slice(&out[..count]);
    }
    assert_eq!(got, text);
    assert_eq!(t.drain().unexpected(), 0);
    let counters = t.stack.counters();
    assert_eq!(counters.frames_in, counters.frames_delivered + counters.drops.total());
}

#[test]
fn every_frame_in_one_piece_has_its_checksum() {
    let mut t = rig("<mss 1000>");
    let now = t.now();
    t.tcp().send(now, &[7; 4999]).unwrap();
    let frame = t.stack.poll_transmit(now).unwrap().to_vec();
    assert!(matches!(Segment::from_frame(&frame), Ok(Some(_))));
    t.forget_rest();
}

/// Two hosts on one wire whose devices cut datagrams, and what went over it.
struct Wire([Stack; 2]);

impl Wire {
    fn new() -> Wire {
        Wire([1, 2].map(|last| {
            let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
            config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
            config.device_checksums = true;
            config.device_cuts_datagrams = true;
            config.validate().unwrap();
            Stack::new(config, Seed::from_number(last.into()))
        }))
    }

    /// Carries all there is; what the first host sent: octets of payload, and the size of a piece.
    fn carry(&mut self) -> Vec<(usize, Option<u16>)> {
        let now = Instant::from_secs(1);
        let mut sent = Vec::new();
        for from in [0, 1, 0, 1] {
            let mut frames = Vec::new();
            while let Some(frame) = self.0[from].poll_transmit(now) {
                let gso = frame.gso;
                if from == 0 {
                    let payload = frame.body[0].len() + frame.body[1].len();
                    sent.push((payload, gso.map(|gso| gso.segment)));
                }
                frames.push((frame.to_vec(), gso));
            }
            for (bytes, gso) in &frames {
                let frame = RxFrame { bytes, checksum: RxChecksum::Verified, gso: *gso };
                self.0[1 - from].receive(now, frame);
            }
        }
        sent
    }
}

#[test]
fn datagrams_of_one_length_leave_in_one_frame() {
    let mut wire = Wire::new();
    let now = Instant::from_secs(1);
    let to = |port| Some(std::net::SocketAddr::from(([192, 0, 2, 2], port)));
    let near = wire.0[0].bind_udp("192.0.2.1:1000".parse().unwrap()).unwrap();
    let far = wire.0[1].bind_udp("192.0.2.2:2000".parse().unwrap()).unwrap();
    let mut exchange = |ways: &[(usize, u16)]| {
        for &(len, port) in ways {
            wire.0[0].udp(near).unwrap().send_to(now, &vec![len as u8; len], to(port)).unwrap();
        }
        let sent = wire.carry();
        let mut out = [0; 2000];
        for &(len, _) in ways.iter().filter(|&&(_, port)| port == 2000) {
            let (got, from) = wire.0[1].udp(far).unwrap().recv_from(&mut out).unwrap();
            assert_eq!((got, from.port()), (len, 1000));
            assert!(out[..got].iter().all(|&byte| byte == len as u8));
        }
        assert!(wire.0[1].udp(far).unwrap().recv_from(&mut out).is_err(), "nothing else");
        sent
    };
    // The neighbour is unknown: what waits for it waits as packets.
    exchange(&[(9, 2000), (9, 2000)]);
    let mixed = [(100, 2000), (100, 2000), (60, 2000), (60, 2000), (0, 2000), (0, 2000)];
    assert_eq!(exchange(&mixed), [(260, Some(100)), (60, None), (0, None), (0, None)]);
    let ways = [(50, 2000), (50, 2001), (50, 2001), (50, 2000), (51, 2000)];
    let apart = [(50, None), (100, Some(50)), (50, None), (51, None)];
    assert_eq!(exchange(&ways), apart, "no more than one way, and none longer");
    assert_eq!(exchange(&[(10, 2000); 100]), [(640, Some(10)), (360, Some(10))]);
    assert_eq!(exchange(&[(1400, 2000); 50]), [(64_400, Some(1400)), (5600, Some(1400))]);
    let counters = wire.0[0].counters();
    assert_eq!(counters.udp_out_datagrams, 2 + 6 + 5 + 100 + 50);
    wire.0[0].udp(near).unwrap().close();
    assert!(wire.carry().is_empty());
}
