//! Two hosts and a link each way between them, in virtual time: the same run on every machine, and
//! a minute of it takes a moment.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use stack::{Cidr, Config, Instant, Mac, RxFrame, Seed, Stack};
use tapdev::{Link, LinkConfig};

/// The ends: who speaks, and who listens.
const ENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];

/// Where the listener is.
pub(crate) const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(ENDS[1]), 5004);

/// What runs on the two hosts.
pub(crate) trait Application {
    /// Does what is to be done, and says when there is more to be done of itself.
    fn work(&mut self, now: Instant, hosts: &mut [Stack; 2]) -> Option<Instant>;

    /// Nothing more will be done.
    fn is_done(&self) -> bool;
}

/// The hosts, the links, and the time.
pub(crate) struct Wire {
    pub(crate) now: Instant,
    pub(crate) hosts: [Stack; 2],
    links: [Link; 2],
}

impl Wire {
    pub(crate) fn new(link: &LinkConfig, seed: u64) -> Result<Wire> {
        let host = |which: usize| {
            let mut config = Config::new(Mac([2, 0, 0, 0, 0, which as u8 + 1]));
            config.addresses = vec![Cidr::new(ENDS[which].into(), 24)];
            Stack::new(config, Seed::from_number(which as u64))
        };
        let link = |which| Link::new(link.clone(), seed.wrapping_mul(2).wrapping_add(which));
        let links = [link(0)?, link(1)?];
        let mut wire = Wire { now: Instant::from_secs(1), hosts: [host(0), host(1)], links };
        wire.introduce()?;
        Ok(wire)
    }

    /// Has the hosts find each other's Ethernet address without the link: no packet waits for that.
    fn introduce(&mut self) -> Result<()> {
        let [speaker, listener] = &mut self.hosts;
        let id = speaker.bind_udp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
        let mut udp = speaker.udp(id).context("the socket")?;
        // Nobody listens yet, and the answer that says so comes by ARP in the other direction.
        udp.send_to(self.now, b"hello", Some(LISTENER))?;
        loop {
            let frames = [frames(speaker, self.now), frames(listener, self.now)];
            if frames.iter().all(Vec::is_empty) {
                break;
            }
            for (host, frames) in [&mut *listener, &mut *speaker].into_iter().zip(&frames) {
                for frame in frames {
                    host.receive(self.now, RxFrame::plain(frame));
                }
            }
        }
        if let Some(udp) = speaker.udp(id) {
            udp.close();
        }
        Ok(())
    }

    /// Time passes until the application is done, or `limit` has passed.
    pub(crate) fn run(&mut self, application: &mut impl Application, limit: Duration) {
        let end = self.now + limit;
        while !application.is_done() && self.now < end {
            let wish = application.work(self.now, &mut self.hosts);
            self.send();
            let links = self.links.iter().filter_map(Link::next_ns).map(Instant::from_nanos);
            let hosts = self.hosts.iter().filter_map(Stack::next_timeout);
            let Some(next) = links.chain(hosts).chain(wish).min() else { return };
            self.now = self.now.max(next);
            self.deliver();
        }
    }

    fn send(&mut self) {
        for (host, link) in self.hosts.iter_mut().zip(&mut self.links) {
            for frame in frames(host, self.now) {
                link.push(self.now.as_nanos(), &frame);
            }
            // The application looks without being told.
            while host.poll_event().is_some() {}
        }
    }

    fn deliver(&mut self) {
        for (link, to) in self.links.iter_mut().zip([1, 0]) {
            let host = &mut self.hosts[to];
            while let Some(frame) = link.pop(self.now.as_nanos()) {
                host.receive(self.now, RxFrame::plain(&frame));
            }
            host.advance(self.now);
        }
    }
}

/// What the host has to send.
fn frames(host: &mut Stack, now: Instant) -> Vec<Vec<u8>> {
    iter::from_fn(|| host.poll_transmit(now).map(|frame| frame.to_vec())).collect()
}
