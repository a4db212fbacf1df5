//! Datagrams of every size over links of every width, cut by one host and put together by another
//! (RFC 791 §3.2, RFC 8200 §4.5): what arrives in pieces, in any order and some of them twice, is
//! what was sent.

use std::net::SocketAddr;
use std::time::Duration;

use stack::testing::packet::{checksum, ethernet, ipv4, udp};
use stack::{Instant, Mac, RxFrame, Stack, UdpId, UdpOptions, UdpRecvError};

use crate::interfaces::who_has;
use crate::ipv6::solicitation;
use crate::net::{Net, balanced, frames, host, host_with, ip, mac, settled, v4, v6};

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
            net.hosts[1].receive(net.now, RxFrame::plain(frame));
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

/// Is it a piece of a datagram of UDP?
fn is_piece(frame: &[u8]) -> bool {
    match frame[12..14] {
        [8, 0] => frame[23] == 17 && (frame[20] & 0x3f, frame[21]) != (0, 0),
        [0x86, 0xdd] => frame[20] == 44,
        _ => false,
    }
}

/// Host 0's socket sends 5000 bytes to `to`. When two of their pieces are out, `meanwhile` happens
/// to the host. Returns what it had to say beside the pieces, of which host 1's `far` hears every
/// byte.
fn sent_meanwhile(
    net: &mut Net,
    [near, far]: [UdpId; 2],
    to: SocketAddr,
    meanwhile: impl FnOnce(&mut Stack, Instant),
) -> Vec<Vec<u8>> {
    let mut dice = Dice(5_000);
    let text: Vec<u8> = (0..5_000).map(|_| dice.below(256) as u8).collect();
    let host = &mut net.hosts[0];
    host.udp(near).unwrap().send_to(net.now, &text, Some(to)).unwrap();
    let first = [(); 2].map(|()| host.poll_transmit(net.now).unwrap().to_vec());
    meanwhile(host, net.now);
    let all = first.into_iter().chain(frames(host, net.now));
    let (pieces, others): (Vec<_>, Vec<_>) = all.partition(|frame| is_piece(frame));
    assert_eq!(pieces.len(), 4, "to {to}");
    for piece in &pieces {
        net.hosts[1].receive(net.now, RxFrame::plain(piece));
    }
    let mut out = vec![0; 6_000];
    let (len, _) = net.hosts[1].udp(far).unwrap().recv_from(&mut out).unwrap();
    assert!(out[..len] == text, "what came to {to} is not what was sent");
    others
}

/// Two hosts that know each other, with a socket each that the other's can reach.
fn acquainted(address: AddressOf) -> (Net, [UdpId; 2]) {
    let mut net = Net::new();
    net.settle();
    net.pass(Duration::from_secs(3));
    let [near, far] =
        [0, 1].map(|host| net.hosts[host].bind_udp("[::]:9".parse().unwrap()).unwrap());
    net.hosts[0].udp(near).unwrap().send_to(net.now, b"", Some(address(2, 9))).unwrap();
    net.settle();
    net.hosts[1].udp(far).unwrap().recv_from(&mut []).unwrap();
    (net, [near, far])
}

#[test]
fn a_neighbour_may_ask_between_two_pieces() {
    for address in [v4 as AddressOf, v6] {
        let (mut net, sockets) = acquainted(address);
        let said = sent_meanwhile(&mut net, sockets, address(2, 9), |host, now| {
            host.receive(now, RxFrame::plain(&who_has([192, 0, 2, 1], [192, 0, 2, 77])));
        });
        assert_eq!(said.len(), 1);
        assert_eq!((&said[0][12..14], &said[0][20..22]), (&[8, 6][..], &[0, 2][..]));
        let said = sent_meanwhile(&mut net, sockets, address(2, 9), |host, now| {
            host.receive(now, RxFrame::plain(&solicitation(ip(1))));
        });
        assert_eq!(said.len(), 1);
        assert_eq!((&said[0][12..14], said[0][54]), (&[0x86, 0xdd][..], 136));
    }
}

#[test]
fn what_waited_for_a_neighbour_may_go_between_two_pieces() {
    for address in [v4 as AddressOf, v6] {
        let (mut net, sockets) = acquainted(address);
        let stranger = if address(1, 9).is_ipv4() { v4(77, 7) } else { v6(9, 7) };
        let mut socket = net.hosts[0].udp(sockets[0]).unwrap();
        socket.send_to(net.now, b"waits", Some(stranger)).unwrap();
        frames(&mut net.hosts[0], net.now);
        let said = sent_meanwhile(&mut net, sockets, address(2, 9), |host, now| {
            host.receive(now, RxFrame::plain(&who_has([192, 0, 2, 1], [192, 0, 2, 77])));
            host.receive(now, RxFrame::plain(&solicitation(ip(1))));
        });
        assert_eq!(said.len(), 3, "two answers, and the datagram");
        assert!(said.iter().any(|frame| frame.ends_with(b"waits")));
    }
}

/// Who sends is a member, too, and hears what he said.
#[test]
fn groups_are_reported_and_hear_all_between_two_pieces() {
    let rows = [(v4 as AddressOf, "239.1.2.3", "239.4.5.6"), (v6, "ff05::123", "ff05::456")];
    for (address, group, other) in rows {
        let (mut net, sockets) = acquainted(address);
        let [near, far] = sockets;
        let (group, other) = (group.parse().unwrap(), other.parse().unwrap());
        for (host, id) in [(0, near), (1, far)] {
            net.hosts[host].udp(id).unwrap().join_group(group).unwrap();
        }
        net.pass(Duration::from_secs(3));
        let to = SocketAddr::new(group, 9);
        let said = sent_meanwhile(&mut net, sockets, to, |host, _| {
            host.udp(near).unwrap().join_group(other).unwrap();
            host.advance(host.next_timeout().unwrap());
        });
        assert_eq!(said.len(), 1, "a report");
        assert_eq!(net.hosts[0].udp(near).unwrap().recv_from(&mut [0; 6_000]).unwrap().0, 5_000);
    }
}

/// A piece of a datagram from the stranger 192.0.2.9 to host 1, in a frame to `station`.
fn piece(station: Mac, at: usize, text: &[u8]) -> Vec<u8> {
    let mut packet = ipv4([192, 0, 2, 9].into(), [192, 0, 2, 1].into(), 17, text);
    let field = 0x2000 | (at / 8) as u16;
    packet[4..8].copy_from_slice(&[&[0, 7], &field.to_be_bytes()[..]].concat());
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(mac(9), station, 0x0800, &packet)
}

/// What host 1 says when the rest of these has not come. It knows the stranger.
fn said_in_the_end(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut stack, now) = (settled(host(1)), Instant::from_secs(100));
    stack.receive(now, RxFrame::plain(&who_has([192, 0, 2, 1], [192, 0, 2, 9])));
    frames(&mut stack, now);
    for piece in pieces {
        stack.receive(now, RxFrame::plain(piece));
    }
    assert_eq!(frames(&mut stack, now), Vec::<Vec<u8>>::new());
    let end = now + Duration::from_secs(31);
    stack.advance(end);
    assert_eq!(stack.counters().ip_reasm_fails, 1);
    balanced(&stack);
    frames(&mut stack, end)
}

/// Lowers what a frame's packet says of its time to live, as a longer way would.
fn age(frame: &mut [u8], ttl: u8) {
    if frame[14] >> 4 == 6 {
        frame[21] = ttl;
        return;
    }
    frame[22] = ttl;
    frame[24..26].fill(0);
    let sum = checksum(&[&frame[14..34]]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// RFC 791 §3.2, RFC 8200 §4.5: a packet that has come in pieces has the header of the first,
/// whichever of them came last.
#[test]
fn rfc791_3_2_the_first_piece_s_header_is_the_packet_s() {
    let addresses: [AddressOf; 2] = [v4, v6];
    for (address, is_reversed) in addresses.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut net = Net::new();
        let near = net.hosts[0].bind_udp(address(1, 9)).unwrap();
        let far = net.hosts[1].bind_udp(address(2, 9)).unwrap();
        net.hosts[0].udp(near).unwrap().send_to(net.now, b"", Some(address(2, 9))).unwrap();
        net.settle();
        let long = Some(address(2, 9));
        net.hosts[0].udp(near).unwrap().send_to(net.now, &[7; 4_000], long).unwrap();
        let mut pieces = frames(&mut net.hosts[0], net.now);
        for (piece, ttl) in pieces.iter_mut().zip([40, 41, 42]) {
            age(piece, ttl);
        }
        if is_reversed {
            pieces.reverse();
        }
        for piece in &pieces {
            net.hosts[1].receive(net.now, RxFrame::plain(piece));
        }
        let mut socket = net.hosts[1].udp(far).unwrap();
        let came: Vec<_> =
            std::iter::from_fn(|| socket.recv_datagram(&mut [0; 4_000]).ok()).collect();
        assert_eq!((pieces.len(), came.len()), (3, 2));
        assert_eq!((came[1].len, came[1].ttl), (4_000, 40), "{is_reversed}");
    }
}

/// RFC 1122 §3.2.2, RFC 1812 §4.3.2.3: an error quotes the packet that it is about as it came, as
/// much of it as goes into 576 bytes.
#[test]
fn rfc1122_3_2_2_a_quoted_fragment_is_the_beginning_of_its_packet() {
    let text: Vec<u8> = (0..1_000).map(|n| n as u8).collect();
    for len in [8, 16, 528, 536, 1_000] {
        let frame = piece(mac(1), 0, &text[..len]);
        let said = said_in_the_end(std::slice::from_ref(&frame));
        assert_eq!((said.len(), &said[0][34..36]), (1, &[11, 1][..]));
        let whole = &frame[14..];
        assert!(said[0][42..] == whole[..whole.len().min(548)], "{len} bytes");
    }
}

/// RFC 1122 §3.2.2: about what came in a frame for many nothing is said, whichever of its pieces
/// did.
#[test]
fn rfc1122_3_2_2_no_time_exceeded_about_a_frame_for_many() {
    for (stations, errors) in [
        ([mac(1), mac(1)], 1),
        ([Mac::BROADCAST, mac(1)], 0),
        ([mac(1), Mac::BROADCAST], 0),
        ([Mac([1, 0, 0x5e, 0, 0, 1]), mac(1)], 0),
    ] {
        let pieces = [piece(stations[0], 0, &[1; 16]), piece(stations[1], 32, &[1; 16])];
        assert_eq!(said_in_the_end(&pieces).len(), errors, "{stations:?}");
    }
}

/// RFC 1122 §3.3.6: what is for one host does not come by a frame for many, in pieces either.
#[test]
fn rfc1122_3_3_6_a_datagram_for_one_in_a_frame_for_many_is_dropped() {
    let (from, to) = ("192.0.2.9:7".parse().unwrap(), "192.0.2.1:7".parse().unwrap());
    let datagram = udp(from, to, b"0123456789abcdef");
    let last = |station| {
        let mut frame = piece(station, 16, &datagram[16..]);
        // No more fragments.
        frame[20] = 0;
        frame[24..26].fill(0);
        let sum = checksum(&[&frame[14..34]]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    };
    let whole =
        |station| ethernet(mac(9), station, 0x0800, &ipv4(*from.ip(), *to.ip(), 17, &datagram));
    let pieces = |one, other| vec![piece(one, 0, &datagram[..16]), last(other)];
    let all = Mac::BROADCAST;
    for (given, heard) in [
        (vec![whole(mac(1))], 1),
        (vec![whole(all)], 0),
        (pieces(mac(1), mac(1)), 1),
        (pieces(all, mac(1)), 0),
        (pieces(mac(1), all), 0),
    ] {
        let (mut stack, now) = (settled(host(1)), Instant::from_secs(100));
        let id = stack.bind_udp(v4(1, 7)).unwrap();
        for frame in &given {
            stack.receive(now, RxFrame::plain(frame));
        }
        let dropped: u64 = stack.counters().drops.iter().map(|(_, n)| n).sum();
        assert_eq!(dropped, 1 - heard);
        assert_eq!(stack.udp(id).unwrap().recv_from(&mut [0; 99]).is_ok(), heard == 1);
        assert_eq!(frames(&mut stack, now), Vec::<Vec<u8>>::new());
        balanced(&stack);
    }
}
