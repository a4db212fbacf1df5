//! RFC 7323, TCP Extensions for High Performance.

use crate::{ms, secs};
use stack::testing::rig::Rig;
use stack::{ListenOptions, State, TcpOptions};

pub(crate) const ALL: &str = "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>";

/// §2.2: the scale is in both SYNs or in none.
#[test]
fn section_2_scaling_is_agreed() {
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1460,nop,wscale 7>");
    t.expect("S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 7>");
    t.inject(". 1:1(0) ack 1 win 100").accept();
    assert_eq!(t.info().unwrap().window_scale, Some((7, 7)));
    assert_eq!(t.info().unwrap().send_window, 12_800);
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 win 65535 <mss 1460>");
    t.inject(". 1:1(0) ack 1 win 100").accept();
    assert_eq!((t.info().unwrap().window_scale, t.info().unwrap().send_window), (None, 100));
}

/// §2.3: more than 14 is 14.
#[test]
fn section_2_3_the_shift_is_fourteen_at_most() {
    for shift in [14, 15, 255] {
        let mut t = Rig::accepted(&format!("<mss 1460,nop,wscale {shift}>"));
        t.inject(". 1:1(0) ack 1 win 1");
        assert_eq!(t.info().unwrap().send_window, 1 << 14, "shift {shift}");
    }
}

/// §2.2: in another segment the option means nothing.
#[test]
fn section_2_2_the_scale_counts_in_syns_only() {
    let mut t = Rig::accepted("<mss 1460,nop,wscale 2>");
    t.inject(". 1:1(0) ack 1 win 1000 <nop,wscale 9>");
    assert_eq!(t.info().unwrap().send_window, 4000);
}

/// §2.2: windows in SYNs are not scaled.
#[test]
fn section_2_2_the_window_in_a_syn_is_not_scaled() {
    let mut t = Rig::connecting();
    t.inject("S. 0:0(0) ack 1 win 1000 <mss 1460,nop,wscale 7>").expect(". 1:1(0) ack 1");
    assert_eq!(t.info().unwrap().send_window, 1000);
}

/// §3.2: a RST of a connection with timestamps should carry them too.
#[test]
fn section_3_2_a_reset_carries_timestamps() {
    let mut t = Rig::accepted(ALL);
    t.abort().expect("R. 1:1(0) ack 1 <nop,nop,TS val * ecr 1000000>");
}

/// §3.2: timestamps are agreed in the SYNs, then stand in every segment.
#[test]
fn section_3_2_timestamps_are_agreed() {
    let mut t = Rig::listening();
    t.inject(&format!("S 0:0(0) win 65535 {ALL}"));
    t.expect("S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 100,nop,wscale 7>");
    t.inject(". 1:1(0) ack 1 win 500 <nop,nop,TS val 101 ecr 0>").accept();
    t.send(1448).expect("P. 1:1449(1448) ack 1 <nop,nop,TS val * ecr 101>");
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <mss 1460>");
    t.inject(". 1:1(0) ack 1").accept().send(1460).expect("P. 1:1461(1460) ack 1");
}

/// §3.2: a segment without the option is dropped, and nothing else happens to it.
#[test]
fn section_3_2_a_segment_without_timestamps_is_dropped() {
    let mut t = Rig::accepted(ALL);
    t.inject("P. 1:11(10) ack 1 win 500 <nop>").expect_silence(secs(1));
    t.expect_would_block().state(State::Established);
    t.inject("R 1:1(0)").expect_nothing().state(State::Closed);
}

/// §4.3: of the segments that an acknowledgment covers, the earliest is echoed.
#[test]
fn section_4_3_which_timestamp_is_echoed() {
    let mut t = Rig::accepted("<mss 1460,TS val 100 ecr 0>");
    t.inject(". 1:11(10) ack 1 win 500 <nop,nop,TS val 2000000 ecr 0>");
    t.inject(". 11:21(10) ack 1 win 500 <nop,nop,TS val 2000001 ecr 0>");
    t.expect(". 1:1(0) ack 21 <nop,nop,TS val * ecr 2000000>");
    // Out of order: the last that advanced the window is echoed.
    t.inject(". 31:41(10) ack 1 win 500 <nop,nop,TS val 2000003 ecr 0>");
    t.expect(". 1:1(0) ack 21 <nop,nop,TS val * ecr 2000000>");
    // The hole is filled: by the one that fills it.
    t.inject(". 21:31(10) ack 1 win 500 <nop,nop,TS val 2000004 ecr 0>");
    t.expect(". 1:1(0) ack 41 <nop,nop,TS val * ecr 2000004>");
}

/// §5.3 (PAWS): an old timestamp is an old segment.
#[test]
fn section_5_3_protection_against_wrapped_numbers() {
    let mut t = Rig::accepted("<mss 1460,TS val 100 ecr 0>");
    t.inject("P. 1:11(10) ack 1 win 500 <nop,nop,TS val 6000000 ecr 0>");
    t.expect_within(ms(500), ". 1:1(0) ack 11 <nop,nop,TS val * ecr 6000000>");
    t.inject("P. 11:21(10) ack 1 win 500 <nop,nop,TS val 5999899 ecr 0>");
    t.expect(". 1:1(0) ack 11 <nop,nop,TS val * ecr 6000000>").expect_read(10);
    // A reset is not subject to it (RFC 7323 §5.2).
    t.inject("R 11:11(0) win 0 <nop,nop,TS val 5999899 ecr 0>").expect_nothing();
    t.state(State::Closed);
}

/// §5.3, decision 0011: what is a little behind is late and not old; TS.Recent does not go back.
#[test]
fn section_5_3_late_is_not_old() {
    let mut t = Rig::accepted("<mss 1460,TS val 100 ecr 0>");
    t.inject("P. 1:11(10) ack 1 win 500 <nop,nop,TS val 6000000 ecr 0>");
    t.expect_within(ms(500), ". 1:1(0) ack 11 <nop,nop,TS val * ecr 6000000>");
    t.inject("P. 11:21(10) ack 1 win 500 <nop,nop,TS val 5999900 ecr 0>");
    t.expect_within(ms(500), ". 1:1(0) ack 21 <nop,nop,TS val * ecr 6000000>");
    t.expect_read(20);
}

/// §5.5: after 24 days of silence an old-looking timestamp is believed.
#[test]
fn section_5_5_an_outdated_timestamp_is_forgotten() {
    let mut t = Rig::accepted("<mss 1460,TS val 100 ecr 0>");
    t.advance(secs(25 * 24 * 3600)).forget_rest();
    t.inject("P. 1:11(10) ack 1 win 500 <nop,nop,TS val 5 ecr 0>");
    t.expect_within(ms(500), ". 1:1(0) ack 11 <nop,nop,TS val * ecr 5>");
}

/// §5.4: the clock ticks between once a millisecond and once a second, from a random start.
#[test]
fn section_5_4_the_timestamp_clock() {
    let mut t = Rig::accepted(ALL);
    t.advance(secs(10)).send(1);
    t.expect("P. 1:2(1) ack 1 <nop,nop,TS val 10000 ecr *>");
    let start = |port| {
        let mut t = Rig::listening();
        t.set_peer_port(port).inject(&format!("S 0:0(0) win 65535 {ALL}"));
        t.expect("S. 0:0(0) ack 1 <...>");
        t.bases().val
    };
    assert!(start(1).abs_diff(start(2)) > 1000, "two connections give away one clock (X-2)");
}

/// RFC 6691: the announced MSS ignores options, the text makes room for them.
#[test]
fn timestamps_take_twelve_bytes_from_the_text() {
    let mut t = Rig::accepted(ALL);
    t.send(5000);
    let longest = t.take_segments().iter().map(|segment| segment.payload.len()).max();
    assert_eq!(longest, Some(1448));
}

/// A window above 64 KiB is announced and filled.
#[test]
fn windows_above_64_kib() {
    let tcp = TcpOptions { receive_buffer: Some(400_000), ..TcpOptions::default() };
    let options = ListenOptions { tcp, ..ListenOptions::default() };
    let mut t = Rig::new().listen(options).accept_from("<mss 1460,nop,wscale 3>");
    let mut next = 1;
    for _ in 0..100 {
        t.inject(&format!(". {next}:{}(1460) ack 1", next + 1460));
        next += 1460;
    }
    let announced = t.take_segments().last().map(|segment| u32::from(segment.window) << 3);
    assert!(announced > Some(200_000), "{announced:?}");
    t.expect_read(146_000);
    t.forget_rest();
}

/// §4.1: only what acknowledges something new measures: a duplicate echoes something old.
#[test]
fn section_4_1_duplicates_measure_nothing() {
    let mut t = Rig::connecting();
    t.advance(ms(100)).inject("S. 0:0(0) ack 1 win 65535 <mss 1460,TS val 100 ecr 0>");
    t.send(2920).forget_rest();
    let before = t.info().unwrap();
    t.advance(ms(150)).inject(". 1:1(0) ack 1 <nop,nop,TS val 250 ecr 0>").forget_rest();
    let info = t.info().unwrap();
    assert_eq!((info.rtt, info.rtt_var), (before.rtt, before.rtt_var));
}

/// RFC 3522 §3.2: an acknowledgment that echoes what was sent before the retransmission is of the
/// original: nothing was lost, recovery ends and the window is what it was.
#[test]
fn section_4_1_the_echo_tells_the_original_from_the_retransmission() {
    let (mut t, size) = (Rig::connecting(), 1448);
    t.advance(ms(100)).inject("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 100 ecr 0>");
    t.send(10 * size).forget_rest();
    let before = t.info().unwrap();
    t.advance(ms(100));
    let reported = format!("sack {}:{}", 1 + size, 1 + 4 * size);
    t.inject(&format!(". 1:1(0) ack 1 <nop,nop,TS val 200 ecr 0,nop,nop,{reported}>"));
    assert!(t.take_segments().iter().any(|it| t.end_of(it) == 1 + size as i64));
    assert!(t.info().unwrap().in_recovery);
    t.advance(ms(5));
    t.inject(&format!(". 1:1(0) ack {} <nop,nop,TS val 205 ecr 0>", 1 + 4 * size));
    let info = t.info().unwrap();
    assert!(!info.in_recovery && info.ssthresh == before.ssthresh && info.cwnd >= before.cwnd);
    let counters = t.stack.counters();
    assert_eq!(counters.tcp_full_undo + counters.tcp_partial_undo, 1);
    assert_eq!(info.spurious_retransmits, 0, "a report will count it");
}
