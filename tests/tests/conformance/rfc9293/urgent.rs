//! RFC 9293 §3.8.5: urgent information, which is text like any other here.

use crate::ms;
use stack::testing::rig::Rig;
use stack::{ListenOptions, State, TcpError, TcpOptions};

/// THREATS T-11: the pointer is never taken for a length.
#[test]
fn urgent_text_is_text() {
    for urgent in [0, 1, 9, 10, 11, 65_535] {
        let mut t = Rig::established();
        t.inject(&format!("PU. 1:11(10) ack 1 win 65535 urg {urgent}"));
        t.expect_within(ms(500), ". 1:1(0) ack 11");
        t.inject(&format!("U. 11:11(0) ack 1 win 65535 urg {urgent}"));
        t.expect_read(10).expect_nothing().state(State::Established);
    }
    let mut t = Rig::listening();
    t.inject("SU 0:0(0) win 9000 urg 7 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
}

/// A connection whose window is closed.
fn closed_window() -> Rig {
    let tcp = TcpOptions { receive_buffer: Some(2048), ..TcpOptions::default() };
    let options = ListenOptions { tcp, ..ListenOptions::default() };
    let mut t = Rig::new().listen(options).accept_from("<mss 1460>");
    t.inject("P. 1:1025(1024) ack 1").inject("P. 1025:2049(1024) ack 1").forget_rest();
    t.inject("P. 2049:2050(1) ack 1").expect(". 1:1(0) ack 2049 win 0");
    t
}

#[test]
fn must_66_resets_and_acknowledgments_pass_a_closed_window() {
    let mut t = closed_window();
    t.send(10).expect("P. 1:11(10) ack 2049 win 0");
    t.inject(". 2049:2049(0) ack 11");
    assert_eq!(t.info().unwrap().in_flight, 0, "the acknowledgment was processed");
    t.inject("U. 2049:2049(0) ack 11 urg 5").expect_nothing().state(State::Established);
    t.inject("R 2049:2049(0)").expect_nothing();
    assert_eq!(t.try_recv(2048), Ok(2048));
    t.expect_error(TcpError::Reset);
}

/// SHLD-2, and here, too: what a reset carries is no reason to refuse it.
#[test]
fn must_66_a_reset_with_text_passes_a_closed_window() {
    let mut t = closed_window();
    t.inject("R 2049:2059(10)").expect_nothing();
    assert_eq!(t.try_recv(2048), Ok(2048));
    t.expect_error(TcpError::Reset);
    for elsewhere in [2048, 2050] {
        let mut t = closed_window();
        let (from, to) = (elsewhere, elsewhere + 10);
        t.inject(&format!("R {from}:{to}(10)")).expect_nothing().state(State::Established);
    }
}
/// Text in its place is refused, and its acknowledgment heard. What stands behind a closed window,
/// or far before it, is heard no more than with an open one.
#[test]
fn must_66_only_what_is_in_its_place_passes() {
    for elsewhere in [2050, 2040, 70_000] {
        let mut t = closed_window();
        t.send(10).expect("P. 1:11(10) ack 2049 win 0");
        t.inject(&format!(". {elsewhere}:{elsewhere}(0) ack 11")).forget_rest();
        assert_eq!(t.info().unwrap().in_flight, 10, "{elsewhere}");
    }
    let mut t = closed_window();
    t.send(10).expect("P. 1:11(10) ack 2049 win 0");
    t.inject("P. 2049:2059(10) ack 11").expect(". 11:11(0) ack 2049 win 0");
    assert_eq!(t.info().unwrap().in_flight, 0);
}
