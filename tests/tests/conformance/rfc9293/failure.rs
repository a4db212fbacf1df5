//! RFC 9293 §3.8.1 to §3.8.4: retransmission, congestion, failure, keepalive.

use crate::linux::set;
use crate::{ms, reno, secs};
use stack::testing::rig::Rig;
use stack::{State, TcpError, TcpOptions};
use std::time::Duration;

fn with_options(change: impl FnOnce(&mut TcpOptions)) -> Rig {
    let mut t = Rig::established();
    set(&mut t, change);
    t.drain();
    t
}

/// When the segments come that `line` describes, until there are no more of them for `patience`.
fn times(t: &mut Rig, line: &str, count: usize) -> Vec<Duration> {
    (0..count).map(|_| t.expect_within(secs(200), line)).collect()
}

#[test]
fn must_19_time_outs_back_off_exponentially() {
    let mut t = Rig::established();
    t.send(10).expect("P. 1:11(10) ack 1");
    let gaps = times(&mut t, "P. 1:11(10) ack 1", 8);
    for two in gaps.windows(2).take(7) {
        let (first, second) = (two[0].as_millis(), two[1].as_millis());
        assert!(second.abs_diff(2 * first) <= 1 + first / 20, "{gaps:?}");
    }
}

#[test]
fn must_19_slow_start() {
    let mut t = Rig::established();
    t.send(300_000);
    let first = t.take_segments();
    assert_eq!(first.len(), 10, "the initial window (RFC 6928)");
    let (mut window, mut end) = (14_600, 14_601);
    for _ in 0..2 {
        t.inject(&format!(". 1:1(0) ack {end}"));
        let more: usize = t.take_segments().iter().map(|segment| segment.payload.len()).sum();
        assert!(more > window && more <= 2 * window, "{more} bytes after {window}");
        (window, end) = (more, end + more);
    }
}

#[test]
fn must_19_after_a_time_out_one_segment() {
    let mut t = reno();
    t.send(14_600);
    assert_eq!(t.take_segments().len(), 10);
    t.expect_within(secs(2), ". 1:1461(1460) ack 1");
    t.expect_nothing();
    assert!(t.info().unwrap().ssthresh <= 7_300, "half of what was in flight");
}

/// R2: a connection whose text is never acknowledged fails, but not within 100 s.
#[test]
fn must_20_a_dead_peer_is_found_out() {
    let mut t = Rig::established();
    t.send(10).forget_rest();
    t.advance(secs(2000)).forget_rest();
    t.state(State::Closed).expect_error(TcpError::TimedOut);
}

/// R1: after some retransmissions the next hop is asked for again, before the connection ends.
#[test]
fn must_20_the_next_hop_is_checked() {
    let mut t = Rig::established();
    t.send(10).forget_rest();
    let before = format!("{t:?}").matches("arp who has").count();
    t.answers_arp = false;
    t.advance(secs(120)).forget_rest();
    let after = format!("{t:?}").matches("arp who has").count();
    assert!(after > before, "no ARP request in two minutes of silence");
    t.state(State::Established);
}

#[test]
fn shld_10_r1_is_three_retransmissions_at_least() {
    let mut t = Rig::established();
    t.send(10).expect("P. 1:11(10) ack 1");
    let before = format!("{t:?}").matches("arp who has").count();
    times(&mut t, "P. 1:11(10) ack 1", 2);
    assert_eq!(format!("{t:?}").matches("arp who has").count(), before, "after two");
}

#[test]
fn must_21_the_application_sets_r2() {
    let mut t = with_options(|options| options.user_timeout = Some(secs(5)));
    t.send(10).forget_rest();
    t.advance(secs(4)).forget_rest().state(State::Established);
    t.advance(secs(8)).forget_rest().expect_error(TcpError::TimedOut);
}

#[test]
fn shld_11_r2_is_a_hundred_seconds_at_least() {
    let mut t = Rig::established();
    t.send(10).forget_rest();
    t.advance(secs(100)).forget_rest().state(State::Established);
}

#[test]
fn must_22_syns_are_sent_again() {
    let mut t = Rig::connecting();
    let gaps = times(&mut t, "S 0:0(0) <...>", 5);
    assert!((ms(900)..ms(1100)).contains(&gaps[0]), "{gaps:?}");
    assert!(gaps.windows(2).all(|two| two[1] >= two[0] * 19 / 10), "{gaps:?}");
}

#[test]
fn must_23_a_syn_is_tried_for_three_minutes() {
    let mut t = Rig::connecting();
    t.advance(secs(180)).state(State::SynSent);
    assert!(t.unexpected() >= 6, "{} retransmissions", t.unexpected());
    t.advance(secs(200)).forget_rest().state(State::Closed).expect_error(TcpError::TimedOut);
}

/// A connection that asks after an idle peer.
fn kept_alive() -> Rig {
    with_options(|options| {
        options.keepalive = true;
        options.keepalive_idle = secs(20);
        options.keepalive_interval = secs(5);
        options.keepalive_count = 3;
    })
}

#[test]
fn must_24_keepalive_can_be_switched() {
    let mut t = kept_alive();
    t.expect_within(secs(25), ". 0:0(0) ack 1");
    t.inject(". 1:1(0) ack 1");
    let (now, mut options) = (t.now(), t.tcp().options());
    options.keepalive = false;
    t.tcp().set_options(now, options);
    t.drain().expect_silence(secs(3600)).state(State::Established);
}

#[test]
fn must_25_keepalive_is_off_by_default() {
    let mut t = Rig::established();
    t.expect_silence(secs(3 * 24 * 3600)).state(State::Established);
}

#[test]
fn must_26_keepalive_waits_for_silence() {
    let mut t = kept_alive();
    for i in 0..10 {
        t.expect_silence(secs(15));
        t.inject(&format!("P. {}:{}(1) ack 1", 1 + i, 2 + i));
        t.expect_within(ms(500), &format!(". 1:1(0) ack {}", 2 + i));
    }
    t.expect_between(secs(19), secs(22), ". 0:0(0) ack 11");
    t.inject(". 11:11(0) ack 1");
    // With text in flight the retransmissions ask instead.
    t.send(10).expect("P. 1:11(10) ack 11");
    t.advance(secs(100));
    let asked = t.take_segments();
    assert!(!asked.is_empty() && asked.iter().all(|segment| segment.payload.len() == 10));
}

#[test]
fn must_27_the_interval_is_the_applications() {
    let mut t = kept_alive();
    t.expect_between(secs(18), secs(22), ". 0:0(0) ack 1");
    t.expect_between(ms(4500), ms(5500), ". 0:0(0) ack 1");
    t.expect_between(ms(4500), ms(5500), ". 0:0(0) ack 1");
    t.expect_silence(secs(4)).state(State::Established);
    t.advance(secs(2)).forget_rest().expect_error(TcpError::TimedOut);
}

#[test]
fn must_27_only_its_own_options_move_it() {
    let mut t = kept_alive();
    t.expect_silence(secs(15));
    let mut options = t.tcp().options();
    options.quick_ack = true;
    let now = t.now();
    t.tcp().set_options(now, options);
    t.drain().expect_between(ms(4500), ms(5500), ". 0:0(0) ack 1");
    t.inject(". 1:1(0) ack 1").expect_silence(secs(15));
    // The silence so far counts.
    options.keepalive_idle = secs(25);
    let now = t.now();
    t.tcp().set_options(now, options);
    t.drain().expect_between(ms(9500), ms(10_500), ". 0:0(0) ack 1");
    t.inject(". 1:1(0) ack 1").expect_silence(secs(15));
    options.keepalive_idle = secs(5);
    let now = t.now();
    t.tcp().set_options(now, options);
    t.drain().expect_within(ms(500), ". 0:0(0) ack 1");
}

#[test]
fn must_28_the_default_interval_is_two_hours() {
    let mut t = with_options(|options| options.keepalive = true);
    assert!(t.tcp().options().keepalive_idle >= secs(7200));
    t.expect_between(secs(7200), secs(7300), ". 0:0(0) ack 1");
}

#[test]
fn must_29_one_lost_probe_is_no_death() {
    let mut t = kept_alive();
    t.expect_within(secs(25), ". 0:0(0) ack 1");
    t.expect_within(secs(6), ". 0:0(0) ack 1");
    t.inject(". 1:1(0) ack 1").expect_silence(secs(15)).state(State::Established);
    t.expect_within(secs(6), ". 0:0(0) ack 1");
}

#[test]
fn shld_12_probes_carry_no_text() {
    let mut t = kept_alive();
    t.expect_within(secs(25), ". 0:0(0) ack 1");
    assert!(t.last().payload.is_empty());
}

/// MUST-37: the time behind a closed window, whose probes are answered, is no failure to progress.
/// When it opens, what was lost behind it has its time like any other.
#[test]
fn must_37_the_time_behind_a_window_does_not_count() {
    let mut t = with_options(|options| options.user_timeout = Some(secs(60)));
    t.inject(". 1:1(0) ack 1 win 2920").send(2920);
    assert_eq!(t.take_segments().len(), 2);
    t.inject(". 1:1(0) ack 1 win 0");
    for _ in 0..20 {
        t.advance(secs(10)).forget_rest();
        t.inject(". 1:1(0) ack 1 win 0").forget_rest();
    }
    t.inject(". 1:1(0) ack 1 win 2920").expect(". 1:1461(1460) ack 1").forget_rest();
    t.advance(secs(40)).forget_rest().state(State::Established);
    t.advance(secs(40)).forget_rest().state(State::Closed);
}

/// R2 behind a closed window, too: who no longer answers probes is gone.
#[test]
fn must_20_probes_that_nobody_answers_end_the_connection() {
    let mut t = with_options(|options| options.user_timeout = Some(secs(60)));
    t.inject(". 1:1(0) ack 1 win 0").send(100).expect_nothing();
    t.advance(secs(50)).forget_rest().state(State::Established);
    t.advance(secs(70)).forget_rest().state(State::Closed).expect_error(TcpError::TimedOut);
}
