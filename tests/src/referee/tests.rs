//! Each foul is called once, and fair play is not disturbed.

use super::*;
use stack::Mac;
use stack::testing::notation::{Bases, Notation};
use stack::testing::packet::{self, Segment};
use stack::testing::translate::{address_v6, advertisement, to_v6};
use std::net::{Ipv4Addr, SocketAddrV4};

const HOST: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(192, 0, 2, 1));
const PEER: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 2]), Ipv4Addr::new(192, 0, 2, 2));
/// Close to the end of the space, so that every game wraps.
const BASES: Bases = Bases { seq: u32::MAX - 500, ack: u32::MAX - 2, val: 0, ecr: 0 };

/// A connection between the host's port 80 and the peer's port 4000.
struct Game {
    referee: Referee,
}

impl Game {
    /// The host has accepted a connection: SACK, scale 2 by the peer and 3 by the host.
    fn started() -> Game {
        let mut game = Game { referee: Referee::new(HOST.0.0, HOST.1, 1500) };
        game.hears("S 0:0(0) win 1000 <mss 500,sackOK,nop,wscale 2>");
        game.says("S. 0:0(0) ack 1 win 2000 <mss 1460,sackOK,nop,wscale 3>");
        game.hears(". 1:1(0) ack 1 win 250");
        game
    }

    /// Of a host that answers SYNs with cookies, or does not.
    fn of(cookies: bool) -> Game {
        let mut referee = Referee::new(HOST.0.0, HOST.1, 1500);
        if cookies {
            referee.allows_cookies();
        }
        Game { referee }
    }

    fn segment(line: &str, from: Ipv4Addr, bases: Bases) -> Segment {
        let host = SocketAddrV4::new(HOST.1, 80);
        let peer = SocketAddrV4::new(PEER.1, 4000);
        let flow = if from == HOST.1 { (host, peer) } else { (peer, host) };
        let line: Notation = line.parse().unwrap();
        line.to_segment(flow, bases, 100, |offset| offset as u8)
    }

    fn hears(&mut self, line: &str) {
        let segment = Game::segment(line, PEER.1, BASES.reversed());
        self.referee.received(&segment.to_frame(PEER.0, HOST.0));
    }

    fn judges(&mut self, line: &str) -> Result<(), Foul> {
        let segment = Game::segment(line, HOST.1, BASES);
        self.referee.sent(&segment.to_frame(HOST.0, PEER.0))
    }

    #[track_caller]
    fn says(&mut self, line: &str) {
        self.judges(line).unwrap_or_else(|foul| panic!("{line}: {foul}"));
    }

    #[track_caller]
    fn fouls(&mut self, line: &str, reason: &str) {
        let foul = self.judges(line).expect_err(line);
        assert!(foul.0.contains(reason), "{line}: {foul}, not {reason}");
    }
}

#[test]
fn fair_play_is_not_disturbed() {
    let mut game = Game::started();
    game.says("P. 1:501(500) ack 1 win 250");
    game.hears(". 1:101(100) ack 501");
    game.hears(". 201:301(100) ack 501");
    game.says(". 501:501(0) ack 101 win 238 <nop,nop,sack 201:301>");
    game.hears(". 101:201(100) ack 501");
    game.hears("F. 301:301(0) ack 501");
    game.says(". 1:501(500) ack 302 win 213");
    game.says("F. 501:501(0) ack 302 win 213");
    game.hears(". 302:302(0) ack 502");
    assert_eq!(game.referee.judged(), 5);
}

#[test]
fn beyond_the_window() {
    let mut game = Game::started();
    game.says(". 1:501(500) ack 1 win 250");
    game.says(". 501:1001(500) ack 1 win 250");
    game.says(". 1001:1002(1) ack 1 win 250");
    game.fouls(". 1002:1003(1) ack 1 win 250", "window ends at 1001");
    game.hears(". 1:1(0) ack 1 win 251");
    game.says(". 1002:1005(3) ack 1 win 250");
}

#[test]
fn what_was_not_received_is_not_acknowledged() {
    let mut game = Game::started();
    game.hears(". 1:101(100) ack 1");
    game.hears(". 102:201(99) ack 1");
    game.fouls(". 1:1(0) ack 102 win 250", "acknowledges 102");
    game.fouls(". 1:1(0) ack 101 win 250 <nop,nop,sack 101:201>", "not given");
    game.says(". 1:1(0) ack 101 win 250 <nop,nop,sack 102:201>");
    game.fouls(". 1:1(0) ack 99 win 250", "after 101");
}

/// G7: an answer for each question, and two to end what is the host's own.
#[test]
fn a_reset_has_its_reason_and_its_place() {
    let mut game = Game::started();
    game.fouls("R. 1003:1003(0) ack 1 win 0", "a reset at");
    game.fouls("R 1777:1777(0) win 0", "a reset at 1276");
    let mut game = Game::started();
    game.hears(". 1:1(0) ack 1777 win 250");
    game.says("R 1777:1777(0) win 0");
    for _ in 0..4 {
        game.says("R. 1:1(0) ack 1 win 0");
    }
    game.fouls("R. 1:1(0) ack 1 win 0", "a reset that nobody asked for");
}

#[test]
fn a_window_is_not_taken_back() {
    let mut game = Game::started();
    game.says(". 1:1(0) ack 1 win 300");
    game.hears(". 1:101(100) ack 1");
    game.says(". 1:1(0) ack 101 win 287");
    game.fouls(". 1:1(0) ack 101 win 286", "takes the window back");
}

#[test]
fn the_stream_does_not_change() {
    let mut game = Game::started();
    game.says(". 1:101(100) ack 1 win 250");
    game.says(". 50:150(100) ack 1 win 250");
    game.fouls(". 1003:1003(0) ack 1 win 250", "window ends at 1001");
    let mut segment = Game::segment(". 100:140(40) ack 1 win 250", HOST.1, BASES);
    segment.payload[39] ^= 1;
    let foul = game.referee.sent(&segment.to_frame(HOST.0, PEER.0)).unwrap_err();
    assert!(foul.0.contains("byte 139 has changed"), "{foul}");
    game.says("F. 150:150(0) ack 1 win 250");
    game.fouls("F. 140:149(9) ack 1 win 250", "FIN at 150, then at 149");
    game.fouls(". 151:152(1) ack 1 win 250", "text after the FIN");
}

#[test]
fn segments_are_well_made() {
    for (line, reason) in [
        ("- 1:1(0)", "neither SYN"),
        ("SF. 0:0(0) ack 1", "SYN with FIN"),
        ("R. 1:2(1) ack 1", "RST with text"),
        (". 1:1(0) ack 1 win 250 <mss 500>", "MSS without SYN"),
        (". 1:1(0) ack 1 win 250 <wscale 1,nop>", "window scale without SYN"),
        (". 1:1(0) ack 1 win 250 <sackOK,nop,nop>", "SACK permitted without SYN"),
        (". 1:1(0) ack 1 win 250 urg 3", "stray urgent"),
        (". 1:1(0) ack 1 win 250 <raw 08000000>", "options"),
        (". 1:1(0) ack 1 win 250 <eol,raw 000300>", "options"),
        (". 1:1(0) ack 1 win 250 <nop,nop,TS val 1 ecr 1>", "timestamps"),
        (". 1:502(501) ack 1 win 250", "MSS 500"),
    ] {
        Game::started().fouls(line, reason);
    }
}

#[test]
fn timestamps_are_in_every_segment_and_never_go_back() {
    let mut game = Game { referee: Referee::new(HOST.0.0, HOST.1, 1500) };
    game.hears("S 0:0(0) win 1000 <mss 500,TS val 1 ecr 0>");
    game.says("S. 0:0(0) ack 1 win 2000 <mss 1460,TS val 7 ecr 1>");
    game.fouls(". 1:1(0) ack 1 win 2000", "timestamps None");
    game.fouls(". 1:1(0) ack 1 win 2000 <nop,nop,TS val 6 ecr 1>", "TSval goes back");
    game.says(". 1:1(0) ack 1 win 2000 <nop,nop,TS val 8 ecr 1>");
}

#[test]
fn the_initial_window_is_bounded() {
    let mut game = Game { referee: Referee::new(HOST.0.0, HOST.1, 1500) };
    game.hears("S 0:0(0) win 65535 <mss 100>");
    game.says("S. 0:0(0) ack 1 win 2000 <mss 1460>");
    game.hears(". 1:1(0) ack 1 win 65535");
    for i in 0..12 {
        let (from, to) = (1 + i * 100, 101 + i * 100);
        game.says(&format!(". {from}:{to}(100) ack 1 win 2000"));
    }
    game.fouls(". 1201:1301(100) ack 1 win 2000", "at once");
}

#[test]
fn a_stranger_gets_one_answer() {
    let mut game = Game { referee: Referee::new(HOST.0.0, HOST.1, 1500) };
    game.hears(". 5:5(0) ack 9 win 1");
    game.says("R 9:9(0)");
    game.fouls("R 9:9(0)", "nobody asked");
}

#[test]
fn frames_are_sound() {
    let mut referee = Referee::new(HOST.0.0, HOST.1, 1500);
    let good = Game::segment(". 0:0(0) ack 1", HOST.1, BASES).to_frame(HOST.0, PEER.0);
    assert_eq!(referee.sent(&good), Ok(()));
    for bit in 6 * 8..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(referee.sent(&bad).is_err(), "bit {bit} was not looked at");
    }
    let mut padded = good.clone();
    padded.resize(60, 0);
    assert_eq!(referee.sent(&padded), Ok(()));
    padded[59] = 1;
    assert!(referee.sent(&padded).unwrap_err().0.contains("padding"));
    let long = packet::ipv4(HOST.1, PEER.1, 99, &[0; 1481]);
    let long = packet::ethernet(HOST.0, PEER.0, 0x0800, &long);
    assert!(referee.sent(&long).unwrap_err().0.contains("MTU 1500"));
    let alien = packet::ipv4(PEER.1, HOST.1, 99, &[0; 8]);
    let alien = packet::ethernet(HOST.0, PEER.0, 0x0800, &alien);
    assert!(referee.sent(&alien).unwrap_err().0.contains("sent from"));
}

#[test]
fn errors_are_not_answered_with_errors() {
    let mut referee = Referee::new(HOST.0.0, HOST.1, 1500);
    let quoted = |message: &[u8]| packet::ipv4(PEER.1, HOST.1, 1, message);
    let error = |about: &[u8]| {
        let message = packet::icmp(3, 3, [0; 4], &quoted(about));
        packet::ethernet(HOST.0, PEER.0, 0x0800, &packet::ipv4(HOST.1, PEER.1, 1, &message))
    };
    assert_eq!(referee.sent(&error(&packet::icmp(8, 0, [0; 4], b"ping"))), Ok(()));
    let foul = referee.sent(&error(&packet::icmp(3, 1, [0; 4], b"twentybytesofnothing")));
    assert!(foul.unwrap_err().0.contains("about an ICMP error"));
}

/// RFC 3168 §6.1.1: a SYN-ACK that agrees answers a SYN that asked, though the last one does not:
/// it has waited for the neighbour's address, and so may the text behind it. What the host says
/// when it has heard more has no such excuse.
#[test]
fn text_that_waited_with_a_syn_ack_is_as_it_was_formed() {
    let options = "<mss 500,sackOK,nop,wscale 2>";
    let mut game = Game { referee: Referee::new(HOST.0.0, HOST.1, 1500) };
    game.hears(&format!("SEW 0:0(0) win 1000 {options}"));
    game.hears(&format!("S 0:0(0) win 1000 {options}"));
    game.says(&format!("SE. 0:0(0) ack 1 win 2000 {options}"));
    game.says("[ect0] P. 1:101(100) ack 1 win 500");
    let mut told = Game { referee: game.referee.clone() };
    game.hears(". 1:1(0) ack 1 win 250");
    game.fouls("[ect0] P. 101:201(100) ack 1 win 500", "ECT without agreement");
    told.says(&format!("S. 0:0(0) ack 1 win 2000 {options}"));
    told.fouls("[ect0] P. 101:201(100) ack 1 win 500", "ECT without agreement");
}

/// RFC 3168: who agreed, and on what.
#[test]
fn ecn_needs_agreement_and_new_text() {
    let mut game = Game::started();
    game.fouls("[ect0] . 1:501(500) ack 1 win 250", "ECT without agreement");
    game.fouls("[ect1] . 1:501(500) ack 1 win 250", "ECN bits 1");
    game.fouls("[ect0] . 1:1(0) ack 1 win 250", "ECN bits 2");
    game.fouls("E. 1:1(0) ack 1 win 250", "ECE for nothing");
    game.fouls("W. 1:501(500) ack 1 win 250", "CWR out of place");
    game.fouls("[ce] . 1:501(500) ack 1 win 250", "ECN bits 3");
}

/// A client goes by the first SYN-ACK, however often a plain one comes after it.
#[test]
fn copies_of_a_plain_syn_ack_take_nothing_back() {
    let mut game = Game { referee: Referee::new(HOST.0.0, HOST.1, 1500) };
    game.says("SEW 0:0(0) win 1000 <mss 1460>");
    game.hears("SE. 0:0(0) ack 1 win 1000 <mss 1460>");
    for _ in 0..9 {
        game.hears("S. 0:0(0) ack 1 win 1000 <mss 1460>");
    }
    game.says(". 1:1(0) ack 1 win 1000");
    game.hears("[ce] . 1:101(100) ack 1 win 1000");
    game.says("E. 1:1(0) ack 101 win 900");
}

/// A server that took the text of a SYN, and is reset, may meet the SYN again within a tick.
#[test]
fn only_what_has_ended_begins_again() {
    let began = || {
        let mut game = Game { referee: Referee::new(HOST.0.0, HOST.1, 1500) };
        game.hears("S 0:10(10) win 1000 <mss 500>");
        game.says("S. 0:0(0) ack 11 win 2000 <mss 1460>");
        game
    };
    let mut game = began();
    game.hears("S 0:0(0) win 1000 <mss 500>");
    game.fouls("S. 0:0(0) ack 1 win 2000 <mss 1460>", "acknowledges 1 after 11");
    let mut game = began();
    game.says("R. 1:1(0) ack 11 win 0");
    game.hears("S 0:0(0) win 1000 <mss 500>");
    game.says("S. 0:0(0) ack 1 win 2000 <mss 1460>");
    // The new life is judged like any other.
    game.hears(". 1:101(100) ack 1 win 1000");
    game.fouls(". 1:1(0) ack 102 win 2000", "acknowledges 102");
    game.says(". 1:1(0) ack 101 win 1900");
    game.fouls(". 1:1(0) ack 1 win 2000", "acknowledges 1 after 101");
}

/// Who answers with cookies has the same answer for a SYN that comes when all is forgotten.
#[test]
fn a_cookie_may_begin_what_has_ended_unseen() {
    for cookies in [false, true] {
        let mut game = Game::of(cookies);
        game.hears("S 0:0(0) win 1000 <mss 500>");
        game.says("S. 0:0(0) ack 1 win 2000 <mss 1460>");
        game.hears(". 1:101(100) ack 1 win 1000");
        game.says(". 1:1(0) ack 101 win 1900");
        game.hears("S 0:0(0) win 1000 <mss 500>");
        let again = "S. 0:0(0) ack 1 win 2000 <mss 1460>";
        match cookies {
            true => game.says(again),
            false => game.fouls(again, "acknowledges 1 after 101"),
        }
    }
}

/// So it is where the ACK of the handshake comes again, with its text, and is believed.
#[test]
fn a_cookie_that_comes_back_may_begin_what_has_ended_unseen() {
    for cookies in [false, true] {
        for (again, foul) in [
            (". 1:1(0) ack 101 win 1900", "takes the window back"),
            (". 1:1(0) ack 101 win 2500", "acknowledges 101 after 201"),
        ] {
            let mut game = Game::of(cookies);
            game.hears("S 0:0(0) win 1000 <mss 500>");
            game.says("S. 0:0(0) ack 1 win 2000 <mss 1460>");
            game.hears(". 1:101(100) ack 1 win 1000");
            game.says(". 1:1(0) ack 101 win 2000");
            if foul.starts_with("ack") {
                game.hears(". 101:201(100) ack 1 win 1000");
                game.says(". 1:1(0) ack 201 win 1900");
            }
            game.hears(". 1:101(100) ack 1 win 1000");
            match cookies {
                true => game.says(again),
                false => game.fouls(again, foul),
            }
        }
    }
}

/// Who answers with cookies knows of timestamps what the ACK of the handshake says.
#[test]
fn a_cookie_is_for_timestamps_where_they_come_back() {
    for cookies in [false, true] {
        let mut game = Game::of(cookies);
        game.hears("S 0:0(0) win 1000 <mss 500,TS val 1 ecr 0>");
        game.says("S. 0:0(0) ack 1 win 2000 <mss 1460,TS val 1 ecr 1>");
        game.hears(". 1:101(100) ack 1 win 1000");
        let without = ". 1:1(0) ack 101 win 1900";
        match cookies {
            true => game.says(without),
            false => game.fouls(without, "timestamps None, agreed true"),
        }
    }
}

/// The same rules for what IPv6 carries: of a segment every bit is looked at but for those of which
/// IPv6 has no checksum: class and label, the next header, and the hop limit.
#[test]
fn frames_of_ipv6_are_sound() {
    let (host, peer) = (address_v6(HOST.1), address_v6(PEER.1));
    let new = || Referee::new(HOST.0.0, host, 1500);
    let good = to_v6(&Game::segment(". 0:0(0) ack 1", HOST.1, BASES).to_frame(HOST.0, PEER.0));
    assert_eq!(new().sent(&good), Ok(()));
    for bit in (6 * 8..14 * 8 + 4).chain(18 * 8..20 * 8).chain(22 * 8..good.len() * 8) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (7 - bit % 8);
        assert!(new().sent(&bad).is_err(), "bit {bit} was not looked at");
    }
    let mut padded = good.clone();
    padded.extend([0, 1]);
    assert!(new().sent(&padded).unwrap_err().0.contains("padding"));
    let alien = Game::segment(". 0:0(0) ack 1", PEER.1, BASES).to_frame(HOST.0, PEER.0);
    assert!(new().sent(&to_v6(&alien)).unwrap_err().0.contains("sent from"));
    let claim = |target, mac| new().sent(&advertisement(target, peer, [mac, PEER.0]));
    // The frame comes from the station that it speaks of.
    assert_eq!(claim(host, HOST.0), Ok(()));
    assert!(claim(peer, HOST.0).unwrap_err().0.contains("sent from 2001:db8::"));
    let mut near = advertisement(host, peer, [HOST.0, PEER.0]);
    near[21] = 64;
    assert!(new().sent(&near).unwrap_err().0.contains("hop limit 64"));
    // The default MSS is that of IPv6 (RFC 9293 §3.7.1, MUST-15).
    let mut referee = new();
    let syn = Game::segment("S 0:0(0) win 65535", PEER.1, BASES.reversed());
    referee.received(&to_v6(&syn.to_frame(PEER.0, HOST.0)));
    for (line, foul) in [
        ("S. 0:0(0) ack 1 win 2000 <mss 1440>", None),
        (". 1:1221(1220) ack 1 win 2000", None),
        (". 1:1222(1221) ack 1 win 2000", Some("MSS 1220")),
    ] {
        let segment = Game::segment(line, HOST.1, BASES);
        let judged = referee.sent(&to_v6(&segment.to_frame(HOST.0, PEER.0)));
        assert_eq!(judged.is_err(), foul.is_some(), "{line}: {judged:?}");
        assert!(foul.is_none_or(|foul| judged.unwrap_err().0.contains(foul)), "{line}");
    }
}

#[test]
fn an_address_that_is_gone_and_a_segment_in_fragments() {
    let mut game = Game::started();
    game.referee.loses(HOST.1);
    game.fouls(". 1:1(0) ack 1", "sent from 192.0.2.1");
    let segment = Game::segment(". 1:5(4) ack 1", HOST.1, BASES).to_frame(HOST.0, PEER.0);
    let mut piece = to_v6(&segment);
    // A fragment header behind that of IPv6: a segment, and more of it.
    (piece[19], piece[20]) = (piece[19] + 8, 44);
    piece.splice(54..54, [6, 0, 0, 1, 0, 0, 0, 7]);
    let foul = Referee::new(HOST.0.0, address_v6(HOST.1), 1500).sent(&piece).unwrap_err();
    assert!(foul.0.contains("a segment in fragments"), "{foul}");
}

/// A SYN for these ports from somewhere, and then the answer to the host's old SYN once more: what
/// the host opens next goes by the answer that it gets.
#[test]
fn an_old_answer_is_no_syn_that_was_met() {
    let mut game = Game { referee: Referee::new(HOST.0.0, HOST.1, 1500) };
    game.says("S 0:0(0) win 2000 <mss 1460>");
    game.hears("S. 0:0(0) ack 1 win 1000 <mss 500>");
    game.says(". 1:1(0) ack 1 win 2000");
    game.says("R. 1:1(0) ack 1 win 0");
    game.hears("S 200000:200000(0) win 1000 <mss 500>");
    game.hears("S. 0:0(0) ack 1 win 1000 <mss 500>");
    game.says("S 100000:100000(0) win 2000 <mss 1460>");
    game.hears("S. 9496:9496(0) ack 100001 win 1000 <mss 500>");
    game.says(". 100001:100001(0) ack 9497 win 2000");
}
