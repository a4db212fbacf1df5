//! Faults of the engine that were found by reading it, each as the packets that showed it.

use stack::testing::rig::{HOST_MAC, PEER_MAC, Rig};
use stack::*;
use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn karn(options: &str) {
    // Small RTT first, then a path of 3 s; the peer acks everything 3 s after its first copy.
    let mut t = Rig::accepted(options);
    let mut per = Vec::new();
    let mut at = 1;
    for _ in 0..8 {
        let before = t.info().unwrap().retransmits;
        t.send(100);
        let stamp = t.next_segment();
        t.advance(ms(2990)).forget_rest();
        at += 100;
        if options.contains("TS") {
            // echo the original's stamp: read it from the segment
            let val: Vec<u8> = stamp.options[4..8].to_vec();
            let mut seg = t.segment(&format!(". 1:1(0) ack {at}"));
            seg.options[8..12].copy_from_slice(&val);
            let f = seg.to_frame(stack::testing::rig::PEER_MAC, stack::testing::rig::HOST_MAC);
            t.inject_frame(&f);
        } else {
            t.inject(&format!(". 1:1(0) ack {at}"));
        }
        t.forget_rest();
        per.push(t.info().unwrap().retransmits - before);
    }
    assert!(per[7] == 0, "the time-out never learns: {per:?}");
}
#[test]
fn karn_plain() {
    karn("<mss 1460>")
}
#[test]
fn karn_stamped() {
    karn("<mss 1460,nop,nop,TS val 1 ecr 0>")
}

#[test]
fn in_order_text_at_range_limit() {
    let mut t = Rig::with(|c| c.tcp.ranges_max = 2)
        .listen(ListenOptions::default())
        .accept_from("<mss 1000,sackOK>");
    t.inject(". 4001:5001(1000) ack 1").inject(". 7001:8001(1000) ack 1").forget_rest();
    t.inject(". 1:1001(1000) ack 1");
    t.forget_rest();
    assert_eq!(t.recv_all(), 1000, "in-order text at RCV.NXT refused: the stream can never move");
    t.forget_rest();
}

#[test]
fn a_request_is_not_answered_with_a_window_first() {
    // A SYN-ACK cannot tell of more than 65,535 bytes: reading the first octet made it known at
    // once, in a segment of its own, and a frame is the dearest part of a short connection.
    let mut t = Rig::accepted("<mss 1460,nop,wscale 7>");
    t.inject("P. 1:2(1) ack 1 win 500");
    assert_eq!(t.recv_all(), 1);
    t.drain().expect_nothing();
    t.send(1);
    let (_, scale) = t.info().unwrap().window_scale.unwrap();
    let window = u32::from(t.next_segment().window) << scale;
    assert!(window > 65_535, "the reply tells of it: {window}");
}

#[test]
fn a_super_frame_that_the_memory_does_not_hold() {
    // It was refused whole, each time that it came: 40,000 octets want 64 KiB of a ring.
    let mut t = Rig::with(|config| config.tcp.memory_max = 64 << 10);
    t = t.listen(ListenOptions::default()).accept_from("<mss 1460,sackOK>");
    t.inject("FP. 1:40001(40000) ack 1").expect(". 1:1(0) ack 32769").state(State::Established);
    assert_eq!(t.recv_all(), 32_768);
    t.drain().forget_rest();
    t.inject("FP. 32769:40001(7232) ack 1").expect(". 1:1(0) ack 40002").state(State::CloseWait);
}

#[test]
fn probe_after_idle_one_lost_probe() {
    let mut t = Rig::established();
    t.inject(". 1:1(0) ack 1 win 0");
    t.advance(Duration::from_secs(1000));
    t.send(10);
    t.advance(Duration::from_secs(20));
    t.forget_rest();
    assert_eq!(t.current_state(), State::Established, "ended after one unanswered probe");
}

#[test]
fn abort_all_with_pending_accept() {
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1460>").inject(". 1:1(0) ack 1").forget_rest();
    let now = t.now();
    t.stack.abort_all(now);
    t.drain();
    t.forget_rest();
    let l = t.listener.unwrap();
    let mut t = t.connect(ConnectOptions::default());
    let foreign = t.stack.accept(l);
    assert!(foreign.is_err());
}

#[test]
fn scale_changed_in_syn_sent() {
    let mut t = Rig::connecting();
    let now = t.now();
    let mut o = t.tcp().options();
    o.receive_buffer = Some(32 << 20);
    t.tcp().set_options(now, o);
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 7>");
    t.forget_rest();
    let info = t.info().unwrap();
    assert_eq!(info.window_scale.unwrap().1, 7);
}

/// Connections that nobody has accepted yet, and handshakes.
fn waiting(t: &Rig) -> (usize, usize) {
    let status = t.stack.listener(t.listener.unwrap()).unwrap();
    (status.pending, status.half_open)
}

#[test]
fn third_ack_without_timestamps() {
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1460,nop,nop,TS val 1 ecr 0>");
    t.forget_rest();
    // no options
    let mut seg = t.segment(". 1:1(0) ack 1");
    seg.options.clear();
    let f = seg.to_frame(stack::testing::rig::PEER_MAC, stack::testing::rig::HOST_MAC);
    t.inject_frame(&f);
    // It is dropped (RFC 7323 §3.2), and the handshake waits on, with a timer that ends it.
    let (pending, half_open) = waiting(&t);
    assert_eq!((pending, half_open, t.current_state()), (0, 1, State::SynReceived));
    t.advance(Duration::from_secs(100_000));
    t.forget_rest();
    assert_eq!(waiting(&t), (0, 0));
}

#[test]
fn ecn_syn_again() {
    let mut t = Rig::listening();
    t.inject("SEW 0:0(0) win 65535 <mss 1460>");
    t.expect("SE. 0:0(0) ack 1 <...>");
    t.inject("SEW 0:0(0) win 65535 <mss 1460>");
    t.expect("SE. 0:0(0) ack 1 <...>");
}

#[test]
fn peer_probes_are_no_duplicate_acks() {
    let mut o = ListenOptions::default();
    o.tcp.receive_buffer = Some(2048);
    let mut t = Rig::new().listen(o).accept_from("<mss 1000>");
    t.inject(". 1:1001(1000) ack 1")
        .inject(". 1001:2001(1000) ack 1")
        .inject(". 2001:2049(48) ack 1")
        .forget_rest();
    t.send(4000);
    t.forget_rest();
    for _ in 0..3 {
        t.inject(". 2049:2050(1) ack 1");
    }
    while t.unexpected() > 0 {
        let s = t.next_segment();
        assert!(s.payload.is_empty(), "fast retransmit caused by window probes");
    }
}

#[test]
fn acks_after_a_shrunk_window() {
    let mut t = Rig::established();
    t.send(1000);
    t.expect("P. 1:1001(1000) ack 1");
    // Lost; the peer shrinks to zero and sends text of its own.
    t.inject(". 1:1(0) ack 1 win 0");
    t.inject("P. 1:11(10) ack 1 win 0");
    t.advance(ms(100));
    let a = t.next_segment();
    let rel = a.seq.wrapping_sub(t.bases().seq);
    t.forget_rest();
    assert_eq!(rel, 1, "the acknowledgment lies outside the peer's window");
}

#[test]
fn fin_into_a_closed_window() {
    let mut t = Rig::established();
    t.send(10);
    t.expect("P. 1:11(10) ack 1");
    t.inject(". 1:1(0) ack 11 win 0").shutdown();
    for _ in 0..2000 {
        t.advance(Duration::from_secs(1));
        if t.unexpected() > 0 {
            t.forget_rest();
            t.inject(". 1:1(0) ack 11 win 0");
        }
    }
    t.forget_rest();
    assert_eq!(t.current_state(), State::FinWait1, "ended although the peer answers");
}

#[test]
fn shrunk_window_answered_for_long() {
    let mut t = Rig::established();
    t.send(4000);
    t.forget_rest();
    t.inject(". 1:1(0) ack 1 win 0");
    let mut text = 0;
    for _ in 0..20_000 {
        t.advance(ms(100));
        while t.unexpected() > 0 {
            text += t.next_segment().payload.len();
            t.inject(". 1:1(0) ack 1 win 0");
        }
    }
    t.forget_rest();
    assert_eq!(t.current_state(), State::Established);
    assert_eq!(text, 0);
}

/// The window closes when the retransmission timer has expired and nothing has gone again yet.
#[test]
fn window_closed_upon_a_timeout() {
    let mut t = Rig::established();
    t.send(4000);
    t.forget_rest();
    t.hold(ms(1500)).inject(". 1:1(0) ack 1 win 0");
    t.forget_rest();
    t.advance(Duration::from_secs(10));
    assert!(t.unexpected() > 0, "it is never probed");
    t.forget_rest();
}

#[test]
fn stale_probe_count() {
    let mut t = Rig::established();
    t.send(1000);
    t.forget_rest();
    t.inject(". 1:1(0) ack 1 win 0").advance(Duration::from_secs(2));
    t.forget_rest();
    t.inject(". 1:1(0) ack 1001 win 0").advance(Duration::from_secs(1000));
    t.forget_rest();
    t.send(10);
    t.advance(ms(4000));
    t.forget_rest();
    assert_eq!(t.current_state(), State::Established, "ended without a probe");
}

#[test]
fn repeated_syn_is_not_timed() {
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1460>").forget_rest();
    t.advance(ms(900));
    t.inject("S 0:0(0) win 65535 <mss 1460>").forget_rest();
    t.advance(ms(10));
    t.inject(". 1:1(0) ack 1").accept();
    t.forget_rest();
    assert!(t.info().unwrap().rtt < ms(100));
}

/// Seed 40102972 of the world: a device that was full when the timer expired, and the peer's word
/// that it expired for nothing before the device took anything.
#[test]
fn a_needless_time_out_before_anything_was_sent_again() {
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1000,sackOK>").forget_rest();
    t.advance(ms(100)).inject(". 1:1(0) ack 1").accept();
    t.send(5000);
    t.advance(ms(100)).inject(". 1:1(0) ack 1 <nop,nop,sack 1001:3001>").forget_rest();
    // What is missing, and once more as a probe.
    for _ in 0..2 {
        t.expect_within(ms(300), ". 1:1001(1000) ack 1");
    }
    let late = t.now() + Duration::from_secs(5);
    t.stack.advance(late);
    let word = t.segment(". 1:1(0) ack 1 <nop,nop,sack 1001:4001>");
    t.stack.receive(late, RxFrame::plain(&word.to_frame(PEER_MAC, HOST_MAC)));
    assert_eq!(t.stack.counters().tcp_spurious_rtos, 1);
    // Nothing else comes.
    t.advance(Duration::from_secs(60));
    assert!(t.take_segments().iter().any(|it| it.payload.len() == 1000), "it stands still");
}
