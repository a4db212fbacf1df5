//! RFC 9293 §3.7.4, §3.8.6.2, §3.9.1.2: when text is sent and when it waits.

use crate::{ms, secs};
use stack::testing::packet::Flags;
use stack::testing::rig::{Rig, host_byte};
use stack::{ListenOptions, SendError, TcpOptions};

fn without_nagle() -> Rig {
    let mut t = Rig::established();
    let now = t.now();
    let options = TcpOptions { nodelay: true, ..t.tcp().options() };
    t.tcp().set_options(now, options);
    t
}

#[test]
fn shld_7_nagle_is_on_by_default() {
    let mut t = Rig::established();
    t.send(1).expect("P. 1:2(1) ack 1");
    for _ in 0..9 {
        t.send(1).expect_nothing();
    }
    t.inject(". 1:1(0) ack 2").expect("P. 2:11(9) ack 1");
}

#[test]
fn shld_7_nagle_lets_full_segments_go() {
    let mut t = Rig::established();
    t.send(1).expect("P. 1:2(1) ack 1");
    t.send(1459).expect_nothing();
    t.send(1).expect("P. 2:1462(1460) ack 1");
}

/// Minshall's form: a tail waits for small segments only, not for full ones.
#[test]
fn shld_7_a_tail_follows_full_segments() {
    let mut t = Rig::established();
    t.send(2000).expect(". 1:1461(1460) ack 1").expect("P. 1461:2001(540) ack 1");
    t.send(100).expect_nothing();
    t.inject(". 1:1(0) ack 1461").expect_nothing();
    t.inject(". 1:1(0) ack 2001").expect("P. 2001:2101(100) ack 1");
}

#[test]
fn must_17_nagle_can_be_switched_off() {
    let mut t = without_nagle();
    t.send(1).expect("P. 1:2(1) ack 1").send(1).expect("P. 2:3(1) ack 1");
}

/// Switching it off lets go what was held.
#[test]
fn must_17_switching_off_lets_go() {
    let mut t = Rig::established();
    t.send(1).expect("P. 1:2(1) ack 1").send(1).expect_nothing();
    let now = t.now();
    let options = TcpOptions { nodelay: true, ..t.tcp().options() };
    t.tcp().set_options(now, options);
    t.drain().expect("P. 2:3(1) ack 1");
}

#[test]
fn must_38_the_sender_avoids_silly_windows() {
    let mut t = without_nagle();
    t.window = 4000;
    t.inject(". 1:1(0) ack 1 win 4000").send(20_000);
    t.expect(". 1:1461(1460) ack 1").expect("P. 1461:2921(1460) ack 1");
    // What is left of the window is less than a segment and less than half of the greatest.
    let rest = t.take_segments();
    assert!(rest.iter().all(|segment| segment.payload.len() >= 1079), "{rest:?}");
    let end = rest.last().map_or(2921, |segment| t.end_of(segment));
    t.inject(&format!(". 1:1(0) ack {end} win 1")).expect_nothing();
    t.inject(&format!(". 1:1(0) ack {end} win 100")).expect_nothing();
    t.inject(&format!(". 1:1(0) ack {end} win 1460"));
    t.expect(&format!(". {end}:{}(1460) ack 1", end + 1460));
}

/// The override: text does not wait for ever for a better window.
#[test]
fn must_38_the_sender_does_not_wait_for_ever() {
    let mut t = Rig::established();
    t.send(1460).expect("P. 1:1461(1460) ack 1");
    t.inject(". 1:1(0) ack 1461 win 100").send(5000).expect_nothing();
    t.expect_between(ms(100), ms(1100), ". 1461:1561(100) ack 1");
}

#[test]
fn must_39_the_receiver_avoids_silly_windows() {
    let tcp = TcpOptions { receive_buffer: Some(4000), ..TcpOptions::default() };
    let options = ListenOptions { tcp, ..ListenOptions::default() };
    let mut t = Rig::new().listen(options).accept_from("<mss 1460>");
    t.inject("P. 1:1461(1460) ack 1").inject("P. 1461:2921(1460) ack 1");
    t.inject("P. 2921:4001(1080) ack 1").forget_rest();
    t.inject("P. 4001:4002(1) ack 1").expect(". 1:1(0) ack 4001 win 0");
    for _ in 0..1400 {
        assert_eq!(t.try_recv(1), Ok(1));
    }
    t.expect_nothing();
    for _ in 0..100 {
        assert_eq!(t.try_recv(1), Ok(1));
    }
    let update = t.next_segment();
    assert!((1460..=1500).contains(&update.window), "{update:?}");
    t.expect_nothing();
}

#[test]
fn must_60_text_is_not_kept_for_ever() {
    let mut t = Rig::established();
    t.send(10).expect("P. 1:11(10) ack 1");
    // Held by Nagle, and let go by the acknowledgment or the retransmission at the latest.
    t.send(10).expect_nothing();
    t.inject(". 1:1(0) ack 11").expect("P. 11:21(10) ack 1");
}

#[test]
fn must_61_the_last_segment_is_pushed() {
    let mut t = Rig::established();
    t.send(3000);
    t.expect(". 1:1461(1460) ack 1").expect(". 1461:2921(1460) ack 1");
    t.expect("P. 2921:3001(80) ack 1");
}

/// Behind a burst too, though more is buffered, as Linux does it behind a super-frame: the receiver
/// need not wait for the rest. Not behind a segment that goes alone.
#[test]
fn may_16_a_burst_is_pushed() {
    let mut t = Rig::established();
    t.send(100_000);
    let pushed = |t: &mut Rig| -> Vec<bool> {
        t.take_segments().iter().map(|segment| segment.flags.has(Flags::PSH)).collect()
    };
    assert_eq!(pushed(&mut t), [vec![false; 9], vec![true]].concat());
    // On a longer path in pairs, which is what goes in a millisecond at the least.
    let mut t = Rig::connecting();
    t.advance(ms(100)).inject("S. 0:0(0) ack 1 win 14600 <mss 1460>").expect(". 1:1(0) ack 1");
    t.send(100_000);
    assert_eq!(pushed(&mut t), [false, true].repeat(5));
    t.inject(". 1:1(0) ack 1461 win 14600").expect(". 14601:16061(1460) ack 1").expect_nothing();
}

/// SEND is with PUSH, unless the application says that more comes (`MSG_MORE`).
#[test]
fn may_15_text_before_more_is_not_pushed() {
    let mut t = without_nagle();
    let now = t.now();
    assert_eq!(t.tcp().send_more(now, &[host_byte(0)]), Ok(1));
    t.drain().expect_nothing();
    let options = TcpOptions { nodelay: false, ..t.tcp().options() };
    t.tcp().set_options(now, options);
    let options = TcpOptions { nodelay: true, ..options };
    t.tcp().set_options(now, options);
    t.drain().expect(". 1:2(1) ack 1");
}

#[test]
fn shld_27_writes_collapse_into_segments() {
    let mut t = Rig::established();
    t.inject(". 1:1(0) ack 1 win 0");
    for _ in 0..10 {
        t.send(292).expect_nothing();
    }
    t.inject(". 1:1(0) ack 1 win 65535");
    t.expect(". 1:1461(1460) ack 1").expect("P. 1461:2921(1460) ack 1").expect_nothing();
}

#[test]
fn shld_28_segments_are_as_large_as_they_may_be() {
    let mut t = Rig::established();
    t.send(10 * 1460);
    for segment in t.take_segments() {
        assert_eq!(segment.payload.len(), 1460);
    }
}

/// Before the connection is open no text is taken, and nothing is lost but time.
#[test]
fn text_waits_for_the_handshake() {
    let mut t = Rig::connecting();
    assert_eq!(t.try_send(10), Err(SendError::WouldBlock));
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>").expect(". 1:1(0) ack 1");
    t.send(10).expect("P. 1:11(10) ack 1");
    t.expect_silence(ms(100)).advance(secs(0));
}
