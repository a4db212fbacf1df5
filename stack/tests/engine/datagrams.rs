//! How datagrams come and go, over both IP versions.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stack::{
    BindError, Config, ConfigError, ConnectOptions, DropReason, GroupError, ListenError,
    ListenOptions, RxFrame, SendDatagram, SourceChange, UdpId, UdpOptions, UdpSendError,
};

use crate::net::{Net, balanced, host, host_with, mac, v4, v6};

/// RFC 1122 §4.1.3.5, §4.1.4: the application is told the address that a datagram was for, and may
/// say which it comes from.
#[test]
fn who_was_asked_can_answer_with_the_same_address() {
    let second = |config: &mut stack::Config| {
        config.addresses.extend(
            ["192.0.2.7/24", "2001:db8::7/64"].map(|it| it.parse::<stack::Cidr>().unwrap()),
        );
    };
    let mut net = Net::of([host(1), host_with(2, second)]);
    let server = net.hosts[1].bind_udp("[::]:53".parse().unwrap()).unwrap();
    for (client, asked) in [(v4(1, 9), v4(7, 53)), (v6(1, 9), v6(7, 53)), (v6(1, 8), v6(2, 53))] {
        let id = net.hosts[0].bind_udp(client).unwrap();
        let how = SendDatagram {
            to: Some(asked),
            ttl: Some(7),
            tos: Some(0x2c),
            ..SendDatagram::default()
        };
        net.hosts[0].udp(id).unwrap().send_datagram(net.now, b"question", how).unwrap();
        net.settle();
        let mut text = [0; 64];
        let mut socket = net.hosts[1].udp(server).unwrap();
        let came = socket.peek_datagram(&mut text).unwrap();
        assert_eq!((came.from, came.to, came.len), (client, asked.ip(), 8));
        assert_eq!((came.ttl, came.tos), (7, 0x2c));
        assert_eq!(socket.recv_datagram(&mut text), Ok(came));
        let back =
            SendDatagram { to: Some(came.from), from: Some(came.to), ..SendDatagram::default() };
        socket.send_datagram(net.now, b"answer", back).unwrap();
        net.settle();
        let mut socket = net.hosts[0].udp(id).unwrap();
        let came = socket.recv_datagram(&mut text).unwrap();
        assert_eq!((came.from, came.ttl, came.tos), (asked, 64, 0));
        socket.close();
    }
    let foreign: SocketAddr = v4(9, 9);
    for from in [foreign.ip(), v6(2, 0).ip(), IpAddr::from([192, 0, 2, 255])] {
        let how = SendDatagram { to: Some(v4(1, 9)), from: Some(from), ..SendDatagram::default() };
        let mut socket = net.hosts[1].udp(server).unwrap();
        assert_eq!(socket.send_datagram(net.now, b"", how), Err(UdpSendError::InvalidSource));
    }
}

/// SO_REUSEPORT: several sockets and listeners on one port, for each sender one of them.
#[test]
fn a_port_that_is_shared_is_for_each_peer_one_socket_s() {
    let mut net = Net::new();
    let options = UdpOptions { reuse_port: true, ..UdpOptions::default() };
    let any = SocketAddr::from(([0, 0, 0, 0], 53));
    let all: Vec<_> = (0..3).map(|_| net.hosts[1].bind_udp_with(any, options).unwrap()).collect();
    assert_eq!(net.hosts[1].bind_udp(any), Err(BindError::AddressInUse));
    let from: Vec<_> = (1..=30).map(|port| net.hosts[0].bind_udp(v4(1, port)).unwrap()).collect();
    for _ in 0..2 {
        for id in &from {
            net.hosts[0].udp(*id).unwrap().send_to(net.now, b"x", Some(v4(2, 53))).unwrap();
        }
        net.settle();
    }
    let mut counts = Vec::new();
    for id in all {
        let mut socket = net.hosts[1].udp(id).unwrap();
        let mut peers = Vec::new();
        while let Ok((_, from)) = socket.recv_from(&mut [0; 1]) {
            peers.push(from.port());
        }
        // Each that came came twice.
        let (first, second) = peers.split_at(peers.len() / 2);
        assert_eq!(first, second);
        counts.push(first.len());
    }
    assert_eq!(counts.iter().sum::<usize>(), 30);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn listeners_that_share_a_port_each_get_their_part_of_connections() {
    let mut net = Net::new();
    let shared = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let any: SocketAddr = "[::]:80".parse().unwrap();
    let mut listeners: Vec<_> = (0..3).map(|_| net.hosts[1].listen(any, shared).unwrap()).collect();
    let alone = net.hosts[1].listen(v4(2, 80), ListenOptions::default());
    assert_eq!(alone, Err(ListenError::AddressInUse));
    let exact = net.hosts[1].listen(v6(2, 80), shared).unwrap();
    while !listeners.is_empty() {
        for remote in [v4(2, 80), v6(2, 80)] {
            for _ in 0..10 * listeners.len() {
                let options = ConnectOptions::default();
                net.hosts[0].connect(net.now, remote, options).unwrap();
            }
        }
        net.settle();
        let mut accept = |id| std::iter::from_fn(|| net.hosts[1].accept(id).ok()).count();
        assert_eq!(accept(exact), 10 * listeners.len(), "its address is the more exact");
        let counts: Vec<_> = listeners.iter().map(|id| accept(*id)).collect();
        assert_eq!(counts.iter().sum::<usize>(), 10 * counts.len());
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        net.hosts[1].close_listener(net.now, listeners.remove(0));
    }
    net.hosts[1].close_listener(net.now, exact);
    assert!(net.hosts[1].listen(any, ListenOptions::default()).is_ok());
}

/// Reports of groups that sockets join among the frames that were carried: IP version and record
/// type.
fn reports(net: &mut Net) -> Vec<(u8, u8)> {
    let told = |frame: Vec<u8>| match frame[12..14] {
        [8, 0] if frame[23] == 2 => Some((4, frame[14 + 24 + 8])),
        [0x86, 0xdd] if frame[20] == 0 && frame[74..76] != [0xff, 2] => {
            Some((6, frame[14 + 48 + 8]))
        }
        _ => None,
    };
    net.seen.drain(..).filter_map(told).collect()
}

#[test]
fn rfc3376_members_hear_what_is_for_their_group() {
    let mut net = Net::new();
    let any: SocketAddr = "[::]:53".parse().unwrap();
    let shared = UdpOptions { reuse_address: true, ..UdpOptions::default() };
    let [one, other] = [any, any].map(|any| net.hosts[1].bind_udp_with(any, shared).unwrap());
    let near = net.hosts[0].bind_udp("[::]:53".parse().unwrap()).unwrap();
    for (version, group) in [(4, "239.1.2.3"), (6, "ff05::123")] {
        let group: IpAddr = group.parse().unwrap();
        let heard = |net: &mut Net, host: usize, id| {
            let mut socket = net.hosts[host].udp(id).unwrap();
            std::iter::from_fn(|| socket.recv_datagram(&mut [0; 9]).ok())
                .map(|it| (it.to, it.ttl))
                .collect::<Vec<_>>()
        };
        let say = |net: &mut Net| {
            let to = Some(SocketAddr::new(group, 53));
            net.hosts[0].udp(near).unwrap().send_to(net.now, b"all", to).unwrap();
            net.settle();
        };
        say(&mut net);
        assert_eq!(heard(&mut net, 1, one), [], "not a member");
        net.hosts[1].udp(one).unwrap().join_group(group).unwrap();
        let again = net.hosts[1].udp(one).unwrap().join_group(group);
        assert_eq!(again, Err(GroupError::AlreadyJoined));
        net.pass(Duration::from_secs(3));
        assert_eq!(reports(&mut net), [(version, 4), (version, 4)], "joined, told twice");
        say(&mut net);
        // Each socket that has the port, and not the sender's own host.
        assert_eq!(heard(&mut net, 1, one), [(group, 1)]);
        assert_eq!(heard(&mut net, 1, other), [(group, 1)]);
        assert_eq!(heard(&mut net, 0, near), []);
        net.hosts[0].udp(near).unwrap().join_group(group).unwrap();
        say(&mut net);
        assert_eq!(heard(&mut net, 0, near), [(group, 1)], "it comes back");
        assert_eq!(heard(&mut net, 1, one), [(group, 1)]);
        let mut socket = net.hosts[0].udp(near).unwrap();
        socket.set_options(UdpOptions { multicast_loop: false, ..UdpOptions::default() });
        say(&mut net);
        assert_eq!(heard(&mut net, 0, near), [], "it was not to come back");
        let mut socket = net.hosts[0].udp(near).unwrap();
        socket.set_options(UdpOptions { multicast_ttl: 0, ..UdpOptions::default() });
        heard(&mut net, 1, one);
        say(&mut net);
        assert_eq!(heard(&mut net, 0, near), [(group, 0)]);
        assert_eq!(heard(&mut net, 1, one), [], "it was not to leave the host");
        net.hosts[0].udp(near).unwrap().set_options(UdpOptions::default());
        net.pass(Duration::from_secs(3));
        reports(&mut net);
        net.hosts[1].udp(one).unwrap().leave_group(group).unwrap();
        let again = net.hosts[1].udp(one).unwrap().leave_group(group);
        assert_eq!(again, Err(GroupError::NotJoined));
        net.pass(Duration::from_secs(3));
        assert_eq!(reports(&mut net), [(version, 3), (version, 3)], "left, told twice");
        heard(&mut net, 1, other);
        say(&mut net);
        assert_eq!(heard(&mut net, 1, one), []);
        assert_eq!(heard(&mut net, 0, near), [(group, 1)], "still a member");
    }
    // Who closes leaves.
    net.hosts[0].udp(near).unwrap().close();
    net.pass(Duration::from_secs(3));
    assert_eq!(reports(&mut net).len(), 4);
    let mut socket = net.hosts[1].udp(one).unwrap();
    assert_eq!(socket.join_group([192, 0, 2, 9].into()), Err(GroupError::NotAGroup));
    balanced(&net.hosts[1]);
}

/// Binds `host`'s socket to an address of many, where it joins what it can, and connects it to a
/// peer; returns what it hears of that one and of another port there, before and after.
fn heard_of_many(net: &mut Net, address: &str, peer: &str) -> [Vec<u16>; 3] {
    let bound = SocketAddr::new(address.parse().unwrap(), 53);
    let id = net.hosts[1].bind_udp(bound).unwrap();
    if bound.ip().is_multicast() {
        net.hosts[1].udp(id).unwrap().join_group(bound.ip()).unwrap();
    }
    assert_eq!(net.hosts[1].udp(id).unwrap().local(), bound);
    let options = UdpOptions { broadcast: true, ..UdpOptions::default() };
    let peers = [7, 8].map(|port| {
        let any = SocketAddr::new(peer.parse().unwrap(), port);
        net.hosts[0].bind_udp_with(any, options).unwrap()
    });
    let hear = |net: &mut Net| {
        for sender in peers {
            net.hosts[0].udp(sender).unwrap().send_to(net.now, b"all", Some(bound)).unwrap();
        }
        net.settle();
        let mut socket = net.hosts[1].udp(id).unwrap();
        std::iter::from_fn(|| socket.recv_from(&mut [0; 9]).ok())
            .map(|(_, from)| from.port())
            .collect()
    };
    let open = hear(net);
    let one = SocketAddr::new(peer.parse().unwrap(), 8);
    net.hosts[1].udp(id).unwrap().connect(one).unwrap();
    let connected = hear(net);
    // It answers from the address that leads there.
    net.hosts[1].udp(id).unwrap().send_to(net.now, b"me", None).unwrap();
    net.settle();
    let (_, from) = net.hosts[0].udp(peers[1]).unwrap().recv_from(&mut [0; 9]).unwrap();
    assert!(!from.ip().is_multicast() && from.ip() != bound.ip() && from.port() == 53, "{from}");
    net.hosts[1].udp(id).unwrap().disconnect();
    let again = hear(net);
    for sender in peers {
        net.hosts[0].udp(sender).unwrap().close();
    }
    net.hosts[1].udp(id).unwrap().close();
    [open, connected, again]
}

/// As in Linux (`__udp_is_mcast_sock`).
#[test]
fn who_is_bound_to_an_address_of_many_hears_what_is_for_it_of_his_peer() {
    let mut net = Net::new();
    for (address, peer) in [
        ("239.1.2.3", "192.0.2.1"),
        ("ff05::123", "2001:db8::1"),
        ("192.0.2.255", "192.0.2.1"),
        ("255.255.255.255", "192.0.2.1"),
    ] {
        let heard = heard_of_many(&mut net, address, peer);
        assert_eq!(heard, [vec![7, 8], vec![8], vec![7, 8]], "{address}");
    }
    let elsewhere = "198.51.100.255:53".parse().unwrap();
    assert_eq!(net.hosts[1].bind_udp(elsewhere), Err(BindError::AddressNotAvailable));
    balanced(&net.hosts[1]);
}

/// RFC 3376 §3.1: what a socket does not want to hear it does not hear, and what none wants is told
/// to routers and dropped.
#[test]
fn rfc3376_3_1_sources_are_heard_by_who_wants_them() {
    let second = |config: &mut stack::Config| {
        let more = ["192.0.2.7/24", "2001:db8::7/64"];
        config.addresses.extend(more.map(|it| it.parse::<stack::Cidr>().unwrap()));
    };
    let mut net = Net::of([host_with(1, second), host(2)]);
    let any: SocketAddr = "[::]:53".parse().unwrap();
    let shared = UdpOptions { reuse_address: true, ..UdpOptions::default() };
    let [one, other] = [any, any].map(|any| net.hosts[1].bind_udp_with(any, shared).unwrap());
    let near = net.hosts[0].bind_udp("[::]:53".parse().unwrap()).unwrap();
    for (version, group, [first, second]) in [
        (4, "232.1.2.3", [v4(1, 0), v4(7, 0)].map(|it| it.ip())),
        (6, "ff35::123", [v6(1, 0), v6(7, 0)].map(|it| it.ip())),
    ] {
        let group: IpAddr = group.parse().unwrap();
        // Each of both sends one, and these hear it.
        let hear = |net: &mut Net| {
            for from in [first, second] {
                let to = Some(SocketAddr::new(group, 53));
                let how = SendDatagram { from: Some(from), to, ..SendDatagram::default() };
                net.hosts[0].udp(near).unwrap().send_datagram(net.now, b"all", how).unwrap();
            }
            net.settle();
            [one, other].map(|id| {
                let mut socket = net.hosts[1].udp(id).unwrap();
                let all = std::iter::from_fn(|| socket.recv_datagram(&mut [0; 9]).ok());
                all.map(|it| it.from.ip()).collect::<Vec<_>>()
            })
        };
        let change = |net: &mut Net, id: UdpId, source, change| {
            net.hosts[1].udp(id).unwrap().change_source(group, source, change)
        };
        let dropped = |net: &Net| net.hosts[1].counters().drops.get(DropReason::GroupSource);
        let before = dropped(&net);
        reports(&mut net);

        change(&mut net, one, first, SourceChange::Join).unwrap();
        net.pass(Duration::from_secs(3));
        assert_eq!(reports(&mut net), [(version, 5), (version, 5)], "allowed, told twice");
        // The other has joined nothing, and hears what others want.
        assert_eq!(hear(&mut net), [vec![first], vec![first]]);
        assert_eq!(dropped(&net), before + 1);

        net.hosts[1].udp(other).unwrap().join_group(group).unwrap();
        change(&mut net, other, first, SourceChange::Block).unwrap();
        net.pass(Duration::from_secs(3));
        assert_eq!(reports(&mut net), [(version, 4), (version, 4)], "all: one wants the first");
        assert_eq!(hear(&mut net), [vec![first], vec![second]]);
        assert_eq!(dropped(&net), before + 1);

        change(&mut net, one, first, SourceChange::Leave).unwrap();
        net.pass(Duration::from_secs(3));
        assert_eq!(reports(&mut net), [(version, 6), (version, 6)], "nobody wants it");
        assert_eq!(hear(&mut net), [vec![second], vec![second]]);
        assert_eq!(dropped(&net), before + 2);

        change(&mut net, other, first, SourceChange::Unblock).unwrap();
        net.pass(Duration::from_secs(3));
        assert_eq!(reports(&mut net), [(version, 5), (version, 5)]);
        assert_eq!(hear(&mut net), [vec![first, second], vec![first, second]]);
        net.hosts[1].udp(other).unwrap().leave_group(group).unwrap();
        net.pass(Duration::from_secs(3));
        assert_eq!(reports(&mut net), [(version, 3), (version, 3)]);
    }
    balanced(&net.hosts[1]);
}

#[test]
fn rfc3376_3_1_who_closes_hears_no_source() {
    let mut net = Net::new();
    let socket = net.hosts[1].bind_udp(v4(2, 53)).unwrap();
    let (group, source) = ([232, 1, 2, 3].into(), [192, 0, 2, 9].into());
    let mut udp = net.hosts[1].udp(socket).unwrap();
    udp.change_source(group, source, SourceChange::Join).unwrap();
    net.pass(Duration::from_secs(3));
    assert_eq!(reports(&mut net), [(4, 5), (4, 5)]);
    net.hosts[1].udp(socket).unwrap().close();
    net.pass(Duration::from_secs(3));
    assert_eq!(reports(&mut net), [(4, 6), (4, 6)]);
}

/// As Linux says it.
#[test]
fn what_is_wrong_with_a_source_is_said() {
    let mut net = Net::new();
    let socket = net.hosts[1].bind_udp("[::]:53".parse().unwrap()).unwrap();
    let group = |last| IpAddr::from([232, 1, 2, last]);
    let source = |last| IpAddr::from([198, 51, 100, last]);
    let mut change = |to: IpAddr, from: IpAddr, change| {
        net.hosts[1].udp(socket).unwrap().change_source(to, from, change)
    };
    use {GroupError::*, SourceChange::*};
    assert_eq!(change(source(1), source(1), Join), Err(NotAGroup));
    for bad in [group(1), [0; 4].into(), "2001:db8::1".parse().unwrap()] {
        assert_eq!(change(group(1), bad, Join), Err(NotASource), "{bad}");
    }
    for what in [Leave, Block, Unblock] {
        assert_eq!(change(group(1), source(1), what), Err(OtherFilter), "it has not joined");
    }
    change(group(1), source(1), Join).unwrap();
    assert_eq!(change(group(1), source(1), Join), Err(SameFilter));
    assert_eq!(change(group(1), source(2), Leave), Err(SameFilter));
    assert_eq!(change(group(1), source(1), Block), Err(OtherFilter));
    // The last one leaves the group; that for all may become that for one.
    change(group(1), source(1), Leave).unwrap();
    net.hosts[1].udp(socket).unwrap().join_group(group(1)).unwrap();
    let mut change = |to: IpAddr, from: IpAddr, change| {
        net.hosts[1].udp(socket).unwrap().change_source(to, from, change)
    };
    assert_eq!(change(group(1), source(1), Unblock), Err(SameFilter));
    change(group(1), source(1), Block).unwrap();
    assert_eq!(change(group(1), source(1), Join), Err(OtherFilter));
    change(group(1), source(1), Unblock).unwrap();
    for last in 0..10 {
        change(group(1), source(last), Join).unwrap();
    }
    assert_eq!(change(group(1), source(10), Join), Err(TooManySources));
    change(group(1), source(0), Leave).unwrap();
    change(group(1), source(10), Join).unwrap();
}

#[test]
fn law6_the_host_s_sockets_name_so_many_sources() {
    let mut net = Net::of([host_with(1, |config| config.group_sources_max = 12), host(2)]);
    let [one, other] = [1, 2].map(|port| net.hosts[0].bind_udp(v4(1, port)).unwrap());
    let mut join = |id, group, last| {
        let (group, source) = ([232, 0, 0, group], [198, 51, 100, last]);
        net.hosts[0].udp(id).unwrap().change_source(group.into(), source.into(), SourceChange::Join)
    };
    assert!((0..10).all(|last| join(one, 1, last).is_ok()));
    assert!((0..10).all(|last| join(other, 1, last).is_ok()), "the same count once");
    assert!((0..2).all(|last| join(one, 2, last).is_ok()));
    assert_eq!(join(one, 2, 2), Err(GroupError::TooManySources));
    assert_eq!(join(other, 3, 1), Err(GroupError::TooManySources));
    net.hosts[0].udp(one).unwrap().close();
    let group = [232, 0, 0, 3];
    let mut socket = net.hosts[0].udp(other).unwrap();
    socket.change_source(group.into(), [198, 51, 100, 1].into(), SourceChange::Join).unwrap();
}

/// A question of IGMPv3, who is in any group.
fn question(source: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        let words = bytes.chunks(2).map(|it| u32::from(u16::from_be_bytes([it[0], it[1]])));
        let sum: u32 = words.sum();
        (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
    };
    let mut header = vec![0x46, 0xc0, 0, 36, 0, 0, 0x40, 0, 1, 2, 0, 0];
    header.extend([source, to, [0x94, 4, 0, 0]].concat());
    let mut message = vec![0x11, 10, 0, 0, 0, 0, 0, 0, 2, 20, 0, 0];
    for (bytes, at) in [(&mut header, 10), (&mut message, 2)] {
        let sum = sum(bytes);
        bytes[at..at + 2].copy_from_slice(&sum);
    }
    let link = if to[0] == 224 { [1, 0, 0x5e, 0, 0, to[3]] } else { mac(to[3]).0 };
    [&link[..], &mac(9).0, &[8, 0], &header, &message].concat()
}

/// Linux's bridge asks so.
#[test]
fn rfc4541_2_1_1_a_switch_without_an_address_may_ask_who_is_in_a_group() {
    let mut net = Net::new();
    let socket = net.hosts[1].bind_udp(v4(2, 53)).unwrap();
    net.hosts[1].udp(socket).unwrap().join_group([239, 1, 2, 3].into()).unwrap();
    net.pass(Duration::from_secs(5));
    assert_eq!(reports(&mut net).len(), 2, "joined, told twice");
    for (source, to, expected) in [
        ([0; 4], [224, 0, 0, 1], &[(4, 2)][..]),
        ([192, 0, 2, 9], [224, 0, 0, 1], &[(4, 2)]),
        ([0; 4], [192, 0, 2, 2], &[]),
        ([224, 0, 0, 9], [224, 0, 0, 1], &[]),
    ] {
        net.hosts[1].receive(net.now, RxFrame::plain(&question(source, to)));
        net.pass(Duration::from_secs(5));
        assert_eq!(reports(&mut net), expected, "{source:?} to {to:?}");
    }
    balanced(&net.hosts[1]);
}

#[test]
fn law6_a_socket_is_a_member_of_so_many_groups() {
    let mut net = Net::of([host_with(1, |config| config.groups_max = 25), host(2)]);
    let [one, other] = [1, 2].map(|port| net.hosts[0].bind_udp(v4(1, port)).unwrap());
    let group = |last| IpAddr::from([239, 0, 0, last]);
    let mut join = |id, last| net.hosts[0].udp(id).unwrap().join_group(group(last));
    assert!((0..20).all(|last| join(one, last).is_ok()));
    assert_eq!(join(one, 20), Err(GroupError::TooManyGroups));
    assert!((18..25).all(|last| join(other, last).is_ok()));
    assert_eq!(join(other, 25), Err(GroupError::TooManyGroups), "the host is");
    assert_eq!(join(other, 25), Err(GroupError::TooManyGroups), "and says so again");
    net.hosts[0].udp(one).unwrap().close();
    net.pass(Duration::from_secs(3));
    assert!((0..12).all(|last| net.hosts[0].udp(other).unwrap().join_group(group(last)).is_ok()));
}

/// Port 0 is nobody's, and of no ports none can be picked.
#[test]
fn a_range_of_ports_that_is_none_is_refused() {
    for ports in [(0, 9), (9, 8)] {
        let mut config = Config::new(mac(1));
        config.udp.ephemeral_ports = ports;
        let refused = ConfigError::EphemeralPorts(ports.0, ports.1);
        assert_eq!(config.validate(), Err(refused));
    }
}
