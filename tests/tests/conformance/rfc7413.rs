//! RFC 7413: Fast Open, in the order of its sections. Both sides are off until they are asked for.

use crate::linux::set;
use crate::{ms, secs};
use stack::testing::options::TcpOption;
use stack::testing::rig::Rig;
use stack::{
    Config, ConnectOptions, Event, FastOpen, FastOpenFailure, FastOpenKeys, ListenFastOpen,
    ListenOptions, Readiness, SendError, SocketId, State, TcpError, TcpOptions,
};
use std::net::SocketAddrV4;

const FULL: &str = "mss 1460,sackOK,TS val 1000000 ecr 0,nop,wscale 7";

/// A server with room for `pending_max` connections whose handshake carries text.
fn server_with(pending_max: usize, change: impl FnOnce(&mut Config)) -> Rig {
    let fast_open = ListenFastOpen { pending_max, ..ListenFastOpen::default() };
    let options = ListenOptions { fast_open, ..ListenOptions::default() };
    Rig::with(|config| {
        config.tcp.fast_open = FastOpen::SERVER;
        change(config);
    })
    .listen(options)
}

fn server() -> Rig {
    server_with(16, |_| ())
}

/// The cookie in the segment that was expected last.
fn cookie_in(t: &Rig) -> Option<String> {
    let list = TcpOption::list(&t.last().options);
    list.into_iter().find_map(|option| match option {
        TcpOption::FastOpen(_) => Some(option.to_string()),
        _ => None,
    })
}

/// Another client of the same host asks for a cookie, and goes.
fn cookie_of(t: &mut Rig) -> String {
    t.set_peer_port(7).inject("S 0:0(0) win 65535 <mss 1460,FO,nop,nop>");
    t.expect("S. 0:0(0) ack 1 <...>");
    let cookie = cookie_in(t).expect("a cookie");
    t.inject("R 1:1(0)").set_peer_port(2000);
    cookie
}

/// A server, and the cookie of its peer.
fn known() -> (Rig, String) {
    let mut t = server();
    let cookie = cookie_of(&mut t);
    (t, cookie)
}

/// A server that has taken 100 octets with a SYN, accepted.
fn early() -> Rig {
    let (mut t, cookie) = known();
    t.inject(&format!("S 0:100(100) win 65535 <mss 1460,{cookie},nop,nop>"));
    t.expect("S. 0:0(0) ack 101 <mss 1460>").accept();
    t
}

fn eager() -> ConnectOptions {
    let tcp = TcpOptions { fast_open_connect: true, ..TcpOptions::default() };
    ConnectOptions { tcp, ..ConnectOptions::default() }
}

fn client() -> Rig {
    Rig::with(|config| config.tcp.fast_open = FastOpen::CLIENT)
}

/// A client that has been given a cookie, and knows the peer's MSS: 1400.
fn acquainted() -> Rig {
    let mut t = client();
    t.open(eager()).expect("S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7,FO,nop,nop>");
    assert_eq!(t.info().unwrap().fast_open_failed, Some(FastOpenFailure::CookieUnavailable));
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1400,FO 0102030405060708,nop,nop>");
    t.expect(". 1:1(0) ack 1").abort().expect("R. 1:1(0) ack 1");
    t
}

const WITH_COOKIE: &str =
    "<mss 1460,sackOK,TS val * ecr 0,nop,wscale 7,FO 0102030405060708,nop,nop>";

/// A client that has sent 100 octets with its SYN.
fn sent() -> Rig {
    let mut t = acquainted();
    t.open(eager()).expect_nothing().send(100);
    t.expect(&format!("S 0:100(100) win 65535 {WITH_COOKIE}"));
    t
}

// Off.

#[test]
fn section_2_nothing_of_it_unless_it_is_asked_for() {
    let mut t = Rig::listening();
    t.inject("S 0:10(10) win 65535 <mss 1460,FO,nop,nop>").expect("S. 0:0(0) ack 1 <mss 1460>");
    t.inject("P. 1:11(10) ack 1").accept().expect_read(10).forget_rest();
    // A listener that has not asked for it, one that was refused it, and a client that was.
    for (modes, pending_max) in [(FastOpen::SERVER, 0), (FastOpen::CLIENT, 9)] {
        let mut t = server_with(pending_max, |config| config.tcp.fast_open = modes);
        t.inject("S 0:0(0) win 65535 <mss 1460,FO,nop,nop>").expect("S. 0:0(0) ack 1 <mss 1460>");
    }
    let mut t = Rig::new();
    t.open(eager()).expect("S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7>");
}

// The server.

#[test]
fn section_4_1_2_a_cookie_is_for_one_address_pair_and_costs_nothing() {
    let (mut t, cookie) = known();
    assert_eq!(cookie.len(), "FO ".len() + 16);
    assert_eq!(t.stack.usage().half_open, 0);
    // Another port of the client: the same.
    assert_eq!(cookie_of(&mut t), cookie);
    let mut other = Rig::with(|config| {
        config.tcp.fast_open = FastOpen::SERVER.with(FastOpen::ALL_LISTENERS);
        config.addresses.push("192.0.2.77/24".parse().unwrap());
    })
    .listen(ListenOptions::default());
    assert_eq!(cookie_of(&mut other), cookie, "the same seed, and all listeners");
    assert_eq!(t.stack.counters().tcp_fast_open_cookie_reqd, 2);
}

#[test]
fn section_4_1_2_whoever_has_the_key_gives_the_same_cookies() {
    let keys = FastOpenKeys { current: [7; 16], previous: None };
    let mut shared = [1, 2].map(|seed| {
        let change = |config: &mut Config| config.tcp.fast_open_keys = Some(keys);
        let mut t = server_with(16, change);
        t.advance(secs(seed));
        cookie_of(&mut t)
    });
    assert_eq!(shared[0], shared[1]);
    shared.sort();
    assert_ne!(known().1, shared[0]);
    let mut t = server();
    let fast_open = ListenFastOpen { pending_max: 16, keys: Some(keys) };
    let listener = t.listener.unwrap();
    assert!(t.stack.set_fast_open(listener, fast_open));
    assert_eq!(cookie_of(&mut t), shared[0], "a listener's own key");
    assert_eq!(t.stack.fast_open_keys(t.now(), t.listener), keys);
    assert_ne!(t.stack.fast_open_keys(t.now(), None), keys);
}

#[test]
fn section_4_1_2_keys_change_and_the_last_is_good_still() {
    let mut t = server_with(16, |config| config.tcp.fast_open_key_life = secs(1000));
    let first = cookie_of(&mut t);
    t.advance(secs(1000)).inject(&format!("S 0:10(10) win 65535 <mss 1460,{first},nop,nop>"));
    t.expect("S. 0:0(0) ack 11 <...>").accept();
    let second = cookie_in(&t).expect("a new cookie");
    assert_ne!(first, second);
    t.inject(". 11:11(0) ack 1").close().forget_rest().set_peer_port(2001);
    t.inject(&format!("S 0:10(10) win 65535 <mss 1460,{second},nop,nop>"));
    t.expect("S. 0:0(0) ack 11 <mss 1460>").inject("R 11:11(0)");
    t.advance(secs(1000)).set_peer_port(2002);
    t.inject(&format!("S 0:10(10) win 65535 <mss 1460,{first},nop,nop>"));
    t.expect("S. 0:0(0) ack 1 <...>");
    assert!(cookie_in(&t).is_some_and(|third| third != first && third != second));
    let counters = t.stack.counters();
    assert_eq!(counters.tcp_fast_open_passive_alt_key, 1);
    assert_eq!((counters.tcp_fast_open_passive, counters.tcp_fast_open_passive_fail), (2, 1));
}

#[test]
fn section_4_2_2_text_is_there_before_the_handshake_is_over() {
    let mut t = early();
    t.state(State::SynReceived).expect_read(100).expect_would_block();
    // And is answered: at most the window of the SYN, which is not scaled.
    t.send(2920).expect(". 1:1461(1460) ack 101").expect("P. 1461:2921(1460) ack 101");
    t.inject(". 101:101(0) ack 2921").state(State::Established);
    let info = t.info().unwrap();
    assert!(info.syn_data && info.fast_open_failed.is_none());
    assert_eq!((info.bytes_received, info.bytes_acked, info.retransmits), (100, 2920, 0));
    t.inject("P. 101:201(100) ack 2921").expect_read(100).forget_rest();
    let counters = t.stack.counters();
    assert_eq!((counters.tcp_fast_open_passive, counters.tcp_passive_opens), (1, 1));
}

#[test]
fn section_4_2_2_a_syn_without_text_opens_early_too() {
    let (mut t, cookie) = known();
    t.inject(&format!("S 0:0(0) win 65535 <mss 1460,{cookie},nop,nop>"));
    t.expect("S. 0:0(0) ack 1 <mss 1460>").accept().send(10).expect("P. 1:11(10) ack 1");
    t.inject(". 1:1(0) ack 11").state(State::Established);
    assert!(!t.info().unwrap().syn_data);
}

#[test]
fn section_4_2_2_every_option_is_agreed_on() {
    let (mut t, cookie) = known();
    t.inject(&format!("S 0:100(100) win 1000 <{FULL},{cookie},nop,nop>"));
    t.expect("S. 0:0(0) ack 101 win 65535 <mss 1460,sackOK,TS val * ecr 1000000,nop,wscale 7>");
    t.accept().send(2000).expect(". 1:1000(999) ack 101").forget_rest();
    t.inject(". 101:101(0) ack 1000 win 100");
    let info = t.info().unwrap();
    assert_eq!((info.send_window, info.window_scale), (12_800, Some((7, 7))));
    t.forget_rest();
}

#[test]
fn section_4_2_2_a_wrong_cookie_is_an_ordinary_handshake_and_a_right_one() {
    let (mut t, cookie) = known();
    t.inject("S 0:100(100) win 65535 <mss 1460,FO 0102030405060708,nop,nop>");
    t.expect("S. 0:0(0) ack 1 <...>");
    assert_eq!(cookie_in(&t), Some(cookie));
    assert_eq!((t.stack.usage().half_open, t.stack.usage().connections), (1, 0));
    t.expect_within(secs(2), "S. 0:0(0) ack 1 <mss 1460>");
    t.inject("P. 1:101(100) ack 1").accept().expect_read(100).forget_rest();
    assert_eq!(t.stack.counters().tcp_fast_open_passive_fail, 1);
}

#[test]
fn section_4_2_2_text_without_a_cookie_is_not_taken() {
    let mut t = server();
    t.inject("S 0:100(100) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <mss 1460>");
    let mut t = server_with(16, |config| {
        config.tcp.fast_open = FastOpen::SERVER.with(FastOpen::SERVER_NO_COOKIE);
    });
    t.inject("S 0:100(100) win 65535 <mss 1460>").expect("S. 0:0(0) ack 101 <mss 1460>");
    t.accept().expect_read(100);
    // What is no cookie by its length is none.
    let mut t = server();
    t.inject("S 0:100(100) win 65535 <mss 1460,opt 34 0102,nop,nop>");
    t.expect("S. 0:0(0) ack 1 <mss 1460>");
}

#[test]
fn section_4_2_2_a_fin_behind_the_text_comes_again() {
    let (mut t, cookie) = known();
    t.inject(&format!("SF 0:100(100) win 65535 <mss 1460,{cookie},nop,nop>"));
    t.expect("S. 0:0(0) ack 101 <mss 1460>").accept().expect_read(100);
    t.inject("F. 101:101(0) ack 1").expect_end().state(State::CloseWait).forget_rest();
}

#[test]
fn section_4_2_2_a_lost_syn_ack_goes_again() {
    let mut t = early();
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 101 <mss 1460>");
    t.expect_between(ms(900), secs(2), "S. 0:0(0) ack 101 <mss 1460>");
    t.expect_between(ms(1900), secs(3), "S. 0:0(0) ack 101 <mss 1460>");
    t.send(10).expect("P. 1:11(10) ack 101");
    t.inject(". 101:101(0) ack 1").state(State::Established).expect_nothing();
    t.expect_within(secs(10), "P. 1:11(10) ack 101");
}

#[test]
fn section_4_2_2_an_unfinished_one_is_given_up_as_any_handshake() {
    let mut t = early();
    for _ in 0..3 {
        t.expect_within(secs(9), "S. 0:0(0) ack 101 <mss 1460>");
    }
    t.expect_silence(secs(10));
    assert_eq!(t.try_recv(200), Ok(100));
    t.expect_error(TcpError::TimedOut);
    t.state(State::Closed);
}

#[test]
fn section_4_2_2_a_user_time_out_does_not_hasten_a_syn_ack() {
    let mut t = early();
    set(&mut t, |options| options.user_timeout = Some(ms(1500)));
    t.expect_between(ms(900), secs(2), "S. 0:0(0) ack 101 <mss 1460>");
    t.expect_between(ms(1900), secs(3), "S. 0:0(0) ack 101 <mss 1460>");
}

#[test]
fn section_4_2_2_a_bad_third_segment_is_reset() {
    let mut t = early();
    t.inject(". 101:101(0) ack 7").expect("R 7:7(0)").state(State::SynReceived);
    t.inject(". 101:101(0) ack 1").state(State::Established);
}

#[test]
fn section_4_2_2_the_server_may_finish_first() {
    let mut t = early();
    t.expect_read(100).send(10).expect("P. 1:11(10) ack 101");
    t.shutdown().expect("F. 11:11(0) ack 101").state(State::FinWait1);
    t.inject(". 101:101(0) ack 12").state(State::FinWait2);
    t.inject("F. 101:101(0) ack 12").expect(". 12:12(0) ack 102").state(State::TimeWait);
}

#[test]
fn section_5_1_unfinished_ones_are_limited_then_handshakes_are_ordinary() {
    let mut t = server_with(2, |_| ());
    let cookie = cookie_of(&mut t);
    let syn = format!("S 0:10(10) win 65535 <mss 1460,{cookie},nop,nop>");
    for port in [2000, 2001] {
        t.set_peer_port(port).inject(&syn).expect("S. 0:0(0) ack 11 <mss 1460>");
    }
    t.set_peer_port(2002).inject(&syn).expect("S. 0:0(0) ack 1 <mss 1460>");
    assert_eq!(t.stack.counters().tcp_fast_open_listen_overflow, 1);
    // A handshake that finishes makes room.
    t.accept().set_peer_port(2001).inject("S 0:0(0) win 65535").expect("S. 0:0(0) ack 11 <...>");
    t.inject(". 11:11(0) ack 1").set_peer_port(2003).inject(&syn);
    t.expect("S. 0:0(0) ack 11 <mss 1460>");
    t.forget_rest();
}

#[test]
fn section_5_1_one_that_was_reset_counts_for_a_while() {
    let mut t = server_with(1, |_| ());
    let cookie = cookie_of(&mut t);
    let syn = format!("S 0:10(10) win 65535 <mss 1460,{cookie},nop,nop>");
    t.inject(&syn).expect("S. 0:0(0) ack 11 <mss 1460>").accept();
    t.inject("R 11:11(0)");
    assert_eq!(t.try_recv(200), Ok(10));
    t.expect_error(TcpError::Reset);
    t.set_peer_port(2001).inject(&syn).expect("S. 0:0(0) ack 1 <mss 1460>").inject("R 1:1(0)");
    t.advance(secs(60)).set_peer_port(2002).inject(&syn).expect("S. 0:0(0) ack 11 <mss 1460>");
    t.forget_rest();
}

#[test]
fn section_5_1_no_cookies_under_syn_cookies() {
    let mut t = server_with(16, |config| config.tcp.half_open_per_listener = 1);
    let cookie = cookie_of(&mut t);
    t.set_peer_port(1).inject("S 0:0(0) win 65535").expect("S. 0:0(0) ack 1 <...>");
    t.set_peer_port(2000);
    t.inject(&format!("S 0:10(10) win 65535 <mss 1460,{cookie},nop,nop>"));
    t.expect("S. 0:0(0) ack 1 <mss 1460>");
    assert_eq!(t.stack.counters().tcp_cookies_sent, 1);
}

#[test]
fn section_5_1_no_room_for_a_connection_is_an_ordinary_handshake() {
    let mut t = server_with(16, |config| config.tcp.connections_max = 1);
    let cookie = cookie_of(&mut t);
    let syn = format!("S 0:10(10) win 65535 <mss 1460,{cookie},nop,nop>");
    t.inject(&syn).expect("S. 0:0(0) ack 11 <mss 1460>");
    t.set_peer_port(2001).inject(&syn).expect("S. 0:0(0) ack 1 <mss 1460>").forget_rest();
    assert_eq!(t.stack.counters().tcp_fast_open_passive_fail, 1);
}

// The client.

#[test]
fn section_4_2_1_a_client_without_a_cookie_asks_for_one() {
    let mut t = acquainted();
    t.open(eager()).expect_nothing();
    assert!(t.tcp().readiness().contains(Readiness::WRITABLE));
    assert_eq!(t.tcp().send_room(), 1360);
    t.send(100).expect(&format!("S 0:100(100) win 65535 {WITH_COOKIE}"));
    assert!(!t.tcp().readiness().contains(Readiness::WRITABLE));
    assert_eq!(t.try_send(1), Err(SendError::WouldBlock));
    t.inject("S. 0:0(0) ack 101 win 65535 <mss 1400>").expect(". 101:101(0) ack 1");
    let info = t.state(State::Established).info().unwrap();
    assert!(info.syn_data && info.fast_open_failed.is_none());
    assert_eq!((info.bytes_acked, info.retransmits, info.cwnd), (100, 0, 14_000));
    assert_eq!(t.stack.counters().tcp_fast_open_active, 1);
    t.send(10).expect("P. 101:111(10) ack 1");
}

#[test]
fn section_4_2_1_text_with_the_syn_ack_is_read() {
    let mut t = sent();
    t.inject("S. 0:50(50) ack 101 win 65535 <mss 1400>").expect(". 101:101(0) ack 51");
    t.expect_read(50);
}

#[test]
fn section_4_2_1_no_more_text_than_a_segment_takes() {
    let mut t = acquainted();
    assert_eq!(t.open(eager()).try_send(5000), Ok(1360));
    t.expect(&format!("S 0:1360(1360) win 65535 {WITH_COOKIE}"));
    t.inject("S. 0:0(0) ack 1361 win 65535 <mss 1400>").expect(". 1361:1361(0) ack 1");
}

#[test]
fn section_4_2_1_without_text_the_syn_carries_the_cookie() {
    let mut t = acquainted();
    assert_eq!(t.open(eager()).try_send(0), Ok(0));
    t.expect(&format!("S 0:0(0) win 65535 {WITH_COOKIE}"));
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1400>").expect(". 1:1(0) ack 1");
}

#[test]
fn section_4_2_1_text_that_is_not_acknowledged_goes_again_at_once() {
    let mut t = sent();
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1400>").expect("P. 1:101(100) ack 1");
    let info = t.state(State::Established).info().unwrap();
    assert_eq!((info.syn_data, info.cwnd), (false, 14_000));
    assert_eq!(info.fast_open_failed, Some(FastOpenFailure::DataNotAcked));
    assert_eq!(t.stack.counters().tcp_fast_open_active_fail, 1);
    t.inject(". 1:1(0) ack 101").expect_silence(secs(10));
}

#[test]
fn section_4_2_1_so_does_the_rest_of_what_is_acknowledged_in_part() {
    let mut t = sent();
    t.inject("S. 0:0(0) ack 41 win 65535 <mss 1400>").expect("P. 41:101(60) ack 1");
    assert_eq!(t.info().unwrap().bytes_acked, 40);
    t.inject(". 1:1(0) ack 101").expect_silence(secs(10));
}

#[test]
fn section_4_2_1_a_syn_that_goes_again_is_plain() {
    let mut t = sent();
    t.expect_between(ms(900), secs(2), "S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7>");
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1400>").expect("P. 1:101(100) ack 1");
    let failed = t.info().unwrap().fast_open_failed;
    assert_eq!(failed, Some(FastOpenFailure::SynRetransmitted));
    t.inject(". 1:1(0) ack 101").abort().forget_rest();
    // Once may be chance; twice is the path.
    t.open(eager()).send(100).expect(&format!("S 0:100(100) win 65535 {WITH_COOKIE}"));
    t.expect_within(secs(2), "S 0:0(0) <...>");
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1400>").expect("P. 1:101(100) ack 1");
    t.abort().forget_rest();
    let plain = "S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7>";
    t.open(eager()).expect(plain).abort().forget_rest();
    assert_eq!(t.stack.counters().tcp_fast_open_blackhole, 1);
    t.advance(secs(3600)).open(eager()).expect_nothing();
}

#[test]
fn section_4_1_3_1_a_path_that_swallows_everything_is_remembered() {
    let mut t = sent();
    for _ in 0..3 {
        t.expect_within(secs(9), "S 0:0(0) <...>");
    }
    assert_eq!(t.stack.counters().tcp_fast_open_blackhole, 1);
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1400>").expect("P. 1:101(100) ack 1");
    t.abort().forget_rest();
    t.open(eager()).expect("S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7>");
}

#[test]
fn section_4_1_3_1_so_is_one_that_swallows_what_follows_the_handshake() {
    let mut t = sent();
    t.inject("S. 0:0(0) ack 101 win 65535 <mss 1400>").expect(". 101:101(0) ack 1");
    t.send(10).expect("P. 101:111(10) ack 1").advance(secs(20)).forget_rest();
    assert_eq!(t.stack.counters().tcp_fast_open_blackhole, 1);
}

#[test]
fn section_4_1_3_the_servers_remembered_are_limited() {
    let mut t = Rig::with(|config| {
        config.tcp.fast_open = FastOpen::CLIENT;
        config.tcp.fast_open_servers_max = 0;
    });
    t.open(eager()).expect("S 0:0(0) <...>");
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1400,FO 0102030405060708,nop,nop>");
    t.expect(". 1:1(0) ack 1").abort().forget_rest();
    t.open(eager()).expect("S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7,FO,nop,nop>");
}

#[test]
fn section_4_1_3_a_cookie_that_nobody_asked_for_is_not_kept() {
    let mut t = client();
    t.open(ConnectOptions::default()).expect("S 0:0(0) <...>");
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1400,FO 0102030405060708,nop,nop>");
    t.expect(". 1:1(0) ack 1").abort().forget_rest();
    t.open(eager()).expect("S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7,FO,nop,nop>");
}

#[test]
fn section_4_2_simultaneous_open_sends_the_text_again() {
    let mut t = sent();
    t.inject("S 0:50(50) win 65535 <mss 1400>").expect("S. 0:0(0) ack 1 <mss 1460>");
    t.inject(". 1:1(0) ack 1").state(State::Established).expect("P. 1:101(100) ack 1");
    t.inject("P. 1:51(50) ack 101").expect_read(50).forget_rest();
}

#[test]
fn section_4_2_a_syn_that_crosses_one_that_waits_is_answered() {
    let mut t = acquainted();
    t.open(eager()).expect_nothing();
    t.inject("S 0:0(0) win 65535 <mss 1400>").expect("S. 0:0(0) ack 1 <mss 1460>");
    assert_eq!(t.try_send(10), Err(SendError::WouldBlock));
    t.expect_within(secs(2), "S. 0:0(0) ack 1 <mss 1460>");
    t.inject(". 1:1(0) ack 1").state(State::Established);
    t.send(100).expect("P. 1:101(100) ack 1");
}

#[test]
fn section_4_2_text_without_a_cookie_where_that_is_wanted() {
    let mut t = client();
    let tcp = TcpOptions { fast_open_no_cookie: true, ..eager().tcp };
    t.open(ConnectOptions { tcp, ..eager() }).expect_nothing().send(10);
    t.expect("S 0:10(10) win 65535 <mss 1460,sackOK,TS val * ecr 0,nop,wscale 7>");
    t.inject("S. 0:0(0) ack 11 win 65535 <mss 1400>").expect(". 11:11(0) ack 1");
}

#[test]
fn section_4_2_a_socket_that_never_writes_can_be_closed() {
    let mut t = acquainted();
    t.open(eager()).expect_silence(secs(1000)).close().expect_nothing();
    assert_eq!((t.stack.usage().connections, t.stack.usage().flows), (0, 0));
}

#[test]
fn section_4_2_memory_that_is_short_sends_the_syn_alone() {
    let mut t = acquainted();
    t.open(eager());
    let used = t.stack.memory_used();
    assert_eq!(used, 0);
    let (mut starved, now) = (
        Rig::with(|config| {
            config.tcp.fast_open = FastOpen::CLIENT.with(FastOpen::CLIENT_NO_COOKIE);
            config.tcp.memory_max = 0;
        }),
        t.now(),
    );
    starved.open(eager()).expect_nothing();
    assert_eq!(starved.tcp().send(now, b"text"), Err(SendError::WouldBlock));
    starved.drain().expect("S 0:0(0) <...>");
}

/// who was refused text for the SYN hears when there is memory.
#[test]
fn section_4_2_a_writer_without_memory_is_woken() {
    let greedy = TcpOptions { send_buffer: Some(1 << 20), ..TcpOptions::default() };
    let mut t = Rig::with(|config| {
        config.tcp.fast_open = FastOpen::CLIENT.with(FastOpen::CLIENT_NO_COOKIE);
        config.tcp.memory_max = 140_500;
    });
    t = t.listen(ListenOptions { tcp: greedy, ..ListenOptions::default() });
    t.open(eager()).expect_nothing();
    let waiting = t.socket.take().unwrap();
    let (host, peer) = t.flow();
    // Another one takes all memory.
    t.set_flow(SocketAddrV4::new(*host.ip(), 80), SocketAddrV4::new(*peer.ip(), 4000));
    t.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    t.inject(". 1:1(0) ack 1 win 0").accept();
    while t.try_send(10_000).is_ok() {}
    let greedy = t.forget_rest().socket.replace(waiting).unwrap();
    t.set_flow(host, peer);
    assert_eq!(t.try_send(100), Err(SendError::WouldBlock));
    t.drain().expect("S 0:0(0) <...>").inject("S. 0:0(0) ack 1 win 65535 <mss 1400>");
    t.expect(". 1:1(0) ack 1").state(State::Established).drain().events.clear();
    let now = t.now();
    t.stack.tcp(greedy).unwrap().abort(now);
    t.drain().forget_rest().advance(ms(1));
    let told = |event: &Event| {
        event.socket == SocketId::Tcp(waiting) && event.readiness.contains(Readiness::WRITABLE)
    };
    assert!(t.events.iter().any(told), "nobody told the writer: {:?}", t.events);
}
