//! The forwarder: SYNs for any address and port, decided on before the SYN-ACK (decision 20).

use crate::{ms, secs};
use stack::testing::rig::{HOST, PEER, Rig};
use stack::{
    Config, DecideError, Incoming, ListenError, ListenOptions, ListenerId, Readiness, SocketId,
    State, TcpError, TcpOptions,
};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Where no host is.
const FAR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 9), 443);
const SYN: &str = "S 0:0(0) win 65535 <mss 1460>";
const FULL: &str = "S 0:0(0) win 65535 <mss 1400,sackOK,TS val 1000000 ecr 0,nop,wscale 7>";

/// A stack that stands for all addresses, and its forwarder.
struct Forwarder {
    t: Rig,
    id: ListenerId,
}

impl Forwarder {
    fn new() -> Forwarder {
        Forwarder::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Config)) -> Forwarder {
        let mut t = Rig::with(|config| {
            config.any_address = true;
            change(config);
        });
        let id = t.stack.open_forwarder(TcpOptions::default()).unwrap();
        t.set_flow(FAR, SocketAddrV4::new(PEER, 40_000));
        Forwarder { t, id }
    }

    /// A client of this number sends a SYN, to which nobody says anything.
    #[track_caller]
    fn syn(&mut self, number: u16) -> &mut Forwarder {
        self.t.set_flow(FAR, SocketAddrV4::new(PEER, 2000 + number));
        self.t.inject(SYN).expect_nothing();
        self
    }

    fn next(&mut self) -> Option<Incoming> {
        self.t.stack.next_incoming(self.id)
    }

    /// The next SYN is accepted.
    #[track_caller]
    fn accept(&mut self) -> &mut Rig {
        let incoming = self.next().expect("a SYN waits");
        let now = self.t.now();
        self.t.socket = Some(self.t.stack.accept_incoming(now, incoming.id).expect("accepted"));
        self.t.drain()
    }

    /// How many wait for a decision.
    fn undecided(&self) -> usize {
        self.t.stack.usage().half_open
    }
}

#[test]
fn accepted_when_the_program_knows() {
    let mut f = Forwarder::new();
    f.t.inject(FULL).expect_nothing();
    let event = f.t.events.last().expect("the program is told");
    assert_eq!((event.socket, event.readiness), (SocketId::Listener(f.id), Readiness::READABLE));
    let incoming = f.next().expect("a SYN waits");
    let peer = SocketAddrV4::new(PEER, 40_000);
    assert_eq!((incoming.from, incoming.to), (Rig::to_stack(peer), Rig::to_stack(FAR)));
    assert_eq!(f.next(), None, "each once");

    f.t.expect_silence(secs(5));
    let now = f.t.now();
    let id = f.t.stack.accept_incoming(now, incoming.id).unwrap();
    f.t.socket = Some(id);
    f.t.drain().expect("S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 1000000,nop,wscale 7>");
    assert!(!f.t.stack.tcp(id).unwrap().readiness().contains(Readiness::WRITABLE));
    f.t.inject("P. 1:101(100) ack 1").state(State::Established).expect_read(100);
    assert!(f.t.stack.tcp(id).unwrap().readiness().contains(Readiness::WRITABLE));
    let info = f.t.info().unwrap();
    assert!(info.sack && info.timestamps && info.window_scale.is_some_and(|(it, _)| it == 7));
    f.t.forget_rest().send(50).expect("P. 1:51(50) ack 101");
    f.t.inject("F. 101:101(0) ack 51").expect_end();
    f.t.close().expect("F. 51:51(0) ack 102").inject(". 102:102(0) ack 52");
    assert_eq!(f.t.current_state(), State::Closed);
    assert_eq!((f.undecided(), f.t.stack.usage().connections), (0, 0));
}

#[test]
fn the_syn_ack_is_sent_again_as_any_other() {
    let mut f = Forwarder::new();
    f.t.inject(SYN);
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460>");
    f.t.expect_between(ms(990), ms(1010), "S. 0:0(0) ack 1 <mss 1460>");
    f.t.inject(". 1:1(0) ack 1").state(State::Established);
}

#[test]
fn refused_with_a_reset() {
    let mut f = Forwarder::new();
    f.t.inject(SYN);
    let (incoming, now) = (f.next().unwrap(), f.t.now());
    assert!(f.t.stack.reset_incoming(now, incoming.id));
    f.t.drain().expect("R. 0:0(0) ack 1");
    assert!(!f.t.stack.reset_incoming(now, incoming.id), "once");
    f.t.expect_silence(secs(100));
    assert_eq!(f.undecided(), 0);
}

#[test]
fn dropped_without_a_word() {
    let mut f = Forwarder::new();
    f.t.inject(SYN);
    let incoming = f.next().unwrap();
    assert!(f.t.stack.drop_incoming(incoming.id));
    f.t.expect_silence(secs(1));
    f.t.inject(SYN);
    let again = f.next().expect("the SYN that is sent again is another one to decide on");
    assert_eq!((again.from, again.to), (incoming.from, incoming.to));
    assert_ne!(again.id, incoming.id);
    f.t.expect_silence(secs(1));
}

#[test]
fn a_syn_that_is_sent_again_waits_once() {
    let mut f = Forwarder::new();
    f.t.inject("S 0:0(0) win 65535 <mss 1460,nop,nop,TS val 1000000 ecr 0>");
    for val in [1_001_000, 1_003_000] {
        f.t.inject(&format!("S 0:0(0) win 65535 <mss 1460,nop,nop,TS val {val} ecr 0>"));
    }
    // Another number: a stranger's, perhaps. The first counts.
    f.t.inject("S 5000:5000(0) win 65535 <mss 1460>").expect_nothing();
    assert_eq!(f.undecided(), 1);
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460,nop,nop,TS val 0 ecr 1003000>");
    assert_eq!(f.next(), None);
}

#[test]
fn a_sender_takes_its_syn_back() {
    let mut f = Forwarder::new();
    f.t.inject(SYN).inject("R 0:0(0)").inject("R 2:2(0)").expect_nothing();
    let incoming = f.next().unwrap();
    assert!(f.t.stack.is_undecided(incoming.id), "strangers' resets");
    f.t.inject("R 1:1(0)").expect_nothing();
    assert!(!f.t.stack.is_undecided(incoming.id));
    let now = f.t.now();
    assert_eq!(f.t.stack.accept_incoming(now, incoming.id), Err(DecideError::Gone));
    // One of which nobody has been told.
    f.t.inject(SYN).inject("R 1:1(0)");
    assert_eq!((f.next(), f.undecided()), (None, 0));
}

#[test]
fn other_segments_find_a_closed_port() {
    let mut f = Forwarder::new();
    f.t.inject(". 1:1(0) ack 7").expect("R 7:7(0)");
    f.t.inject("F. 1:1(0) ack 7").expect("R 7:7(0)");
    f.t.inject("R 1:1(0)").inject("- 1:1(0)").forget_rest();
    assert_eq!((f.next(), f.undecided()), (None, 0));
    f.t.inject(SYN).inject(". 1:1(0) ack 7").expect("R 7:7(0)");
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460>");
}

#[test]
fn nobody_decides() {
    let mut f = Forwarder::with(|config| config.tcp.forward_decision = secs(10));
    f.t.inject(SYN);
    let incoming = f.next().unwrap();
    f.t.expect_silence(secs(11));
    assert_eq!((f.undecided(), f.t.stack.counters().tcp_forward_expired), (0, 1));
    let now = f.t.now();
    assert_eq!(f.t.stack.accept_incoming(now, incoming.id), Err(DecideError::Gone));
    f.t.inject(SYN);
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460>");
}

/// At the limit of the undecided SYNs are dropped; a decision makes room.
#[test]
fn r1_the_limit_of_all() {
    let mut f = Forwarder::with(|config| config.tcp.forward_max = 3);
    for number in 0..5 {
        f.syn(number);
    }
    assert_eq!((f.undecided(), f.t.stack.counters().tcp_forward_drops), (3, 2));
    let first = f.next().unwrap();
    assert!(f.t.stack.drop_incoming(first.id));
    f.syn(4);
    assert_eq!((f.undecided(), f.t.stack.counters().tcp_forward_drops), (3, 2));
}

/// Of those that were accepted and do not finish their handshakes, the oldest makes room.
#[test]
fn r1_accepted_handshakes_make_room() {
    let mut f = Forwarder::with(|config| config.tcp.forward_max = 2);
    let mut accepted = Vec::new();
    for number in 0..2 {
        f.syn(number);
        accepted.push(f.accept().expect("S. 0:0(0) ack 1 <mss 1460>").socket.unwrap());
    }
    f.syn(2);
    assert_eq!((f.undecided(), f.t.stack.counters().tcp_forward_evicted), (1, 1));
    let error = |f: &mut Forwarder, id| f.t.stack.tcp(id).unwrap().take_error();
    assert_eq!(error(&mut f, accepted[0]), Some(TcpError::TimedOut));
    assert_eq!(error(&mut f, accepted[1]), None);
    // The third has room, finishes, and counts no more.
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460>").inject(". 1:1(0) ack 1");
    f.syn(3);
    assert_eq!(f.t.stack.counters().tcp_forward_evicted, 1);
    f.t.forget_rest();
}

#[test]
fn r1_the_limit_of_one_source() {
    let mut f = Forwarder::with(|config| config.tcp.forward_per_source = 2);
    for number in 0..3 {
        f.syn(number);
    }
    assert_eq!((f.undecided(), f.t.stack.counters().tcp_forward_drops), (2, 1));
    // Another source has room.
    f.t.set_flow(FAR, SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 2000)).inject(SYN);
    assert_eq!(f.undecided(), 3);
    // What is accepted counts until the handshake is finished.
    f.t.set_flow(FAR, SocketAddrV4::new(PEER, 2000));
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460>");
    f.syn(3);
    assert_eq!(f.t.stack.counters().tcp_forward_drops, 2);
    f.t.set_flow(FAR, SocketAddrV4::new(PEER, 2000)).inject("R 1:1(0)");
    f.syn(3);
    assert_eq!(f.t.stack.counters().tcp_forward_drops, 2, "there is room again");
}

/// A flood through a program that accepts all: bounded, and an honest peer gets in.
#[test]
fn r1_a_flood_through_the_forwarder() {
    let mut f = Forwarder::with(|config| config.tcp.forward_max = 64);
    for number in 0..2_000u32 {
        let source = Ipv4Addr::from_bits(0x0a00_0001 + number % 1_000 * 256);
        f.t.set_flow(FAR, SocketAddrV4::new(source, (1024 + number / 1_000) as u16));
        f.t.inject(SYN);
        f.accept().forget_rest();
        let usage = f.t.stack.usage();
        assert!(usage.half_open <= 64 && usage.flows <= 65, "{usage:?}");
        // Given up or held, the handshake is not finished.
        if number % 2 == 0 {
            f.t.close().forget_rest();
        }
    }
    assert!(f.t.stack.counters().tcp_forward_evicted >= 1_900);
    assert_eq!(f.t.stack.memory_used(), 0);
    assert_eq!(f.t.stack.counters().tcp_cookies_sent, 0, "no answer before a decision");
    f.t.forget_rest();
    f.t.set_flow(FAR, SocketAddrV4::new(PEER, 40_000)).inject(SYN);
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460>").inject(". 1:1(0) ack 1");
    assert_eq!(f.t.current_state(), State::Established);
    f.t.forget_rest();
}

/// A port with a listener is not for the forwarder: of this host, and of all addresses.
#[test]
fn listeners_come_first() {
    let mut f = Forwarder::new();
    let everywhere = Rig::to_stack(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80));
    f.t.stack.listen(everywhere, ListenOptions::default()).unwrap();
    let peer = SocketAddrV4::new(PEER, 40_000);
    for address in [HOST, *FAR.ip()] {
        f.t.set_flow(SocketAddrV4::new(address, 80), peer);
        f.t.inject(SYN).expect("S. 0:0(0) ack 1 <mss 1460>").inject("R 1:1(0)");
        f.t.set_flow(SocketAddrV4::new(address, 81), peer).inject(SYN).expect_nothing();
        assert!(f.next().is_some(), "{address}");
    }
}

#[test]
fn what_was_accepted_outlives_the_forwarder() {
    let mut f = Forwarder::new();
    f.t.inject(SYN);
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460>");
    let (now, flow) = (f.t.now(), f.t.flow());
    let socket = f.t.socket;
    f.syn(1);
    assert_eq!(f.t.stack.open_forwarder(TcpOptions::default()), Err(ListenError::AddressInUse));
    f.t.stack.close_listener(now, f.id);
    assert_eq!((f.undecided(), f.next()), (0, None));
    f.syn_is_refused(2);
    // Once more, which must not count what the first has accepted.
    f.id = f.t.stack.open_forwarder(TcpOptions::default()).unwrap();
    f.t.set_flow(flow.0, flow.1).forget_rest();
    f.t.socket = socket;
    let syn_ack = f.t.advance(ms(1100)).next_segment();
    assert_eq!(syn_ack.flags.0, 0x12, "{syn_ack:?}");
    f.t.inject(". 1:1(0) ack 1").state(State::Established);
    f.syn(3);
    assert_eq!(f.undecided(), 1);
}

impl Forwarder {
    #[track_caller]
    fn syn_is_refused(&mut self, number: u16) {
        self.t.set_flow(FAR, SocketAddrV4::new(PEER, 2000 + number));
        self.t.inject(SYN).expect("R. 0:0(0) ack 1");
    }
}

/// RFC 6191 holds here too: a connection follows another between the same ends.
#[test]
fn a_new_connection_follows_time_wait() {
    let mut f = Forwarder::new();
    f.t.inject(SYN);
    f.accept().expect("S. 0:0(0) ack 1 <mss 1460>").inject(". 1:1(0) ack 1");
    f.t.shutdown().expect("F. 1:1(0) ack 1").inject("F. 1:1(0) ack 2").expect(". 2:2(0) ack 2");
    f.t.close().state(State::TimeWait);
    f.t.inject("S 100:100(0) win 65535 <mss 1460>").expect_nothing();
    assert_eq!((f.undecided(), f.t.stack.usage().time_waits), (1, 0));
    let past = f.t.bases().seq;
    f.accept();
    let syn_ack = f.t.next_segment();
    assert!(syn_ack.seq.wrapping_sub(past) > 65_535, "its numbers are behind the old ones");
}

/// Without being told so a host answers for nobody else.
#[test]
fn only_where_the_host_stands_for_all() {
    let mut t = Rig::new();
    let refused = t.stack.open_forwarder(TcpOptions::default());
    assert_eq!(refused, Err(ListenError::AddressNotAvailable));
    t.set_flow(FAR, SocketAddrV4::new(PEER, 40_000)).inject(SYN).expect_nothing();
    assert_eq!(t.stack.counters().drops.get(stack::DropReason::IpNotForUs), 1);
    // And without a forwarder all ports of all addresses are closed.
    let mut t = Rig::with(|config| config.any_address = true);
    t.set_flow(FAR, SocketAddrV4::new(PEER, 40_000)).inject(SYN).expect("R. 0:0(0) ack 1");
    // Whoever claims to be who he speaks to is nobody.
    t.set_flow(FAR, FAR).inject(SYN).expect_nothing();
    assert_eq!(t.stack.counters().drops.get(stack::DropReason::IpBadSource), 1);
}

/// Law 5: what an exchange costs beside so many undecided.
#[test]
fn law_5_the_undecided_cost_nothing() {
    let cost = |count: u16| {
        let mut f = Forwarder::with(|config| config.tcp.forward_per_source = 8192);
        for number in 0..count {
            f.syn(number);
        }
        let before = f.t.stack.work();
        f.t.set_flow(FAR, SocketAddrV4::new(PEER, 40_000)).inject(SYN);
        while let Some(incoming) = f.next() {
            if incoming.from.port() == 40_000 {
                let now = f.t.now();
                f.t.socket = Some(f.t.stack.accept_incoming(now, incoming.id).unwrap());
            }
        }
        f.t.drain().expect("S. 0:0(0) ack 1 <mss 1460>").inject(". 1:1(0) ack 1");
        f.t.inject("P. 1:101(100) ack 1").expect_read(100).forget_rest();
        let after = f.t.stack.work();
        [after.demux_probes - before.demux_probes, after.queue_pops - before.queue_pops]
    };
    let alone = cost(0);
    assert!(alone[0] > 1 && alone[1] > 0, "nothing counted: {alone:?}");
    assert_eq!(alone, cost(1000));
}
