//! RFC 4987: SYN floods. Cookies (§3.6), and what they must not break (THREATS ).

use crate::{ms, secs};
use stack::testing::packet::Segment;
use stack::testing::rig::{HOST_MAC, PEER_MAC, Rig};
use stack::{ListenOptions, State};

/// What an honest client's SYN carries.
const FULL: &str = "<mss 1400,sackOK,TS val 1000000 ecr 0,nop,wscale 7>";

/// A listener with room for one handshake, which somebody has begun and does not finish.
fn flooded() -> Rig {
    let mut t = Rig::with(|config| config.tcp.half_open_per_listener = 1);
    t = t.listen(ListenOptions::default());
    t.set_peer_port(1).inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    t.set_peer_port(2000);
    t
}

#[test]
fn section_3_6_a_cookie_finishes_a_handshake() {
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1400>").expect("S. 0:0(0) ack 1 <mss 1460>");
    assert_eq!(t.stack.usage().half_open, 1, "it is remembered");
    t.inject("P. 1:101(100) ack 1 win 65535").accept().state(State::Established);
    t.expect_read(100).forget_rest();
    t.send(2720).expect(". 1:1361(1360) ack 101").expect("P. 1361:2721(1360) ack 101");
    let counters = t.stack.counters();
    let counted = [counters.tcp_cookies_sent, counters.tcp_cookies_received];
    assert_eq!((counted, counters.tcp_half_open_evicted), ([1, 1], 0));
}

#[test]
fn section_3_6_timestamps_bring_scale_and_sack_back() {
    let mut t = flooded().accept_from(FULL);
    let info = t.info().unwrap();
    assert!(info.timestamps && info.sack, "{info:?}");
    assert_eq!(info.window_scale.map(|(theirs, _)| theirs), Some(7));
    assert_eq!(info.rtt, ms(0), "a cookie's clock is no measure of time");
    t.inject("P. 1001:2001(1000) ack 1");
    t.expect(". 1:1(0) ack 1 <nop,nop,TS val * ecr *,nop,nop,sack 1001:2001>");
    t.inject(". 1:1001(1000) ack 1").expect(". 1:1(0) ack 2001").expect_read(2000);
    t.inject(". 2001:2001(0) ack 1 win 1000");
    assert_eq!(t.info().unwrap().send_window, 128_000);
}

#[test]
fn section_3_6_without_timestamps_neither_is_offered() {
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460,sackOK,nop,wscale 7>");
    t.expect("S. 0:0(0) ack 1 <mss 1460>");
}

/// what is not remembered is not sent again.
#[test]
fn r16_a_cookie_is_sent_once() {
    let mut t = flooded();
    t.advance(secs(300)).forget_rest();
    t.set_peer_port(1).inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    t.set_peer_port(2000).inject("S 0:0(0) win 65535").expect("S. 0:0(0) ack 1 <...>");
    t.set_peer_port(2001).inject("S 0:0(0) win 65535").expect("S. 0:0(0) ack 1 <...>");
    t.set_peer_port(1).inject("R 1:1(0)").expect_silence(secs(100));
}

#[test]
fn r2_an_old_cookie_is_not_taken() {
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    t.advance(secs(60)).forget_rest().inject(". 1:1(0) ack 1").accept();
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    t.advance(secs(129)).forget_rest();
    t.inject(". 1:1(0) ack 1").expect("R 1:1(0)").state(State::Listen);
}

/// where no cookies are given none is looked for.
#[test]
fn r2_a_listener_that_is_not_flooded_takes_no_cookie() {
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    let now = t.now();
    let listener = t.listener.unwrap();
    t.stack.close_listener(now, listener);
    t = t.listen(ListenOptions::default());
    t.inject(". 1:1(0) ack 1").expect("R 1:1(0)");
    assert_eq!(t.stack.counters().tcp_cookies_failed, 0);
}

/// a SYN that comes again when there is room begins a handshake with other numbers; the
/// cookie's third segment is as good.
#[test]
fn r2_from_cookie_to_table_within_one_handshake() {
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    let cookie = t.segment(". 1:1(0) ack 1");
    t.set_peer_port(1).inject("R 1:1(0)").set_peer_port(2000);
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    assert_eq!(t.stack.usage().half_open, 1);
    let frame = cookie.to_frame(PEER_MAC, HOST_MAC);
    t.inject_frame(&frame).expect_nothing().accept();
    assert_eq!((t.stack.usage().half_open, t.stack.usage().connections), (0, 1));
}

/// so it is when the third segment and the first text are lost, and a later segment meets
/// the handshake (world, seed 2026).
#[test]
fn r2_late_text_after_a_cookie_is_not_reset() {
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    let later = t.segment("P. 101:201(100) ack 1");
    let first = t.segment("P. 1:201(200) ack 1");
    t.set_peer_port(1).inject("R 1:1(0)").set_peer_port(2000);
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    let frame = |segment: &Segment| segment.to_frame(PEER_MAC, HOST_MAC);
    t.inject_frame(&frame(&later)).expect_nothing();
    t.inject_frame(&frame(&first)).accept().expect_read(200).forget_rest();
}

/// the third segment, text and an acknowledgment arrive together; and text alone, the third
/// segment lost. Nobody is reset.
#[test]
fn r2_what_comes_with_the_third_segment() {
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    let burst = [". 1:1(0) ack 1", "P. 1:101(100) ack 1", ". 101:101(0) ack 1"];
    t.inject_burst(&burst).accept().expect_read(100).forget_rest();
    t.state(State::Established);

    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    t.inject("P. 101:201(100) ack 1").expect_nothing();
    t.inject("P. 1:201(200) ack 1").accept().expect_read(200).forget_rest();
}

/// at a full accept queue a cookie's third segment waits, and is not reset.
#[test]
fn r4_a_cookie_before_a_full_accept_queue() {
    let mut t = Rig::with(|config| config.tcp.half_open_per_listener = 1);
    t = t.listen(ListenOptions { backlog: 1, ..ListenOptions::default() });
    t.set_peer_port(1).inject("S 0:0(0) win 65535").expect("S. 0:0(0) ack 1 <...>");
    t.set_peer_port(2000).inject("S 0:0(0) win 65535").expect("S. 0:0(0) ack 1 <...>");
    let late = t.segment("P. 1:11(10) ack 1");
    t.set_peer_port(1).inject("S 0:0(0) win 65535").expect("S. 0:0(0) ack 1 <...>");
    t.inject(". 1:1(0) ack 1").set_peer_port(2000);
    let frame = late.to_frame(stack::testing::rig::PEER_MAC, stack::testing::rig::HOST_MAC);
    t.inject_frame(&frame).expect_nothing();
    t.accept().inject_frame(&frame).accept().forget_rest();
}

/// 2^18 guesses make no connection.
#[test]
fn r2_guessing_makes_no_connection() {
    let mut t = flooded();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    for i in 0..1u32 << 18 {
        let guess = 1000 + i64::from(i.wrapping_mul(0x9e37_79b9) >> 1);
        t.inject(&format!(". 1:1(0) ack {guess}"));
    }
    assert_eq!((t.stack.usage().connections, t.unexpected()), (0, 0));
    assert_eq!(t.stack.counters().tcp_cookies_failed, 1 << 18);
}
