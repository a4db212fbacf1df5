//! Two engines back to back, without a rig: the face of `Stack` as a newcomer would use it.

use stack::{
    Config, ConnectOptions, Event, Instant, ListenOptions, Mac, RecvError, RxFrame, Seed,
    SendError, SocketId, Stack, State, TcpId,
};
use std::net::SocketAddr;
use std::time::Duration;

struct Net {
    now: Instant,
    hosts: [Stack; 2],
    events: [Vec<Event>; 2],
}

fn host(last: u8) -> Stack {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
    config.validate().unwrap();
    Stack::new(config, Seed::from_number(last.into()))
}

fn address(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], port))
}

impl Net {
    fn new() -> Net {
        let hosts = [host(1), host(2)];
        Net { now: Instant::from_secs(100), hosts, events: Default::default() }
    }

    /// Carries frames until nobody has any.
    fn settle(&mut self) {
        loop {
            let mut carried = 0;
            for from in 0..2 {
                let mut frames = Vec::new();
                while let Some(frame) = self.hosts[from].poll_transmit(self.now) {
                    frames.push(frame.to_vec());
                }
                carried += frames.len();
                for frame in &frames {
                    self.hosts[1 - from].receive(self.now, RxFrame::plain(frame));
                }
                while let Some(event) = self.hosts[from].poll_event() {
                    self.events[from].push(event);
                }
            }
            if carried == 0 {
                return;
            }
        }
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        loop {
            let next = self.hosts.iter().filter_map(Stack::next_timeout).min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            for host in &mut self.hosts {
                host.advance(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    fn connect(&mut self) -> (TcpId, TcpId) {
        let listener = self.hosts[1].listen(address(2, 80), ListenOptions::default()).unwrap();
        let options = ConnectOptions::default();
        let client = self.hosts[0].connect(self.now, address(2, 80), options).unwrap();
        self.settle();
        let server = self.hosts[1].accept(listener).unwrap();
        self.hosts[1].close_listener(self.now, listener);
        (client, server)
    }

    fn state(&mut self, host: usize, id: TcpId) -> Option<State> {
        self.hosts[host].tcp(id).map(|tcp| tcp.state())
    }
}

#[test]
fn a_connection_from_open_to_close() {
    let mut net = Net::new();
    let (client, server) = net.connect();
    assert_eq!(net.state(0, client), Some(State::Established));
    assert_eq!(net.state(1, server), Some(State::Established));
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
    assert_eq!(net.state(0, client), Some(State::FinWait2));
    assert_eq!(net.state(1, server), Some(State::CloseWait));
    net.hosts[1].tcp(server).unwrap().close(net.now);
    net.settle();
    assert_eq!(net.state(0, client), Some(State::TimeWait));
    assert_eq!(net.state(1, server), None);
    net.hosts[0].tcp(client).unwrap().close(net.now);
    assert_eq!(net.hosts[0].connections().count(), 1, "TIME-WAIT");
    net.pass(Duration::from_secs(61));
    assert_eq!(net.hosts[0].connections().count(), 0);
    assert_eq!(net.hosts[1].connections().count(), 0);
    assert_eq!(net.hosts[0].memory_used() + net.hosts[1].memory_used(), 0);
    for host in &net.hosts {
        let c = host.counters();
        assert_eq!(c.frames_in, c.frames_delivered + c.drops.total());
    }
}

#[test]
fn ten_megabytes_arrive_in_order() {
    let mut net = Net::new();
    let (client, server) = net.connect();
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
    let refused = net.hosts[0].connect(net.now, address(2, 9), options).unwrap();
    net.settle();
    let error = net.hosts[0].tcp(refused).unwrap().take_error();
    assert_eq!(error, Some(stack::TcpError::Refused));
    let nobody = net.hosts[0].connect(net.now, address(77, 9), options).unwrap();
    net.pass(Duration::from_secs(5));
    let error = net.hosts[0].tcp(nobody).unwrap().take_error();
    assert_eq!(error, Some(stack::TcpError::HostUnreachable));
    let ping = net.hosts[0].bind_echo(None).unwrap();
    let big = vec![7; 20_000];
    let to = address(2, 0).ip();
    net.hosts[0].echo(ping).unwrap().send(net.now, to, 1, &big, None).unwrap();
    net.settle();
    assert!(net.events[0].iter().any(|e| e.socket == SocketId::Echo(ping)));
    let mut out = vec![0; 30_000];
    let reply = net.hosts[0].echo(ping).unwrap().recv(&mut out).unwrap();
    assert_eq!((reply.len, out[..20_000] == big[..]), (20_000, true));
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
    let (client, server) = net.connect();
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
