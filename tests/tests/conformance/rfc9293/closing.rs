//! RFC 9293 §3.6: closing.

use crate::{ms, secs};
use stack::testing::rig::Rig;
use stack::{RecvError, SendError, State, TcpError, TcpOptions};

#[test]
fn shld_2_a_reset_may_carry_text() {
    let mut t = Rig::established();
    t.inject("R 1:11(10)").expect_nothing().state(State::Closed).expect_error(TcpError::Reset);
}

#[test]
fn must_12_the_application_can_tell_a_close_from_a_reset() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").inject("F. 11:11(0) ack 1").expect(". 1:1(0) ack 12");
    t.expect_read(10).expect_end();
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").inject("R 11:11(0)");
    t.expect_nothing();
    assert_eq!(t.try_recv(10), Ok(10), "what came before can be read");
    assert_eq!(t.try_recv(10), Err(RecvError::Failed(TcpError::Reset)));
    assert!(matches!(t.try_send(1), Err(SendError::Failed(TcpError::Reset) | SendError::Closed)));
}

#[test]
fn must_13_time_wait_lasts_two_lifetimes() {
    let mut t = Rig::time_wait();
    t.advance(secs(59)).state(State::TimeWait);
    t.inject("F. 1:1(0) ack 2").expect(". 2:2(0) ack 2").state(State::TimeWait);
    // The FIN that came again has set the clock back.
    t.advance(secs(59)).state(State::TimeWait);
    t.advance(secs(2));
    t.inject("F. 1:1(0) ack 2").expect("R 2:2(0)").state(State::Listen);
}

#[test]
fn may_2_a_newer_syn_reopens_from_time_wait() {
    let mut t = Rig::time_wait();
    let past = t.last().seq;
    t.inject("S 1:1(0) win 65535 <mss 1460>").expect(". 2:2(0) ack 2").state(State::TimeWait);
    t.set_peer_isn(2_000_000).inject("S 0:0(0) win 65535 <mss 1460>");
    t.expect("S. 0:0(0) ack 1 <...>").state(State::SynReceived);
    let beyond = t.last().seq.wrapping_sub(past) as i32;
    assert!(beyond > 0, "the new numbers are past the old ones, by {beyond}");
    t.inject(". 1:1(0) ack 1").accept().state(State::Established);
}

#[test]
fn shld_4_timestamps_allow_reuse_with_a_lower_number() {
    let mut t = Rig::accepted("<mss 1460,nop,nop,TS val 1000 ecr 0>");
    t.shutdown().expect("F. 1:1(0) ack 1");
    t.inject("F. 1:1(0) ack 2").expect(". 2:2(0) ack 2").state(State::TimeWait);
    let lower = t.bases().ack - 100_000;
    t.advance(secs(2)).set_peer_isn(lower);
    t.inject("S 0:0(0) win 65535 <mss 1460,nop,nop,TS val 5 ecr 0>");
    t.expect(". 2:2(0) ack 100002 <...>").state(State::TimeWait);
    let newer = t.peer_clock();
    t.inject(&format!("S 0:0(0) win 65535 <mss 1460,nop,nop,TS val {newer} ecr 0>"));
    t.expect("S. 0:0(0) ack 1 <...>").state(State::SynReceived);
}

/// RFC 1337: TIME-WAIT is not assassinated.
#[test]
fn a_reset_does_not_end_time_wait() {
    let mut t = Rig::time_wait();
    t.inject("R 2:2(0)").expect_nothing().state(State::TimeWait);
}

#[test]
fn may_1_half_closed_connections_still_receive() {
    let mut t = Rig::fin_wait_2();
    t.inject("P. 1:101(100) ack 2").expect_within(ms(500), ". 2:2(0) ack 101");
    t.expect_read(100).state(State::FinWait2);
    t.inject("F. 101:101(0) ack 2").expect(". 2:2(0) ack 102").state(State::TimeWait);
    t.expect_end();
    let mut t = Rig::close_wait();
    t.send(100).expect("P. 1:101(100) ack 2").state(State::CloseWait);
}

#[test]
fn shld_3_a_close_with_unread_text_resets() {
    let mut t = Rig::established();
    t.inject("P. 1:11(10) ack 1").forget_rest();
    t.close().expect("R. 1:1(0) ack 11").state(State::Listen);
}

#[test]
fn shld_3_text_after_the_close_resets() {
    let mut t = Rig::established();
    t.close().expect("F. 1:1(0) ack 1");
    t.inject(". 1:1(0) ack 2").expect_nothing().state(State::FinWait2);
    t.inject("P. 1:11(10) ack 2").expect("R 2:2(0)").state(State::Listen);
}

/// RFC 9293 §3.6, figure 12.
#[test]
fn normal_close() {
    let mut t = Rig::fin_wait_1();
    t.inject(". 1:1(0) ack 2").expect_nothing().state(State::FinWait2);
    t.inject("F. 1:1(0) ack 2").expect(". 2:2(0) ack 2").state(State::TimeWait);
    t.advance(secs(61)).expect_nothing().state(State::Listen);
}

/// Figure 13.
#[test]
fn simultaneous_close() {
    let mut t = Rig::closing();
    t.inject(". 2:2(0) ack 2").expect_nothing().state(State::TimeWait);
    t.advance(secs(61)).expect_nothing().state(State::Listen);
}

#[test]
fn passive_close() {
    let mut t = Rig::last_ack();
    t.inject(". 2:2(0) ack 2").expect_nothing().state(State::Closed);
    t.expect_end().close().state(State::Listen);
}

#[test]
fn a_lost_fin_is_sent_again() {
    let mut t = Rig::fin_wait_1();
    t.expect_between(ms(200), ms(1000), "F. 1:1(0) ack 1");
    t.expect_between(ms(400), ms(2000), "F. 1:1(0) ack 1");
    t.inject(". 1:1(0) ack 2").expect_nothing().state(State::FinWait2);
}

#[test]
fn a_fin_follows_the_text() {
    let mut t = Rig::established();
    t.send(2920).shutdown();
    t.expect(". 1:1461(1460) ack 1").expect("P. 1461:2921(1460) ack 1");
    t.expect("F. 2921:2921(0) ack 1").expect_nothing();
    // And rides on it, if the text has waited.
    let mut t = Rig::established();
    t.send(100).send(100).expect("P. 1:101(100) ack 1").expect_nothing();
    t.shutdown().expect("FP. 101:201(100) ack 1").expect_nothing();
    t.inject(". 1:1(0) ack 202").expect_nothing().state(State::FinWait2);
}

/// A FIN is no text: it does not wait for a window.
#[test]
fn a_fin_goes_to_a_closed_window() {
    let mut t = Rig::established();
    t.inject(". 1:1(0) ack 1 win 0").shutdown().expect("F. 1:1(0) ack 1").state(State::FinWait1);
    t.expect_within(secs(2), "F. 1:1(0) ack 1");
    t.expect_within(secs(3), "F. 1:1(0) ack 1");
    let mut t = Rig::established();
    t.inject(". 1:1(0) ack 1 win 0").send(10).shutdown();
    t.expect_nothing().state(State::FinWait1);
    t.inject(". 1:1(0) ack 1 win 10").expect("FP. 1:11(10) ack 1");
}

#[test]
fn linger_zero_resets() {
    let mut t = Rig::established();
    let now = t.now();
    let options = TcpOptions { linger: Some(ms(0)), ..t.tcp().options() };
    t.tcp().set_options(now, options);
    t.close().expect("R. 1:1(0) ack 1").state(State::Listen);
}

/// THREATS R-11: nobody waits for ever for a peer that never closes.
#[test]
fn an_orphan_does_not_wait_for_ever() {
    let mut t = Rig::established();
    t.close().expect("F. 1:1(0) ack 1");
    t.inject(". 1:1(0) ack 2").expect_nothing().state(State::FinWait2);
    t.advance(secs(120)).forget_rest().state(State::Listen);
    let mut t = Rig::close_wait();
    t.close().expect("F. 1:1(0) ack 2").state(State::LastAck);
    t.advance(secs(200)).forget_rest().state(State::Listen);
}

/// Nor does he who goes later than his FIN.
#[test]
fn an_orphan_of_fin_wait_2_does_not_wait_for_ever() {
    let mut t = Rig::fin_wait_2();
    t.close().expect_nothing().state(State::FinWait2);
    t.advance(secs(59)).expect_nothing().state(State::FinWait2);
    t.advance(secs(2)).expect_nothing().state(State::Listen);
}

/// A FIN goes to a closed window. When both sides have sent theirs, the word that opens the window
/// stands before the other's RCV.NXT, as everything does that he sends: it has to be heard all the
/// same (draft-gont-tcpm-tcp-seq-validation §3).
#[test]
fn two_fins_to_closed_windows_find_an_end() {
    for word in ["F. 1:1(0) ack 2", ". 1:1(0) ack 2"] {
        let mut t = Rig::established();
        t.inject(". 1:1(0) ack 1 win 0").shutdown().expect("F. 1:1(0) ack 1");
        t.inject("F. 1:1(0) ack 1 win 0").expect(". 1:1(0) ack 2").state(State::Closing);
        t.inject(word).state(State::TimeWait).forget_rest();
        t.inject("F. 1:1(0) ack 2").expect(". 2:2(0) ack 2");
    }
}
