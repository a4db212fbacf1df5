//! What Linux has beyond the RFCs: when what the application writes is sent, and when it is asked
//! to write (`TCP_CORK`, `MSG_MORE`, `TCP_NOTSENT_LOWAT`).

use crate::{ms, secs};
use stack::testing::rig::{Rig, host_byte};
use stack::{Readiness, SendError, TcpOptions};

pub(crate) fn set(t: &mut Rig, change: impl FnOnce(&mut TcpOptions)) {
    let (now, mut options) = (t.now(), t.tcp().options());
    change(&mut options);
    t.tcp().set_options(now, options);
}

#[test]
fn a_corked_segment_waits_until_it_is_full() {
    let mut t = Rig::established();
    set(&mut t, |options| options.cork = true);
    t.send(1000).expect_nothing();
    t.send(1000).expect(". 1:1461(1460) ack 1");
    t.inject(". 1:1(0) ack 1461").expect_nothing();
    // The end of the cork sends the rest.
    set(&mut t, |options| options.cork = false);
    t.drain().expect("P. 1461:2001(540) ack 1");
}

#[test]
fn a_cork_holds_for_200_milliseconds() {
    let mut t = Rig::established();
    set(&mut t, |options| options.cork = true);
    t.send(100).expect_between(ms(200), ms(201), "P. 1:101(100) ack 1");
    t.inject(". 1:1(0) ack 101");
    t.send(100).expect_between(ms(200), ms(201), "P. 101:201(100) ack 1");
    t.inject(". 1:1(0) ack 201");
    // With text in flight too.
    t.send(1560).expect(". 201:1661(1460) ack 1");
    t.advance(ms(100)).inject(". 1:1(0) ack 1661").expect_nothing();
    t.expect_between(ms(99), ms(101), "P. 1661:1761(100) ack 1");
}

/// A FIN ends the stream: nothing follows that could fill the segment.
#[test]
fn a_cork_does_not_hold_a_fin() {
    let mut t = Rig::established();
    set(&mut t, |options| options.cork = true);
    t.send(100).expect_nothing();
    t.shutdown().expect("FP. 1:101(100) ack 1");
}

/// TCP_NODELAY flushes even while the cork is in.
#[test]
fn nodelay_flushes_a_cork() {
    let mut t = Rig::established();
    set(&mut t, |options| options.cork = true);
    t.send(100).expect_nothing();
    set(&mut t, |options| options.nodelay = true);
    t.drain().expect("P. 1:101(100) ack 1");
    t.inject(". 1:1(0) ack 101");
    t.send(100).expect_nothing();
    t.abort().forget_rest();
}

#[test]
fn text_that_more_follows_waits_for_it() {
    let mut t = Rig::established();
    let now = t.now();
    let head: Vec<u8> = (0..100).map(host_byte).collect();
    let body: Vec<u8> = (100..300).map(host_byte).collect();
    assert_eq!(t.tcp().send_more(now, &head), Ok(100));
    t.drain().expect_nothing();
    assert_eq!(t.tcp().send(now, &body), Ok(200));
    t.drain().expect("P. 1:301(300) ack 1");
    t.inject(". 1:1(0) ack 301");
    let tail: Vec<u8> = (300..310).map(host_byte).collect();
    assert_eq!(t.tcp().send_more(now, &tail), Ok(10));
    t.expect_between(ms(200), ms(201), "P. 301:311(10) ack 1");
}

/// The time of one cork is no part of the next one's.
#[test]
fn each_corked_segment_has_its_own_time() {
    let mut t = Rig::established();
    set(&mut t, |options| options.cork = true);
    t.send(100).advance(ms(150));
    set(&mut t, |options| options.cork = false);
    t.drain().expect("P. 1:101(100) ack 1");
    t.inject(". 1:1(0) ack 101");
    set(&mut t, |options| options.cork = true);
    t.send(100).expect_between(ms(200), ms(201), "P. 101:201(100) ack 1");
}

/// What is lost is sent again, cork or no cork.
#[test]
fn a_cork_does_not_hold_what_is_sent_again() {
    let mut t = Rig::established();
    t.send(100).expect("P. 1:101(100) ack 1");
    set(&mut t, |options| options.cork = true);
    t.expect_within(secs(2), "P. 1:101(100) ack 1");
}

#[test]
fn little_may_wait_unsent() {
    let mut t = Rig::established();
    set(&mut t, |options| options.notsent_lowat = Some(4000));
    // Ten segments go at once; 4,000 bytes more may wait.
    let mut taken = 0;
    while let Ok(count) = t.try_send(1460) {
        taken += count;
    }
    assert_eq!(t.take_segments().len(), 10);
    assert!((18_600..20_060).contains(&taken), "{taken}");
    let unsent = t.info().unwrap().unsent_bytes;
    assert!((4000..5460).contains(&unsent), "{unsent}");
    let writable = |t: &mut Rig| t.tcp().readiness().contains(Readiness::WRITABLE);
    assert!(!writable(&mut t) && t.tcp().send_room() == 0);
    assert_eq!(t.try_send(1), Err(SendError::WouldBlock));
    // It is told as soon as less than half of it waits: by what is sent, not by what is
    // acknowledged.
    t.events.clear();
    t.inject(". 1:1(0) ack 1461");
    assert_eq!(t.take_segments().len(), 2);
    assert!(writable(&mut t));
    assert!(t.events.iter().any(|event| event.readiness.contains(Readiness::WRITABLE)));
    t.send(100).forget_rest();
}

/// What an option takes away, or gives, is told like what the network does.
#[test]
fn little_may_wait_unsent_from_now_on() {
    let mut t = Rig::established();
    while t.info().unwrap().unsent_bytes < 20_000 {
        t.send(1460);
    }
    let writable = |t: &mut Rig| t.tcp().readiness().contains(Readiness::WRITABLE);
    assert!(writable(&mut t), "nobody was refused anything");
    set(&mut t, |options| options.notsent_lowat = Some(4000));
    assert!(!writable(&mut t));
    let told = |t: &Rig| t.events.iter().any(|it| it.readiness.contains(Readiness::WRITABLE));
    t.drain().events.clear();
    set(&mut t, |options| options.notsent_lowat = None);
    t.drain();
    assert!(told(&t), "at once");
    set(&mut t, |options| options.notsent_lowat = Some(0));
    assert!(writable(&mut t), "nothing is no limit");
    set(&mut t, |options| options.notsent_lowat = Some(4000));
    t.drain().events.clear();
    let mut acked = 0;
    while !writable(&mut t) {
        acked += 2 * 1460;
        t.inject(&format!(". 1:1(0) ack {}", 1 + acked)).forget_rest();
    }
    assert!(told(&t), "by what was sent");
}
