//! RFC 2018, TCP Selective Acknowledgment Options: the receiver's side.

use crate::rfc8985::{MSS, RTT, sack, with_sack};
use stack::testing::rig::Rig;

fn agreed() -> Rig {
    Rig::accepted("<mss 1460,sackOK>")
}

/// §2: the option stands in a SYN-ACK only when it stood in the SYN.
#[test]
fn section_2_sack_is_agreed() {
    let mut t = Rig::listening();
    t.inject("S 0:0(0) win 65535 <mss 1460,sackOK>");
    t.expect("S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>");
    t.inject(". 1:1(0) ack 1").accept();
    assert!(t.info().unwrap().sack);
    let mut t = Rig::established();
    t.inject("P. 11:21(10) ack 1").expect(". 1:1(0) ack 1");
}

/// §4: the first block is the one that the segment belongs to, then the latest others.
#[test]
fn section_4_the_order_of_blocks() {
    let mut t = agreed();
    t.inject("P. 101:201(100) ack 1").expect(". 1:1(0) ack 1 <nop,nop,sack 101:201>");
    t.inject("P. 301:401(100) ack 1").expect(". 1:1(0) ack 1 <nop,nop,sack 301:401 101:201>");
    t.inject("P. 501:601(100) ack 1");
    t.expect(". 1:1(0) ack 1 <nop,nop,sack 501:601 301:401 101:201>");
    t.inject("P. 201:251(50) ack 1");
    t.expect(". 1:1(0) ack 1 <nop,nop,sack 101:251 501:601 301:401>");
    t.inject("P. 251:301(50) ack 1");
    t.expect(". 1:1(0) ack 1 <nop,nop,sack 101:401 501:601>");
    t.inject("P. 1:101(100) ack 1").expect(". 1:1(0) ack 401 <nop,nop,sack 501:601>");
    t.inject("P. 401:501(100) ack 1").expect(". 1:1(0) ack 601").expect_read(600);
}

/// §3: four blocks fit, three beside timestamps.
#[test]
fn section_3_as_many_blocks_as_fit() {
    for (options, most) in [("<mss 1460,sackOK>", 4), ("<mss 1460,sackOK,TS val 1 ecr 0>", 3)] {
        let mut t = Rig::accepted(options);
        for i in 0..6 {
            t.inject(&format!("P. {}:{}(100) ack 1", 101 + i * 200, 201 + i * 200));
        }
        let last = t.take_segments().pop().unwrap();
        let at = last.options.windows(2).position(|two| two[0] == 5 && two[1] > 2).unwrap();
        assert_eq!(usize::from(last.options[at + 1]), 2 + 8 * most, "{options}");
    }
}

/// §4: every acknowledgment with a hole says so, text of our own included.
#[test]
fn section_4_every_acknowledgment_reports() {
    let mut t = agreed();
    t.inject("P. 101:201(100) ack 1").expect(". 1:1(0) ack 1 <nop,nop,sack 101:201>");
    t.send(10).expect("P. 1:11(10) ack 1 <nop,nop,sack 101:201>");
}

/// T-12 of the threat model's R-5: alternate holes do not take memory without end.
#[test]
fn r5_ranges_are_bounded() {
    let mut t = agreed();
    for i in 0..2000 {
        t.inject(&format!(". {}:{}(1) ack 1", 3 + i * 2, 4 + i * 2));
    }
    t.forget_rest();
    assert!(t.stack.memory_used() <= 65_535 + 4096, "{}", t.stack.memory_used());
    for i in 0..2000 {
        t.inject(&format!(". {}:{}(1) ack 1", 2 + i * 2, 3 + i * 2));
    }
    t.inject(". 1:2(1) ack 1").forget_rest();
    assert!(t.recv_all() >= 100, "what was kept comes along");
    t.forget_rest();
}

/// §3: a block is of text above the acknowledgment. One that begins with it contradicts it, and is
/// not believed, or its text would never be sent again.
#[test]
fn section_3_a_block_at_the_acknowledgment_is_not_believed() {
    let mut t = with_sack(3);
    t.advance(RTT).inject(&sack(0, &[(0, 1)])).inject(&sack(0, &[(0, 3)]));
    let info = t.info().unwrap();
    assert_eq!((info.sacked, info.in_flight as usize), (0, 3 * MSS));
}
