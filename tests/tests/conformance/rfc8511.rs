//! RFC 8511: Alternative Backoff with ECN. A mark means a short queue, and costs less than a loss.

use stack::testing::rig::Rig;
use stack::{Congestion, ListenOptions};

/// What is left of the window, in percent, after a mark.
fn left_by_a_mark(congestion: Congestion) -> u32 {
    let mut t = Rig::with(|config| config.tcp.congestion = congestion);
    t = t.listen(ListenOptions::default());
    t.inject("SEW 0:0(0) win 65535 <mss 1000>").expect("SE. 0:0(0) ack 1 <...>");
    t.inject(". 1:1(0) ack 1").accept().send(100_000);
    for at in (1001..=20_001).step_by(1000) {
        t.inject(&format!(". 1:1(0) ack {at}"));
    }
    let flight = t.info().unwrap();
    assert_eq!(flight.cwnd - flight.in_flight, 0, "the window is full: {flight:?}");
    // With another window, or it would be a duplicate acknowledgment.
    t.inject("E. 1:1(0) ack 20001 win 65000").forget_rest();
    t.info().unwrap().cwnd * 100 / flight.cwnd
}

#[test]
fn section_3_1_the_factor() {
    assert_eq!(left_by_a_mark(Congestion::Reno), 80);
    assert_eq!(left_by_a_mark(Congestion::Cubic), 85);
}
