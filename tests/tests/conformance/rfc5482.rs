//! RFC 5482: the user timeout. The option on the wire is not spoken; what §3 says of the local
//! user timeout holds.

use crate::linux::set;
use crate::{ms, secs};
use stack::testing::rig::Rig;
use stack::{ListenOptions, RecvError, State, TcpError, TcpOptions};
use std::time::Duration;

fn with_timeout(limit: Duration) -> Rig {
    let mut t = Rig::established();
    set(&mut t, |options| options.user_timeout = Some(limit));
    t
}

/// Not at the next doubling of the retransmission timer, which may be twice as late.
#[test]
fn the_time_of_the_user_is_kept_to() {
    let mut t = with_timeout(ms(1000));
    t.send(100).expect("P. 1:101(100) ack 1");
    t.advance(ms(990)).forget_rest();
    t.state(State::Established);
    t.advance(ms(11)).state(State::Closed);
    let mut text = [0; 10];
    let now = t.now();
    assert_eq!(t.tcp().recv(now, &mut text), Err(RecvError::Failed(TcpError::TimedOut)));
}

#[test]
fn an_acknowledgment_begins_it_anew() {
    let mut t = with_timeout(ms(1000));
    t.send(200).expect("P. 1:201(200) ack 1");
    t.advance(ms(900)).forget_rest();
    t.inject(". 1:1(0) ack 101");
    t.advance(ms(900)).forget_rest();
    t.state(State::Established).inject(". 1:1(0) ack 201").expect_silence(secs(100));
}

/// §3: behind a closed window the peer's answers are enough (RFC 9293 MUST-37).
#[test]
fn a_closed_window_is_no_silence() {
    let mut t = with_timeout(ms(1000));
    t.inject(". 1:1(0) ack 1 win 0");
    t.send(100).expect_nothing();
    for _ in 0..5 {
        t.expect_within(secs(30), ". 0:0(0) ack 1");
        t.inject(". 1:1(0) ack 1 win 0");
    }
    t.state(State::Established);
}

/// Nor does a probe for a lost tail put it off, on a path whose time-outs are longer.
#[test]
fn a_tail_probe_does_not_put_it_off() {
    let tcp = TcpOptions { user_timeout: Some(ms(600)), ..TcpOptions::default() };
    let mut t = Rig::new().listen(ListenOptions { tcp, ..ListenOptions::default() });
    t.inject("S 0:0(0) win 65535 <mss 1000,sackOK>").expect("S. 0:0(0) ack 1 <...>");
    t.advance(ms(450)).inject(". 1:1(0) ack 1").accept();
    t.send(100).expect("P. 1:101(100) ack 1");
    t.advance(ms(599)).forget_rest();
    t.state(State::Established);
    t.advance(ms(2)).forget_rest();
    t.state(State::Closed).expect_error(TcpError::TimedOut);
}
