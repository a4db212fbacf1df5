//! Two engines over IPv4.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{
    ConnectOptions, Event, Instant, ListenOptions, RecvError, SendError, SocketId, Stack, State,
    TcpId, UdpError, UdpOptions, UdpRecvError,
};

use crate::net::{Net, balanced, frames, host, host_with, settled, v4};

fn state(net: &mut Net, host: usize, id: TcpId) -> Option<State> {
    net.hosts[host].tcp(id).map(|tcp| tcp.state())
}

#[test]
fn a_connection_from_open_to_close() {
    let mut net = Net::new();
    let (client, server) = net.connect(v4(2, 80));
    assert_eq!(state(&mut net, 0, client), Some(State::Established));
    assert_eq!(state(&mut net, 1, server), Some(State::Established));
    let sent = net.hosts[0].tcp(client).unwrap().send(net.now, b"hello").unwrap();
    assert_eq!(sent, 5);
    net.settle();
    let mut out = [0; 16];
    assert_eq!(net.hosts[1].tcp(server).unwrap().recv(net.now, &mut out), Ok(5));
    assert_eq!(&out[..5], b"hello");
    let again = net.hosts[1].tcp(server).unwrap().recv(net.now, &mut out);
    assert_eq!(again, Err(RecvError::WouldBlock));
    net.hosts[0].tcp(client).unwrap().shutdown_write(net.now).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].tcp(server).unwrap().recv(net.now, &mut out), Ok(0));
    assert_eq!(state(&mut net, 0, client), Some(State::FinWait2));
    assert_eq!(state(&mut net, 1, server), Some(State::CloseWait));
    net.hosts[1].tcp(server).unwrap().close(net.now);
    net.settle();
    assert_eq!(state(&mut net, 0, client), Some(State::TimeWait));
    assert_eq!(state(&mut net, 1, server), None);
    net.hosts[0].tcp(client).unwrap().close(net.now);
    assert_eq!(net.hosts[0].connections().count(), 1, "TIME-WAIT");
    net.pass(Duration::from_secs(61));
    assert_eq!(net.hosts[0].connections().count(), 0);
    assert_eq!(net.hosts[1].connections().count(), 0);
    assert_eq!(net.hosts[0].memory_used() + net.hosts[1].memory_used(), 0);
    net.hosts.iter().for_each(balanced);
}

#[test]
fn ten_megabytes_arrive_in_order() {
    let mut net = Net::new();
    let (client, server) = net.connect(v4(2, 80));
    let total = 10usize << 20;
    let (mut sent, mut got) = (0, 0);
    let pattern = |i: usize| (i % 251) as u8;
    let mut out = vec![0; 100_000];
    while got < total {
        let chunk: Vec<u8> = (sent..(sent + 70_000).min(total)).map(pattern).collect();
        match net.hosts[0].tcp(client).unwrap().send(net.now, &chunk) {
            Ok(n) => sent += n,
            Err(SendError::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        }
        net.settle();
        match net.hosts[1].tcp(server).unwrap().recv(net.now, &mut out) {
            Ok(n) => {
                assert!(out[..n].iter().enumerate().all(|(i, &b)| b == pattern(got + i)));
                got += n;
            }
            Err(RecvError::WouldBlock) => net.pass(Duration::from_millis(50)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(net.hosts[0].counters().tcp_retrans_segs, 0);
}

#[test]
fn refused_unanswered_and_pinged() {
    let mut net = Net::new();
    let options = ConnectOptions::default();
    let refused = net.hosts[0].connect(net.now, v4(2, 9), options).unwrap();
    net.settle();
    let error = net.hosts[0].tcp(refused).unwrap().take_error();
    assert_eq!(error, Some(stack::TcpError::Refused));
    let nobody = net.hosts[0].connect(net.now, v4(77, 9), options).unwrap();
    net.pass(Duration::from_secs(5));
    let error = net.hosts[0].tcp(nobody).unwrap().take_error();
    assert_eq!(error, Some(stack::TcpError::HostUnreachable));
    let ping = net.hosts[0].bind_echo(None).unwrap();
    let big = vec![7; 20_000];
    let to = v4(2, 0).ip();
    net.hosts[0].echo(ping).unwrap().send(net.now, to, 1, &big, None).unwrap();
    net.settle();
    assert!(net.events[0].iter().any(|e| e.socket == SocketId::Echo(ping)));
    let mut out = vec![0; 30_000];
    let reply = net.hosts[0].echo(ping).unwrap().recv(&mut out).unwrap();
    assert_eq!((reply.len, out[..20_000] == big[..]), (20_000, true));
}

/// Every packet that was to leave has left, or is counted as given up.
#[test]
fn law7_packets_that_wait_in_vain_are_counted() {
    let asks = |frames: &[Vec<u8>]| frames.iter().all(|frame| frame[12..14] == [8, 6]);
    let mut stack = settled(host(1));
    let mut now = Instant::from_secs(5);
    let socket = stack.bind_udp(v4(1, 9)).unwrap();
    let before = stack.counters().clone();
    for n in 0..100 {
        stack.udp(socket).unwrap().send_to(now, &[n], Some(v4(77, 9))).unwrap();
        assert!(asks(&frames(&mut stack, now)));
    }
    let given_up = |stack: &Stack| stack.counters().ip_out_discards - before.ip_out_discards;
    assert_eq!((given_up(&stack), stack.neighbor_counters().dropped), (36, 36), "the oldest");
    for _ in 0..4 {
        now = now + Duration::from_secs(1);
        stack.advance(now);
        assert!(asks(&frames(&mut stack, now)));
    }
    assert_eq!(stack.counters().ip_out_requests - before.ip_out_requests, 100);
    assert_eq!((given_up(&stack), stack.usage().memory), (100, 0));
    // What an address had still to say when it was lost.
    for n in 0..10 {
        stack.udp(socket).unwrap().send_to(now, &[n], Some(v4(78, 9))).unwrap();
        frames(&mut stack, now);
    }
    stack.remove_address(now, v4(1, 9).ip()).unwrap();
    assert_eq!(given_up(&stack), 110);
}

/// Who waits for a neighbour that is given up for another learns it if it asks for such, as on
/// Linux.
#[test]
fn n4_who_makes_room_for_another_neighbour_is_told() {
    for evicts in ["an unanswered one", "any"] {
        let mut stack = settled(host_with(1, |config| match evicts {
            "any" => config.neighbors.entries = 1,
            _ => config.neighbors.incomplete = 1,
        }));
        let mut now = Instant::from_secs(5);
        let before = stack.counters().ip_out_discards;
        let sockets = [77, 78].map(|last| {
            let asks = UdpOptions { network_errors: true, ..UdpOptions::default() };
            let id = [(last, asks), (last + 10, UdpOptions::default())].map(|(port, options)| {
                let id = stack.bind_udp_with(v4(1, port.into()), options).unwrap();
                stack.udp(id).unwrap().connect(v4(last, 9)).unwrap();
                stack.udp(id).unwrap().send_to(now, b"?", None).unwrap();
                id
            });
            frames(&mut stack, now);
            now = now + Duration::from_millis(25);
            id
        });
        assert_eq!(stack.neighbor_counters().evicted, 1, "{evicts}");
        assert!(stack.next_timeout().is_some_and(|due| due <= now), "somebody is to be told");
        stack.advance(now);
        let mut hears = |id| stack.udp(id).unwrap().recv_from(&mut [0; 9]).unwrap_err();
        let heard = sockets.map(|both| both.map(&mut hears));
        let nothing = UdpRecvError::WouldBlock;
        let unreachable = UdpRecvError::Failed(UdpError::HostUnreachable);
        assert_eq!(heard, [[unreachable, nothing], [nothing; 2]], "{evicts}");
        assert_eq!(stack.counters().ip_out_discards - before, 2);
        assert!(stack.next_timeout().is_none_or(|due| due > now));
    }
}

#[test]
fn a_host_talks_to_itself() {
    let mut net = Net::new();
    let local = SocketAddr::from(([127, 0, 0, 1], 7000));
    let listener = net.hosts[0].listen(local, ListenOptions::default()).unwrap();
    let client = net.hosts[0].connect(net.now, local, ConnectOptions::default()).unwrap();
    net.settle();
    let server = net.hosts[0].accept(listener).unwrap();
    net.hosts[0].tcp(client).unwrap().send(net.now, b"self").unwrap();
    net.settle();
    let mut out = [0; 8];
    assert_eq!(net.hosts[0].tcp(server).unwrap().recv(net.now, &mut out), Ok(4));
}

/// A socket that a full buffer made unwritable tells when it is writable, even if each send took
/// all it was given.
#[test]
fn a_buffer_filled_exactly_is_told_when_it_drains() {
    let mut net = Net::new();
    let (client, server) = net.connect(v4(2, 80));
    let room = net.hosts[0].tcp(client).unwrap().send_room();
    let sent = net.hosts[0].tcp(client).unwrap().send(net.now, &vec![1; room]).unwrap();
    assert_eq!(sent, room);
    net.events[0].clear();
    let mut out = vec![0; room];
    for _ in 0..10 {
        net.pass(Duration::from_millis(50));
        let _: Result<usize, RecvError> = net.hosts[1].tcp(server).unwrap().recv(net.now, &mut out);
    }
    net.settle();
    let writable = |e: &Event| e.readiness.contains(stack::Readiness::WRITABLE);
    assert!(net.events[0].iter().any(writable), "{:?}", net.events[0]);
}
