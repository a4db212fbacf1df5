//! RFC 6675, SACK-based loss recovery, as far as RFC 8985 leaves it: what is in the network,
//! what is sent, and which reports are believed.

use crate::rfc8985::{MSS, RTT, at, sack, segment, with_sack};
use crate::{ms, secs};
use stack::testing::rig::Rig;
use stack::{Congestion, ConnectOptions, State, TcpOptions};
use std::collections::BTreeSet;

/// [`with_sack`], under another congestion controller.
pub(crate) fn under(congestion: Congestion, segments: usize) -> Rig {
    let mut t = opened_under(congestion);
    t.send(segments * MSS);
    assert_eq!(t.take_segments().len(), segments);
    t
}

fn opened_under(congestion: Congestion) -> Rig {
    let tcp = TcpOptions { congestion: Some(congestion), ..TcpOptions::default() };
    let mut t = Rig::new().connect(ConnectOptions { tcp, ..ConnectOptions::default() });
    t.advance(RTT);
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 7>");
    t.expect(". 1:1(0) ack 1").state(State::Established);
    // Not what the peer takes is to be the limit.
    t.inject(". 1:1(0) ack 1");
    t
}

/// §4, SetPipe: reported text is not in the network, and what is lost is not either.
#[test]
fn section_4_pipe() {
    let mut t = with_sack(10);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 3)])).expect_nothing();
    assert_eq!(t.info().unwrap().in_flight as usize, 8 * MSS);
    t.inject(&sack(0, &[(1, 4)])).expect(&segment(0));
    // Seven, one of them twice: the lost copy counts no more, the new one does.
    assert_eq!(t.info().unwrap().in_flight as usize, 7 * MSS);
}

/// §5 (C): no more is sent than the window takes beside what is in the network.
#[test]
fn section_5_as_much_as_the_window_takes() {
    let mut t = with_sack(10);
    t.send(40 * MSS).advance(RTT).expect_nothing();
    for right in 2..=10 {
        t.inject(&sack(0, &[(1, right)])).forget_rest();
        let info = t.info().unwrap();
        let most = info.cwnd.max(10 * MSS as u32);
        assert!(info.in_flight <= most, "{} of {most}", info.in_flight);
    }
    let info = t.info().unwrap();
    assert!(info.in_flight <= info.ssthresh, "{} and {}", info.in_flight, info.ssthresh);
}

/// Who takes over from a controller without a threshold in the middle of a recovery ends it with
/// the window that there is (as Linux's `tcp_end_cwnd_reduction`).
#[test]
fn section_5_a_recovery_under_two_controllers() {
    for heir in [Congestion::Cubic, Congestion::Reno] {
        let mut t = opened_under(Congestion::Bbr);
        // At a pace.
        t.send(10 * MSS).advance(RTT).forget_rest();
        t.inject(&sack(0, &[(1, 4)])).forget_rest();
        let (now, options) = (t.now(), t.tcp().options());
        t.tcp().set_options(now, TcpOptions { congestion: Some(heir), ..options });
        t.advance(RTT).inject(&sack(10, &[])).forget_rest();
        let cwnd = t.info().unwrap().cwnd as usize;
        assert!((MSS..=40 * MSS).contains(&cwnd), "{heir:?}: {cwnd}");
    }
}

/// §5: what has been reported is not sent again; every hole is, in order.
#[test]
fn section_5_holes_only() {
    let mut t = with_sack(10);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 2), (3, 4), (6, 10)]));
    let mut again = t.take_segments();
    for ack in [1, 3, 4] {
        t.inject(&sack(ack, &[(3, 4), (6, 10)]));
        again.extend(t.take_segments());
    }
    let ends: Vec<usize> = again.iter().map(|it| t.end_of(it) as usize).collect();
    assert_eq!(ends, [at(1), at(3), at(5), at(6)]);
}

/// §5.1: after a time-out what was reported is still not sent again, unless the peer took it back.
#[test]
fn section_5_1_reports_outlive_a_time_out() {
    let mut t = with_sack(6);
    t.advance(RTT);
    t.inject(&sack(0, &[(2, 4)])).advance(secs(1));
    t.inject(&sack(2, &[(2, 4)])).advance(ms(1));
    t.inject(&sack(4, &[]));
    let sent = t.take_segments();
    let again: BTreeSet<usize> = sent.iter().map(|it| t.end_of(it) as usize).collect();
    assert_eq!(again, [1, 5, 6].map(at).into());
    assert!(t.info().unwrap().retransmits <= 6, "{}", t.info().unwrap().retransmits);
}

/// RFC 2018 §8: a peer may take back what it reported; then all of it is sent again.
#[test]
fn rfc_2018_section_8_a_peer_that_takes_back() {
    let mut t = with_sack(4);
    t.advance(RTT);
    t.inject(&sack(0, &[(1, 4)])).expect(&segment(0));
    // It acknowledges the first only: what it had of the others is gone.
    t.inject(&format!(". 1:1(0) ack {}", at(1)));
    let mut ends: Vec<usize> = Vec::new();
    for _ in 0..8 {
        t.advance(secs(1));
        let sent = t.take_segments();
        ends.extend(sent.iter().map(|it| t.end_of(it) as usize));
        if let Some(last) = ends.last() {
            t.inject(&format!(". 1:1(0) ack {last}"));
        }
    }
    ends.extend(t.take_segments().iter().map(|it| t.end_of(it) as usize));
    assert_eq!(ends.last(), Some(&at(4)), "all of it arrives in the end: {ends:?}");
}

/// §4, THREATS R-7: blocks that no honest peer sends are ignored, and nothing falls over them.
#[test]
fn section_4_senseless_blocks() {
    for blocks in [
        format!("{}:{}", at(10), at(11)),
        format!("{}:{}", at(3), at(2)),
        format!("{}:{}", at(3), at(3)),
        format!("{}:{}", -5_000_000, -4_000_000),
        format!("{}:{}", at(1), 2_000_000_000),
    ] {
        let mut t = with_sack(10);
        t.advance(RTT);
        for _ in 0..5 {
            t.inject(&format!(". 1:1(0) ack 1 <nop,nop,sack {blocks}>")).expect_nothing();
        }
        let info = t.info().unwrap();
        assert_eq!((info.sacked, info.in_flight as usize), (0, 10 * MSS), "{blocks}");
    }
}
