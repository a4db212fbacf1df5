//! Two hosts on one link, each with both IP versions.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use stack::{
    Config, ConnectOptions, Event, Instant, ListenOptions, Mac, RxFrame, Seed, Stack, TcpId,
};

pub(crate) fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// Host `last`'s IPv4 address, with a port.
pub(crate) fn v4(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], port))
}

/// Host `last`'s IPv6 address.
pub(crate) fn ip(last: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())
}

/// The same with a port.
pub(crate) fn v6(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from((ip(last), port))
}

pub(crate) fn host_with(last: u8, change: impl FnOnce(&mut Config)) -> Stack {
    let mut config = Config::new(mac(last));
    config.addresses = vec![
        format!("192.0.2.{last}/24").parse().unwrap(),
        format!("2001:db8::{last}/64").parse().unwrap(),
    ];
    change(&mut config);
    config.validate().unwrap();
    Stack::new(config, Seed::from_number(last.into()))
}

pub(crate) fn host(last: u8) -> Stack {
    host_with(last, |_| ())
}

/// All that the host has to say now.
pub(crate) fn frames(stack: &mut Stack, now: Instant) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(frame) = stack.poll_transmit(now) {
        frames.push(frame.to_vec());
    }
    frames
}

/// A host that has told of the groups of its addresses, which it does twice in its first second.
pub(crate) fn settled(mut stack: Stack) -> Stack {
    for second in [0, 1] {
        let now = Instant::from_secs(second);
        stack.advance(now);
        frames(&mut stack, now);
    }
    stack
}

/// The books of frames balance.
pub(crate) fn balanced(stack: &Stack) {
    let counters = stack.counters();
    assert_eq!(counters.frames_in, counters.frames_delivered + counters.drops.total());
}

pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) hosts: [Stack; 2],
    pub(crate) events: [Vec<Event>; 2],
    /// The longest packet that the wire carries; what is longer is lost.
    pub(crate) carries: usize,
    /// What was lost so.
    pub(crate) lost: Vec<Vec<u8>>,
    /// Every frame that was carried.
    pub(crate) seen: Vec<Vec<u8>>,
}

impl Net {
    pub(crate) fn new() -> Net {
        Net::of([host(1), host(2)])
    }

    pub(crate) fn of(hosts: [Stack; 2]) -> Net {
        let now = Instant::from_secs(100);
        let (events, seen, lost) = Default::default();
        Net { now, hosts, events, carries: usize::MAX, lost, seen }
    }

    /// Carries frames until nobody has any.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut carried = 0;
            for from in 0..2 {
                for frame in frames(&mut self.hosts[from], self.now) {
                    if frame.len() > self.carries.saturating_add(14) {
                        self.lost.push(frame);
                        continue;
                    }
                    self.hosts[1 - from].receive(self.now, RxFrame::plain(&frame));
                    self.seen.push(frame);
                    carried += 1;
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
    pub(crate) fn pass(&mut self, span: Duration) {
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

    /// Host 0 connects to host 1 at `remote`.
    pub(crate) fn connect(&mut self, remote: SocketAddr) -> (TcpId, TcpId) {
        let listener = self.hosts[1].listen(remote, ListenOptions::default()).unwrap();
        let client = self.hosts[0].connect(self.now, remote, ConnectOptions::default()).unwrap();
        self.settle();
        let server = self.hosts[1].accept(listener).unwrap();
        self.hosts[1].close_listener(self.now, listener);
        (client, server)
    }
}
