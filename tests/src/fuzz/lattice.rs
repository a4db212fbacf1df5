//! Every combination of the fields that say how long something is.

use super::target::{HOST, HOST_MAC, peer, peer_mac};
use stack::testing::packet::checksum;
use stack::{Cidr, Config, Instant, ListenOptions, RxChecksum, RxFrame, Seed, Stack, UdpId};
use std::net::{IpAddr, SocketAddr};

/// A stack, and a frame of which everything but the lengths is right.
pub struct Lattice {
    stack: Stack,
    udp: UdpId,
    frame: Vec<u8>,
    received: u64,
}

impl Lattice {
    /// Frames of this IP protocol.
    pub fn new(protocol: u8) -> Lattice {
        let mut config = Config::new(HOST_MAC);
        config.addresses = vec![Cidr { address: IpAddr::V4(HOST), prefix: 24 }];
        let mut stack = Stack::new(config, Seed::from_number(1));
        let any = SocketAddr::from(([0, 0, 0, 0], 0x0101));
        stack.listen(any, ListenOptions::default()).expect("free");
        let udp = stack.bind_udp(any).expect("free");
        let mut frame = vec![0x50; 14 + 65_536];
        frame[..6].copy_from_slice(&HOST_MAC.0);
        frame[6..12].copy_from_slice(&peer_mac(peer(0)).0);
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14..34].copy_from_slice(&[0; 20]);
        frame[22..24].copy_from_slice(&[64, protocol]);
        frame[26..30].copy_from_slice(&peer(0).octets());
        frame[30..34].copy_from_slice(&HOST.octets());
        // Options, if the header length says that there are any, and then a transport header,
        // wherever that puts it: ones serve as options and as ports.
        frame[34..].fill(1);
        Lattice { stack, udp, frame, received: 0 }
    }

    /// Sets the transport's own length field, where the header of `words` words ends.
    pub fn set_transport(&mut self, words: u8, at: usize, bytes: &[u8]) {
        let start = 14 + usize::from(words) * 4 + at;
        self.frame[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// A frame of `len` bytes whose IP header claims `words` words and `total` bytes.
    pub fn give(&mut self, len: usize, words: u8, total: u16) {
        self.frame[14] = 0x40 | words;
        self.frame[16..18].copy_from_slice(&total.to_be_bytes());
        self.frame[24..26].fill(0);
        let header = usize::from(words.max(5)) * 4;
        let sum = checksum(&[&self.frame[14..14 + header]]);
        self.frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let bytes = &self.frame[..len];
        let frame = RxFrame { bytes, checksum: RxChecksum::Verified, gso: None };
        self.received += 1;
        self.stack.receive(Instant::from_secs(1), frame);
        // What waits for a reader would soon leave no room for more.
        let _ = self.stack.udp(self.udp).expect("alive").recv_from(&mut []);
        while self.stack.poll_transmit(Instant::from_secs(1)).is_some() {}
    }

    /// Frames that a protocol took.
    ///
    /// # Panics
    /// When the books do not balance.
    pub fn audit(&self) -> u64 {
        let counters = self.stack.counters();
        let ended = counters.frames_delivered + counters.drops.total();
        assert_eq!((counters.frames_in, ended), (self.received, self.received));
        counters.frames_delivered
    }
}
