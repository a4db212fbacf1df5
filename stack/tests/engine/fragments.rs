//! Datagrams of every size over links of every width, cut by one host and put together by another
//! (RFC 791 §3.2, RFC 8200 §4.5): what arrives in pieces, in any order and some of them twice, is
//! what was sent.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{UdpOptions, UdpRecvError};

use crate::net::{Net, balanced, frames, host_with, v4, v6};

/// The longest payload of UDP over IPv4.
const LONGEST: usize = 65_507;

/// An address of host `last`, with a port.
type AddressOf = fn(u8, u16) -> SocketAddr;

/// The MTU of a link, and a host's addresses on it. IPv6 is not spoken below 1280 (RFC 8200 §5).
const LINKS: [(usize, AddressOf); 7] =
    [(576, v4), (1280, v4), (1500, v4), (9000, v4), (1280, v6), (1500, v6), (9000, v6)];

/// Numbers that look like chance, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count
    }

    /// Some come twice, but not the first: a second datagram cannot come of them. Then all change
    /// places.
    fn disturb(&mut self, pieces: &mut Vec<Vec<u8>>) {
        for at in 1..pieces.len() {
            if self.below(8) == 0 {
                pieces.push(pieces[at].clone());
            }
        }
        for at in (1..pieces.len()).rev() {
            pieces.swap(at, self.below(at + 1));
        }
    }
}

/// How many bytes of a datagram fit into a piece of it, whose length is a multiple of eight, and
/// into a packet that is not cut.
fn room(mtu: usize, is_v4: bool) -> (usize, usize) {
    if is_v4 { ((mtu - 20) / 8 * 8, mtu - 20) } else { ((mtu - 48) / 8 * 8, mtu - 40) }
}

/// Sends a datagram of each of these sizes through a link, and looks at what arrives. Returns how
/// many there were.
fn send_all(mtu: usize, address: AddressOf, sizes: impl Fn(usize) -> bool) -> usize {
    let (from, to) = (address(1, 9), address(2, 9));
    let (piece, whole) = room(mtu, to.is_ipv4());
    let mut net = Net::of([1, 2].map(|last| {
        host_with(last, |config| {
            config.mtu = mtu;
            config.addresses.retain(|own| own.address.is_ipv4() == to.is_ipv4());
        })
    }));
    let near = net.hosts[0].bind_udp_with(from, UdpOptions::default()).unwrap();
    let far = net.hosts[1].bind_udp(to).unwrap();
    let mut out = vec![0; LONGEST + 1];
    // Both know where the other is.
    net.hosts[0].udp(near).unwrap().send_to(net.now, b"", Some(to)).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].udp(far).unwrap().recv_from(&mut out), Ok((0, from)));
    let mut dice = Dice(mtu as u64);
    let text: Vec<u8> = (0..LONGEST + 256).map(|_| dice.below(256) as u8).collect();
    let mut count = 0;
    for size in (0..=LONGEST).filter(|size| sizes(*size)) {
        let sent = &text[size % 256..][..size];
        net.hosts[0].udp(near).unwrap().send_to(net.now, sent, Some(to)).unwrap();
        let mut pieces = frames(&mut net.hosts[0], net.now);
        let expected = if size + 8 <= whole { 1 } else { (size + 8).div_ceil(piece) };
        assert_eq!(pieces.len(), expected, "{size} bytes at {mtu}");
        assert!(pieces.iter().all(|frame| frame.len() <= mtu + 14), "{size} bytes at {mtu}");
        dice.disturb(&mut pieces);
        for frame in &pieces {
            net.hosts[1].receive(net.now, stack::RxFrame::plain(frame));
        }
        let mut socket = net.hosts[1].udp(far).unwrap();
        assert_eq!(socket.recv_from(&mut out), Ok((size, from)), "{size} bytes at {mtu}");
        assert!(out[..size] == *sent, "{size} bytes at {mtu}");
        assert_eq!(socket.recv_from(&mut out), Err(UdpRecvError::WouldBlock));
        // Longer than a piece waits for the others: identifiers of 16 bits come again (RFC 4963).
        net.pass(Duration::from_secs(31));
        count += 1;
    }
    balanced(&net.hosts[1]);
    count
}

/// Every size around which the number of pieces changes, all of one and two pieces, the longest,
/// and one in 89 of the rest.
#[test]
fn f1_datagrams_of_all_kinds_of_sizes_arrive() {
    for (mtu, address) in LINKS {
        let (piece, _) = room(mtu, address(1, 9).is_ipv4());
        let count = send_all(mtu, address, |size| {
            let edge = (size + 8) % piece;
            size < 2 * mtu || size > 65_400 || edge < 10 || edge > piece - 10 || size % 89 == 0
        });
        assert!(count > 2000, "{count} at {mtu}");
    }
}

#[test]
#[ignore = "half a minute: scripts/test runs it"]
fn f1_datagrams_of_every_size_arrive() {
    for (mtu, address) in LINKS {
        assert_eq!(send_all(mtu, address, |_| true), LONGEST + 1);
    }
}
