//! Law 6: at every limit something sensible happens, and afterwards things go on.

use crate::{ms, secs};
use stack::testing::rig::{HOST, Rig};
use stack::{
    BindError, Bytes, ConnectError, ConnectOptions, Event, ListenError, ListenOptions, Readiness,
    SendError, SocketId, State, TcpInfo, TcpOptions,
};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

const fn any(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), port)
}

/// without cookies too a flood of SYNs neither grows without end nor keeps an honest peer out.
#[test]
fn half_open_connections() {
    let mut t = Rig::with(|config| {
        config.tcp.half_open_max = 64;
        config.tcp.half_open_per_listener = 64;
        config.tcp.syn_cookies = false;
    });
    t = t.listen(ListenOptions::default());
    for i in 0..20_000u32 {
        t.set_peer_port((1024 + i) as u16);
        t.inject("S 0:0(0) win 65535 <mss 1460>").forget_rest();
    }
    assert!(t.stack.connections().count() <= 65);
    assert!(t.stack.counters().tcp_half_open_evicted >= 19_900);
    t.set_peer_port(999);
    t.accept_from("<mss 1460>").forget_rest();
}

/// an application that does not accept. Nobody is reset; who waits gets in later.
#[test]
fn the_accept_queue() {
    let mut t = Rig::new().listen(ListenOptions { backlog: 2, ..ListenOptions::default() });
    for i in 0..10 {
        t.set_peer_port(2000 + i).inject("S 0:0(0) win 65535 <mss 1460>");
        let answers = t.take_segments();
        assert!(answers.iter().all(|segment| segment.flags.0 & 4 == 0), "a reset");
        if !answers.is_empty() {
            t.inject(". 1:1(0) ack 1");
        }
        assert!(t.take_segments().is_empty());
    }
    let waiting = t.stack.listener(t.listener.unwrap()).unwrap().pending;
    assert!((2..=3).contains(&waiting), "{waiting} wait");
    assert!(t.stack.counters().tcp_listen_overflows > 0);
    let peer = t.flow().1.port();
    t.set_peer_port(2050).inject("S 0:0(0) win 65535 <mss 1460>").expect_nothing();
    t.set_peer_port(peer).accept().accept();
    t.set_peer_port(2009).accept_one();
}

trait AcceptOne {
    fn accept_one(&mut self);
}

impl AcceptOne for Rig {
    /// The peer tries again, as it would.
    #[track_caller]
    fn accept_one(&mut self) {
        self.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
        self.inject(". 1:1(0) ack 1").accept().state(State::Established).forget_rest();
    }
}

#[test]
fn connections() {
    let mut t = Rig::with(|config| config.tcp.connections_max = 3);
    let now = t.now();
    let remote = "192.0.2.2:80".parse().unwrap();
    let ids: Vec<_> = (0..3)
        .map(|_| t.stack.connect(now, remote, ConnectOptions::default()).expect("below the limit"))
        .collect();
    let beyond = t.stack.connect(now, remote, ConnectOptions::default());
    assert_eq!(beyond.err(), Some(ConnectError::TooManyConnections));
    t.stack.tcp(ids[1]).unwrap().abort(now);
    t.stack.connect(now, remote, ConnectOptions::default()).expect("there is room again");
    t.drain().forget_rest();
}

/// At the limit of connections a listener waits too, without a reset.
#[test]
fn connections_of_listeners() {
    let mut t = Rig::with(|config| config.tcp.connections_max = 2);
    t = t.listen(ListenOptions::default());
    for port in [2000, 2001, 2002, 2003] {
        t.set_peer_port(port).inject("S 0:0(0) win 65535 <mss 1460>");
        t.inject(". 1:1(0) ack 1");
        assert!(t.take_segments().iter().all(|segment| segment.flags.0 & 4 == 0), "a reset");
    }
    assert_eq!(t.stack.usage().connections, 2);
    t.accept().abort().forget_rest();
    t.inject(". 1:1(0) ack 1").forget_rest();
    t.accept();
}

#[test]
fn listeners() {
    let mut t = Rig::with(|config| config.tcp.listeners_max = 2);
    let first = t.stack.listen(any(1), ListenOptions::default()).unwrap();
    t.stack.listen(any(2), ListenOptions::default()).unwrap();
    let beyond = t.stack.listen(any(3), ListenOptions::default());
    assert_eq!(beyond.err(), Some(ListenError::TooManyListeners));
    let now = t.now();
    t.stack.close_listener(now, first);
    t.stack.listen(any(3), ListenOptions::default()).expect("there is room again");
}

/// at the limit the oldest TIME-WAIT ends early, and nobody is refused.
#[test]
fn time_waits() {
    let mut t = Rig::with(|config| config.tcp.time_wait_max = 5);
    t = t.listen(ListenOptions::default());
    for i in 0..20 {
        t.set_peer_port(2000 + i).accept_one();
        t.shutdown().forget_rest();
        t.inject("F. 1:1(0) ack 2").state(State::TimeWait).forget_rest().close();
    }
    let waiting = t.stack.connections().filter(|(_, info)| info.state == State::TimeWait).count();
    assert_eq!((waiting, t.stack.counters().tcp_time_wait_overflow), (5, 15));
    t.advance(secs(61)).forget_rest();
    assert_eq!(t.stack.connections().count(), 1);
}

/// memory that is used up stops buffers from growing, and no connection from going on.
#[test]
fn memory() {
    let ceiling = 300_000;
    let mut t = Rig::with(|config| config.tcp.memory_max = ceiling);
    t = t.listen(ListenOptions::default());
    let mut taken = 0;
    for port in 2000..2010 {
        t.set_peer_port(port).accept_one();
        t.inject(". 1:1(0) ack 1 win 0");
        taken += t.try_send(100_000).unwrap_or(0);
        assert!(t.stack.memory_used() <= ceiling, "{}", t.stack.memory_used());
    }
    assert!(taken >= 100_000 && taken <= ceiling, "{taken} bytes taken");
    assert!(t.try_send(100_000).unwrap_or(0) < 100_000);
    // The last one can still be spoken to, and what it holds still leaves.
    t.inject("P. 1:101(100) ack 1 win 65535").forget_rest();
    t.advance(ms(100)).forget_rest();
    assert_eq!(t.info().unwrap().bytes_received, 100, "{} in use", t.stack.memory_used());
    let id = t.socket.unwrap();
    let now = t.now();
    t.stack.tcp(id).unwrap().abort(now);
    t.drain().forget_rest();
    t.set_peer_port(3000).accept_one();
    t.inject("P. 1:11(10) ack 1").forget_rest();
    t.advance(ms(100)).forget_rest().state(State::Established);
}

/// Fills the ledger with text that the first connection's peer does not take.
fn exhausted() -> (Rig, Option<stack::TcpId>) {
    let tcp = TcpOptions { send_buffer: Some(1 << 20), ..TcpOptions::default() };
    let mut t = Rig::with(|config| config.tcp.memory_max = 140_500);
    t = t.listen(ListenOptions { tcp, ..ListenOptions::default() });
    t.accept_one();
    t.inject(". 1:1(0) ack 1 win 0");
    while t.try_send(10_000).is_ok() {}
    let greedy = t.socket.take();
    t.forget_rest().set_peer_port(2000).accept_one();
    (t, greedy)
}

/// a writer whom the ledger refuses is not writable, and is woken when there is memory.
#[test]
fn a_writer_without_memory_is_woken() {
    let (mut t, greedy) = exhausted();
    assert_eq!(t.try_send(10), Err(SendError::WouldBlock));
    let id = t.socket.unwrap();
    let writable = |t: &mut Rig| t.tcp().readiness().contains(Readiness::WRITABLE);
    assert!(!writable(&mut t), "it says that it would take text");
    t.drain().events.clear();
    t.advance(secs(5)).forget_rest();
    assert!(t.events.is_empty() && !writable(&mut t), "{:?}", t.events);
    let now = t.now();
    t.stack.tcp(greedy.unwrap()).unwrap().abort(now);
    t.drain().forget_rest();
    t.advance(ms(1)).forget_rest();
    let told = |event: &Event| {
        event.socket == SocketId::Tcp(id) && event.readiness.contains(Readiness::WRITABLE)
    };
    assert!(t.events.iter().any(told), "nobody told the writer: {:?}", t.events);
    t.send(10).expect("P. 1:11(10) ack 1");
}

/// who wakes and does not write keeps nobody from being woken.
#[test]
fn writers_without_memory_are_all_woken() {
    let (mut t, greedy) = exhausted();
    let mut waiting = vec![];
    for port in 2001..2101 {
        t.set_peer_port(port).accept_one();
        assert_eq!(t.try_send(10), Err(SendError::WouldBlock));
        waiting.push(t.socket.unwrap());
    }
    t.drain().events.clear();
    let now = t.now();
    t.stack.tcp(greedy.unwrap()).unwrap().abort(now);
    t.drain().forget_rest();
    t.advance(ms(1)).forget_rest();
    for id in waiting {
        assert!(t.events.iter().any(|event| event.socket == SocketId::Tcp(id)), "{id:?} sleeps");
    }
}

/// who is refused is not writable, though others wait for memory as well: who polls would
/// spin.
#[test]
fn who_would_block_is_not_writable() {
    for shares in [false, true] {
        let (mut t, greedy) = exhausted();
        let greedy = greedy.unwrap();
        let give = |t: &mut Rig| {
            let (now, mut tcp) = (t.now(), t.stack.tcp(greedy).unwrap());
            match shares {
                true => tcp.send_shared(now, &mut Bytes::from_static(&[7; 10_000])),
                false => tcp.send(now, &[7; 10_000]),
            }
        };
        while give(&mut t).is_ok() {}
        assert_eq!(t.try_send(10_000), Err(SendError::WouldBlock));
        for _ in 0..3 {
            assert_eq!(give(&mut t), Err(SendError::WouldBlock));
            let readiness = t.stack.tcp(greedy).unwrap().readiness();
            assert!(!readiness.contains(Readiness::WRITABLE), "shares: {shares}, {readiness:?}");
        }
    }
}

/// Has all that was sent acknowledged, and all that this lets out.
fn acknowledge_all(t: &mut Rig) {
    while t.info().unwrap().bytes_acked < t.info().unwrap().bytes_sent || t.tcp().unsent() > 0 {
        t.drain().forget_rest();
        let sent = t.info().unwrap().bytes_sent;
        t.inject(&format!(". 1:1(0) ack {}", 1 + sent)).forget_rest();
    }
}

/// what the ledger does not let a writer share is copied where the ring has memory. So one
/// whose text did not all go is not writable, and hears when he is.
#[test]
fn what_cannot_be_shared_goes_where_there_is_memory() {
    let mut t = Rig::with(|config| config.tcp.memory_max = 84_000);
    let tcp = TcpOptions { send_buffer: Some(1 << 20), ..TcpOptions::default() };
    t = t.listen(ListenOptions { tcp, ..ListenOptions::default() }).accept_from("<mss 1000>");
    assert_eq!(t.try_send(40_000), Ok(40_000));
    acknowledge_all(&mut t);
    assert_eq!(t.stack.memory_used(), 65_536, "the ring is empty and has memory");
    t.drain().events.clear();
    let now = t.now();
    let mut text = Bytes::from(vec![7; 100_000]);
    let taken = t.tcp().send_shared(now, &mut text).unwrap();
    assert_eq!((taken, text.len()), (84_000 / 16 * 15, 100_000 - 84_000 / 16 * 15));
    assert!(!t.tcp().readiness().contains(Readiness::WRITABLE));
    acknowledge_all(&mut t);
    let told = |event: &Event| event.readiness.contains(Readiness::WRITABLE);
    assert!(t.drain().events.iter().any(told), "nobody told the writer: {:?}", t.events);
}

/// The memory of a program that panics when it is asked to let go of it.
struct Clumsy(Vec<u8>);

impl AsRef<[u8]> for Clumsy {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Clumsy {
    fn drop(&mut self) {
        panic!("the program's own");
    }
}

/// A panic where shared text is let go takes no text along: what is lost on the way comes again.
#[test]
fn a_panic_of_who_has_shared_text_loses_none() {
    let mut t = Rig::with(|_| ()).listen(ListenOptions::default()).accept_from("<mss 1000>");
    let now = t.now();
    let mut first = Bytes::from_owner(Clumsy(vec![1; 2000]));
    assert_eq!(t.tcp().send_shared(now, &mut first), Ok(2000));
    drop(first);
    assert_eq!(t.tcp().send_shared(now, &mut Bytes::from(vec![2; 2000])), Ok(2000));
    t.drain().forget_rest();
    let inject = AssertUnwindSafe(|| _ = t.inject(". 1:1(0) ack 2001"));
    catch_unwind(inject).unwrap_err();
    t.advance(secs(3));
    let again: Vec<u8> = t.take_segments().into_iter().flat_map(|it| it.payload).collect();
    assert!(again.len() >= 1000 && again.iter().all(|byte| *byte == 2), "{} bytes", again.len());
    t.inject(". 1:1(0) ack 4001").forget_rest();
    assert_eq!((t.tcp().unsent(), t.info().unwrap().bytes_acked), (0, 4000));
}

/// text that is refused for want of memory is asked for again when there is memory; and a
/// reader with nothing to read gets his first text out of the reserve.
#[test]
fn a_reader_without_memory_is_not_forgotten() {
    let (mut t, greedy) = exhausted();
    t.inject("P. 1:1001(1000) ack 1").expect_read(1000).forget_rest();
    t.inject("P. 3001:4001(1000) ack 1").expect(". 1:1(0) ack 1001");
    assert_eq!(t.stack.counters().tcp_rcv_q_drop, 1, "out of order there is no reserve");
    t.advance(ms(100)).expect_nothing();
    let now = t.now();
    t.stack.tcp(greedy.unwrap()).unwrap().abort(now);
    t.drain().next_segment();
    t.expect_within(ms(1), ". 1:1(0) ack 1001");
    t.inject("P. 3001:4001(1000) ack 1").expect(". 1:1(0) ack 1001");
    t.inject("P. 1001:3001(2000) ack 1").expect(". 1:1(0) ack 4001").expect_read(3000);
}

/// R-12, SHLD-14: in want of memory receive buffers that have grown go back, and no window that
/// was announced does.
#[test]
fn buffers_go_back_without_a_broken_promise() {
    let mut t = Rig::with(|config| config.tcp.memory_max = 4 << 20);
    t = t.listen(ListenOptions::default());
    let mut greedy = vec![];
    for port in 2000..2003 {
        t.set_peer_port(port).accept_one();
        t.inject(". 1:1(0) ack 1 win 0");
        greedy.extend(t.socket);
    }
    t.set_peer_port(3000).inject("S 0:0(0) win 65535 <mss 1460,nop,wscale 7>");
    t.expect("S. 0:0(0) ack 1 <...>").advance(ms(5)).inject(". 1:1(0) ack 1").accept();
    for i in 0..80 {
        t.inject(&format!(". {}:{}(1460) ack 1", 1 + i * 1460, 1461 + i * 1460)).recv_all();
        if i % 40 == 39 {
            t.advance(ms(50)).forget_rest();
        }
    }
    let grown = t.info().unwrap();
    assert!(grown.receive_buffer > 200_000, "{}", grown.receive_buffer);
    let now = t.now();
    for id in greedy {
        assert_eq!(t.stack.tcp(id).unwrap().send(now, &[0; 1 << 20]), Ok(1 << 20));
    }
    t.inject("P. 116801:116901(100) ack 1").expect_read(100).forget_rest();
    let after = t.info().unwrap();
    assert_eq!(after.receive_buffer, 128 << 10, "as it began");
    let edge = |info: &TcpInfo| info.bytes_received + u64::from(info.receive_window);
    assert!(edge(&after) >= edge(&grown), "the window was taken back");
}

/// A connection that ends while it is to be asked for segments is not asked, nor armed, again.
#[test]
fn a_closed_connection_has_nothing_to_say() {
    let mut t = Rig::established();
    let before = t.stack.work().queue_pops;
    t.inject_burst(&["P. 1:101(100) ack 1", "R 101:101(0)"]).state(State::Closed);
    assert_eq!(t.stack.work().queue_pops, before);
    t.expect_read(100);
    assert_eq!(t.stack.work().queue_pops, before);
}

/// Text that would need one range too many is dropped, and the peer learns at once.
#[test]
fn ranges_out_of_order() {
    let mut t = Rig::with(|config| config.tcp.ranges_max = 2);
    t = t.listen(ListenOptions::default()).accept_from("<mss 1460,sackOK>");
    t.inject("P. 11:21(10) ack 1").expect(". 1:1(0) ack 1 <...>");
    t.inject("P. 31:41(10) ack 1").expect(". 1:1(0) ack 1 <...>");
    t.inject("P. 51:61(10) ack 1").expect(". 1:1(0) ack 1 <nop,nop,sack 31:41 11:21>");
    t.inject("P. 21:31(10) ack 1").expect(". 1:1(0) ack 1 <nop,nop,sack 11:41>");
    t.inject("P. 51:61(10) ack 1").expect(". 1:1(0) ack 1 <nop,nop,sack 51:61 11:41>");
    t.inject("P. 1:11(10) ack 1").expect(". 1:1(0) ack 41 <...>").expect_read(40);
}

/// A full send buffer says so, and takes more when there is room.
#[test]
fn the_send_buffer() {
    let tcp = TcpOptions { send_buffer: Some(4096), ..TcpOptions::default() };
    let mut t = Rig::new().listen(ListenOptions { tcp, ..ListenOptions::default() });
    t.accept_one();
    let taken = t.try_send(100_000).unwrap();
    assert!((4096..=8192).contains(&taken), "{taken}");
    assert_eq!(t.try_send(1), Err(SendError::WouldBlock));
    while t.unexpected() > 0 {
        let end = t.take_segments().iter().map(|segment| t.end_of(segment)).max();
        t.inject(&format!(". 1:1(0) ack {}", end.unwrap()));
    }
    assert_eq!(t.info().unwrap().bytes_acked, taken as u64);
    t.send(1000).forget_rest();
    // The application may change its mind about the size, both ways.
    let (now, mut options) = (t.now(), t.tcp().options());
    options.send_buffer = Some(50_000);
    t.tcp().set_options(now, options);
    let more = t.try_send(100_000).unwrap();
    assert!((40_000..=60_000).contains(&more), "{more}");
    options.send_buffer = Some(4096);
    t.tcp().set_options(now, options);
    assert_eq!(t.try_send(1), Err(SendError::WouldBlock));
    t.forget_rest();
}

/// S-6: ports run out for one peer, say so, and come back.
#[test]
fn ephemeral_ports() {
    let mut t = Rig::with(|config| config.tcp.ephemeral_ports = (40_000, 40_003));
    let now = t.now();
    let open = |t: &mut Rig, remote: &str| {
        t.stack.connect(now, remote.parse().unwrap(), ConnectOptions::default())
    };
    let ids: Vec<_> = (0..4).map(|_| open(&mut t, "192.0.2.2:80").unwrap()).collect();
    let mut ports: Vec<u16> =
        ids.iter().map(|id| t.stack.tcp(*id).unwrap().local().port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [40_000, 40_001, 40_002, 40_003]);
    assert_eq!(open(&mut t, "192.0.2.2:80").err(), Some(ConnectError::NoPorts));
    open(&mut t, "192.0.2.2:81").expect("another tuple has ports of its own");
    t.stack.tcp(ids[2]).unwrap().abort(now);
    open(&mut t, "192.0.2.2:80").expect("there is a port again");
    t.drain().forget_rest();
}

#[test]
fn udp_sockets() {
    let mut t = Rig::with(|config| config.udp.sockets = 2);
    let first = t.stack.bind_udp(any(53)).unwrap();
    t.stack.bind_udp(any(54)).unwrap();
    assert!(matches!(t.stack.bind_udp(any(55)), Err(BindError::TooManySockets)));
    assert!(t.stack.bind_udp(SocketAddr::from((HOST, 53))).is_err());
    t.stack.udp(first).unwrap().close();
    t.stack.bind_udp(any(55)).expect("there is room again");
    assert!(t.stack.udp(first).is_none(), "a stale id is nobody's");
}
