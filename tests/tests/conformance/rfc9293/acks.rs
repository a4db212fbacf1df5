//! RFC 9293 §3.8.6.3: when to send an acknowledgment.

use crate::ms;
use stack::TcpOptions;
use stack::testing::rig::Rig;

#[test]
fn shld_18_acknowledgments_are_delayed() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").expect_nothing();
    t.expect_between(ms(1), ms(500), ". 1:1(0) ack 11");
}

/// On an answer the acknowledgment needs no segment of its own.
#[test]
fn shld_18_acknowledgments_ride_on_text() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").expect_nothing();
    t.send(5).expect("P. 1:6(5) ack 11").expect_silence(ms(100));
}

#[test]
fn must_40_the_delay_is_below_half_a_second() {
    for len in [1, 100, 1459] {
        let mut t = Rig::established();
        t.inject(&format!("P. 1:{}({len}) ack 1", 1 + len));
        let delay = t.expect_within(ms(499), &format!(". 1:1(0) ack {}", 1 + len));
        assert!(
            delay <= ms(41),
            "at most 40 ms and a tick, as the packet scripts expect: {delay:?}"
        );
    }
}

#[test]
fn shld_19_every_second_full_segment() {
    let mut t = Rig::established();
    let mut acks = 0;
    for i in 0..10 {
        t.inject(&format!(". {}:{}(1460) ack 1", 1 + i * 1460, 1461 + i * 1460));
        acks += t.take_segments().len();
    }
    assert!(acks >= 5, "{acks} acknowledgments for ten segments");
}

#[test]
fn quick_ack_does_not_wait() {
    let mut t = Rig::established();
    let now = t.now();
    let options = TcpOptions { quick_ack: true, ..t.tcp().options() };
    t.tcp().set_options(now, options);
    t.inject("P. 1:11(10) ack 1").expect(". 1:1(0) ack 11");
}

/// RFC 5681 §4.2: a segment that fills a hole, and one that was there before.
#[test]
fn holes_and_duplicates_are_acknowledged_at_once() {
    let mut t = Rig::established();
    t.inject("P. 11:21(10) ack 1").expect(". 1:1(0) ack 1");
    t.inject("P. 1:11(10) ack 1").expect(". 1:1(0) ack 21");
    t.inject("P. 1:11(10) ack 1").expect(". 1:1(0) ack 21");
}
