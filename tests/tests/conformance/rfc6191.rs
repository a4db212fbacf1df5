//! RFC 6191, Reducing the TIME-WAIT State Using TCP Timestamps. SHLD-4 of RFC 9293 is
//! `closing::shld_4_timestamps_allow_reuse_with_a_lower_number`.

use crate::rfc7323::ALL;
use stack::State;
use stack::testing::rig::Rig;

/// TIME-WAIT: the peer's last timestamp was 1000000, and its numbers ended at 2.
fn time_wait() -> Rig {
    let mut t = Rig::accepted(ALL);
    t.close().expect("F. 1:1(0) ack 1");
    t.inject("F. 1:1(0) ack 2").expect(". 2:2(0) ack 2");
    t.state(State::TimeWait);
    t
}

/// §2: which SYN may open a new connection, by its number and its timestamp.
#[test]
fn section_2_which_syn_reopens() {
    for (seq, options, opens) in [
        (0, "TS val 1000001 ecr 0", true),
        (9, "TS val 1000001 ecr 0", true),
        (9, "TS val 1000000 ecr 0", true),
        (1, "TS val 1000000 ecr 0", false),
        (9, "TS val 999999 ecr 0", false),
        (9, "mss 1460", true),
        (1, "mss 1460", false),
    ] {
        let mut t = time_wait();
        t.inject(&format!("S {seq}:{seq}(0) win 65535 <{options}>"));
        let answer = t.next_segment();
        let opened = t.current_state() == State::SynReceived;
        assert_eq!(opened, opens, "number {seq}, {options}: {answer:?}");
        t.forget_rest();
    }
}

/// §2: the new connection's numbers are past the old one's (RFC 9293 §3.6.1).
#[test]
fn section_2_the_new_numbers_are_past_the_old() {
    let mut t = time_wait();
    let old = t.bases().seq.wrapping_add(2);
    t.inject("S 9:9(0) win 65535 <TS val 1000001 ecr 0>");
    let new = t.next_segment().seq;
    assert!((new.wrapping_sub(old) as i32) > 0, "{new} after {old}");
}
