//! What goes beside the text of datagrams: sendmsg, recvmsg, and the queue of errors.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use stack::host::bsd::*;
use stack::host::{Bsd, Errno, UdpSocket};
use stack::{NetworkErrorKind, SendDatagram};

use crate::rig::{LEFT, RIGHT, address, hosts, within};

const V6: &str = "2001:db8::1";

fn control(from: &str, ttl: u8, tos: u8) -> Control {
    let packet_info = Some(PacketInfo { interface: 0, address: from.parse().unwrap(), own: None });
    Control { packet_info, ttl: Some(ttl), tos: Some(tos), ..Control::default() }
}

#[test]
fn one_call_moves_many_datagrams() {
    within(10, || {
        let (left, right) = hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let server = left.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        left.bind(server, address(LEFT, 53)).unwrap();
        let client = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let to = Some(address(LEFT, 53));
        let cut = |segment| Control { segment, ..Control::default() };
        assert_eq!(right.set_int(client, IPPROTO_UDP, UDP_SEGMENT, 65_536), Err(Errno::EINVAL));
        for (end, socket, name, value) in
            [(&right, client, UDP_SEGMENT, 1000), (&left, server, UDP_GRO, 1)]
        {
            end.set_int(socket, IPPROTO_UDP, name, value).unwrap();
            assert_eq!(end.get_int(socket, IPPROTO_UDP, name), Ok(value));
        }
        let text: Vec<u8> = (0..2500_u32).map(|at| at as u8).collect();
        let mut out = [0; 4000];
        assert_eq!(right.sendmsg(client, &text, 0, to, &cut(None)), Ok(2500));
        let mut filled = 0;
        while filled < 2500 {
            let message = left.recvmsg(server, &mut out[filled..], 0).unwrap();
            assert!(matches!(message.control.segment, Some(1000) | None), "{message:?}");
            filled += message.length;
        }
        assert_eq!(out[..2500], text);
        assert_eq!(right.sendmsg(client, &text[..3], 0, to, &cut(Some(1))), Ok(3));
        assert_eq!(left.recvmsg(server, &mut out[..1], 0).unwrap().length, 1);
        let refused = right.sendmsg(client, &text, 0, to, &cut(Some(1)));
        assert_eq!(refused, Err(Errno::EINVAL), "128 at most");
    });
}

#[test]
fn a_datagram_comes_with_what_was_asked_for() {
    within(10, || {
        let (left, right) = hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let ipv4 = [(IPPROTO_IP, IP_PKTINFO), (IPPROTO_IP, IP_RECVTTL), (IPPROTO_IP, IP_RECVTOS)];
        let ipv6 =
            [IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS].map(|it| (IPPROTO_IPV6, it));
        for (family, any, to, from, told, options) in [
            (AF_INET, "0.0.0.0", LEFT, RIGHT, LEFT, ipv4),
            (AF_INET6, "::", V6, "2001:db8::2", V6, ipv6),
            (AF_INET6, "::", LEFT, RIGHT, "::ffff:192.0.2.1", ipv6),
        ] {
            let server = left.socket(family, SOCK_DGRAM, 0).unwrap();
            let any: SocketAddr = (any.parse::<IpAddr>().unwrap(), 53).into();
            left.bind(server, any).unwrap();
            let client = right.socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
            let mut text = [0; 8];
            let to: SocketAddr = (to.parse::<IpAddr>().unwrap(), 53).into();
            let mut go = || {
                let sent = right.sendmsg(client, b"x", 0, Some(to), &control(from, 9, 0xb8));
                assert_eq!(sent, Ok(1), "{to}");
                left.recvmsg(server, &mut text, 0).unwrap()
            };
            assert_eq!(go().control, Control::default(), "nobody asked");
            for (level, name) in options {
                assert_eq!(left.get_int(server, level, name), Ok(0));
                left.set_int(server, level, name, 1).unwrap();
                assert_eq!(left.get_int(server, level, name), Ok(1));
            }
            let message = go();
            let interface = 1;
            let packet_info = PacketInfo { interface, address: told.parse().unwrap(), own: None };
            assert_eq!(message.control.packet_info, Some(packet_info));
            assert_eq!((message.control.ttl, message.control.tos), (Some(9), Some(0xb8)));
            assert_eq!(message.from.unwrap().ip().to_canonical(), from.parse::<IpAddr>().unwrap());
            left.close(server).unwrap();
        }
    });
}

/// As Linux's `ipi_spec_dst`: who hears what is for many answers from an address of its own.
#[test]
fn what_came_for_many_is_answered_from_this_host() {
    within(10, || {
        let (left, right) = hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let server = left.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        left.bind(server, address("0.0.0.0", 53)).unwrap();
        left.set_int(server, IPPROTO_IP, IP_PKTINFO, 1).unwrap();
        let group: Ipv4Addr = "224.0.0.251".parse().unwrap();
        let joined = [group.octets(), [0; 4]].concat();
        left.setsockopt(server, IPPROTO_IP, IP_ADD_MEMBERSHIP, &joined).unwrap();
        let client = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        right.set_int(client, SOL_SOCKET, SO_BROADCAST, 1).unwrap();
        for to in ["192.0.2.255", "255.255.255.255", "224.0.0.251"] {
            right.sendto(client, b"who?", 0, Some(address(to, 53))).unwrap();
            let message = left.recvmsg(server, &mut [0; 8], 0).unwrap();
            let info = message.control.packet_info.unwrap();
            let own = Some(LEFT.parse().unwrap());
            assert_eq!((info.address, info.own), (to.parse().unwrap(), own));
            assert_eq!(left.sendmsg(server, b"I", 0, message.from, &message.control), Ok(1));
            let from = right.recvfrom(client, &mut [0; 8], 0).unwrap().1;
            assert_eq!(from, Some(address(LEFT, 53)), "{to}");
        }
    });
}

#[test]
fn what_cannot_be_sent_so_is_refused() {
    within(10, || {
        let (left, _right) = hosts();
        let left = Bsd::new(&left);
        let client = left.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let to = Some(address(RIGHT, 53));
        let mut wrong = control(LEFT, 0, 0);
        assert_eq!(left.sendmsg(client, b"x", 0, to, &wrong), Err(Errno::EINVAL), "no hops");
        wrong = control(RIGHT, 1, 0);
        assert_eq!(left.sendmsg(client, b"x", 0, to, &wrong), Err(Errno::EINVAL), "not ours");
        wrong = control(V6, 1, 0);
        assert_eq!(left.sendmsg(client, b"x", 0, to, &wrong), Err(Errno::EINVAL), "of IPv6");
        wrong.packet_info.as_mut().unwrap().interface = 7;
        assert_eq!(left.sendmsg(client, b"x", 0, to, &wrong), Err(Errno::ENODEV));
        assert_eq!(left.sendmsg(client, b"x", 0, to, &control("0.0.0.0", 1, 0)), Ok(1));
    });
}

#[test]
fn errors_wait_in_a_queue_of_their_own() {
    within(10, || {
        let (left, right) = hosts();
        let (_left, right) = (Bsd::new(&left), Bsd::new(&right));
        let client = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let mut text = [0; 8];
        let queued = |text: &mut [u8]| right.recvmsg(client, text, MSG_ERRQUEUE);
        assert_eq!(queued(&mut text), Err(Errno::EAGAIN));
        right.set_int(client, IPPROTO_IP, IP_RECVERR, 1).unwrap();
        assert_eq!(right.get_int(client, IPPROTO_IP, IP_RECVERR), Ok(1));
        // Not connected: without the option it would not hear of it.
        let to = address(LEFT, 99);
        assert_eq!(right.sendto(client, b"anybody?", 0, Some(to)), Ok(8));
        assert_eq!(right.recv(client, &mut text, 0), Err(Errno::ECONNREFUSED));
        let message = queued(&mut text).unwrap();
        assert_eq!((message.length, message.from, message.flags), (0, Some(to), MSG_ERRQUEUE));
        let error = message.control.error.unwrap();
        assert_eq!((error.kind, error.from), (NetworkErrorKind::Port, to.ip()));
        assert_eq!(queued(&mut text), Err(Errno::EAGAIN));
        right.set_int(client, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO).unwrap();
        assert_eq!(right.sendto(client, &[0; 1_473], 0, Some(to)), Err(Errno::EMSGSIZE));
        let error = queued(&mut text).unwrap().control.error.unwrap();
        assert_eq!(error.kind, NetworkErrorKind::TooLong { mtu: 1_500 });
    });
}

#[test]
fn a_socket_of_std_s_shape_tells_how_a_datagram_came() {
    within(10, || {
        let (left, right) = hosts();
        let server = UdpSocket::bind(&left, "0.0.0.0:53").unwrap();
        let client = UdpSocket::bind(&right, "0.0.0.0:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let to = address(LEFT, 53);
        let how = SendDatagram { to: Some(to), ttl: Some(3), ..SendDatagram::default() };
        client.send_datagram(b"hello", how).unwrap();
        let mut text = [0; 3];
        let datagram = server.recv_datagram(&mut text).unwrap();
        assert_eq!((datagram.len, datagram.from.port()), (3, client.local_addr().unwrap().port()));
        assert_eq!((datagram.to, datagram.ttl, datagram.tos), (to.ip(), 3, 0));
    });
}

#[test]
fn groups_are_joined_before_and_after_binding() {
    within(10, || {
        let (left, right) = hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let mreq = |group: &str, own: &str| {
            let [group, own] = [group, own].map(|it| it.parse::<Ipv4Addr>().unwrap().octets());
            [group, own].concat()
        };
        let mreq_v6 = |group: &str, interface: u32| {
            let group = group.parse::<Ipv6Addr>().unwrap().octets();
            [&group[..], &interface.to_ne_bytes()].concat()
        };
        let join = |fd, value: &[u8]| left.setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, value);
        let server = left.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let [first, second] = ["239.1.2.3", "239.1.2.4"].map(|group| mreq(group, "0.0.0.0"));
        join(server, &first).unwrap();
        assert_eq!(join(server, &first), Err(Errno::EADDRINUSE));
        left.bind(server, address("0.0.0.0", 53)).unwrap();
        assert_eq!(join(server, &first), Err(Errno::EADDRINUSE));
        join(server, &mreq("239.1.2.4", LEFT)).unwrap();
        assert_eq!(join(server, &mreq("239.1.2.5", RIGHT)), Err(Errno::ENODEV));
        assert_eq!(join(server, &mreq(RIGHT, "0.0.0.0")), Err(Errno::EINVAL));
        assert_eq!(join(server, &[239]), Err(Errno::EINVAL));
        let client = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        right.setsockopt(client, IPPROTO_IP, IP_MULTICAST_TTL, &[3]).unwrap();
        assert_eq!(right.get_int(client, IPPROTO_IP, IP_MULTICAST_TTL), Ok(3));
        assert_eq!(right.get_int(client, IPPROTO_IP, IP_MULTICAST_LOOP), Ok(1));
        right.setsockopt(client, IPPROTO_IP, IP_MULTICAST_IF, &[0; 4]).unwrap();
        left.set_int(server, IPPROTO_IP, IP_RECVTTL, 1).unwrap();
        let mut text = [0; 8];
        for group in ["239.1.2.3", "239.1.2.4"] {
            right.sendto(client, b"all", 0, Some(address(group, 53))).unwrap();
            let message = left.recvmsg(server, &mut text, 0).unwrap();
            assert_eq!((message.length, message.control.ttl), (3, Some(3)));
        }
        for group in [first, second] {
            left.setsockopt(server, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group).unwrap();
            let again = left.setsockopt(server, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group);
            assert_eq!(again, Err(Errno::EADDRNOTAVAIL));
        }
        let server = left.socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
        let join = |value: &[u8]| left.setsockopt(server, IPPROTO_IPV6, IPV6_JOIN_GROUP, value);
        join(&mreq_v6("ff05::9", 1)).unwrap();
        assert_eq!(join(&mreq_v6("ff05::8", 7)), Err(Errno::ENODEV));
        left.bind(server, "[::]:54".parse().unwrap()).unwrap();
        let client = right.socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
        right.sendto(client, b"six", 0, Some("[ff05::9]:54".parse().unwrap())).unwrap();
        assert_eq!(left.recv(server, &mut text, 0), Ok(3));
    });
}

/// A `struct group_source_req`; without a source a `group_req`.
fn group_request(interface: u32, addresses: &[&str]) -> Vec<u8> {
    let mut request = interface.to_ne_bytes().to_vec();
    request.resize(size_of::<usize>(), 0);
    for text in addresses {
        let start = request.len();
        let address = SocketAddr::new(text.parse().unwrap(), 0);
        request.extend(socket_address_bytes(address));
        request.resize(start + 128, 0);
    }
    request
}

/// RFC 3678, before and after binding.
#[test]
fn sources_of_groups_are_chosen() {
    within(10, || {
        let (left, right) = hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let octets = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
        let source_request =
            |group, source| [octets(group), octets("0.0.0.0"), octets(source)].concat();
        let v4 = source_request("232.1.2.3", RIGHT);
        let stranger = source_request("232.1.2.3", "198.51.100.1");
        let server = left.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let set = |name, value: &[u8]| left.setsockopt(server, IPPROTO_IP, name, value);
        set(IP_ADD_SOURCE_MEMBERSHIP, &stranger).unwrap();
        assert_eq!(set(IP_ADD_SOURCE_MEMBERSHIP, &stranger), Err(Errno::EADDRNOTAVAIL));
        left.bind(server, address("0.0.0.0", 53)).unwrap();
        assert_eq!(set(IP_ADD_SOURCE_MEMBERSHIP, &stranger), Err(Errno::EADDRNOTAVAIL));
        assert_eq!(set(IP_BLOCK_SOURCE, &v4), Err(Errno::EINVAL));
        assert_eq!(set(IP_ADD_SOURCE_MEMBERSHIP, &v4[..11]), Err(Errno::EINVAL));
        let client = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        // What came before the last is what comes now.
        let hears = |expected: &[u8]| {
            right.sendto(client, b"group", 0, Some(address("232.1.2.3", 53))).unwrap();
            right.sendto(client, b"alone", 0, Some(address(LEFT, 53))).unwrap();
            let mut text = [0; 8];
            let length = left.recv(server, &mut text, 0).unwrap();
            assert_eq!(&text[..length], expected);
            if expected == b"group" {
                left.recv(server, &mut text, 0).unwrap();
            }
        };
        hears(b"alone");
        set(IP_ADD_SOURCE_MEMBERSHIP, &v4).unwrap();
        hears(b"group");
        set(IP_DROP_SOURCE_MEMBERSHIP, &v4).unwrap();
        hears(b"alone");
        set(IP_DROP_SOURCE_MEMBERSHIP, &stranger).unwrap();
        set(MCAST_JOIN_GROUP, &group_request(0, &["232.1.2.3"])).unwrap();
        hears(b"group");
        set(IP_BLOCK_SOURCE, &v4).unwrap();
        hears(b"alone");
        set(IP_UNBLOCK_SOURCE, &v4).unwrap();
        hears(b"group");
        let both = group_request(1, &["232.1.2.3", RIGHT]);
        set(MCAST_BLOCK_SOURCE, &both).unwrap();
        hears(b"alone");
        set(MCAST_UNBLOCK_SOURCE, &both).unwrap();
        set(MCAST_LEAVE_GROUP, &group_request(0, &["232.1.2.3"])).unwrap();
        hears(b"alone");
        set(MCAST_JOIN_SOURCE_GROUP, &both).unwrap();
        hears(b"group");
        set(MCAST_LEAVE_SOURCE_GROUP, &both).unwrap();
        hears(b"alone");
        for (bad, errno) in [
            (group_request(7, &["232.1.2.3", RIGHT]), Errno::ENODEV),
            (group_request(0, &["232.1.2.3"]), Errno::EINVAL),
            (group_request(0, &["ff35::9", "2001:db8::9"]), Errno::EINVAL),
            (group_request(0, &["232.1.2.3", "2001:db8::9"]), Errno::EINVAL),
        ] {
            assert_eq!(set(MCAST_JOIN_SOURCE_GROUP, &bad), Err(errno));
        }
    });
}

#[test]
fn sources_of_groups_of_ipv6_are_chosen() {
    within(10, || {
        let (left, right) = hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let server = left.socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
        let set = |name, value: &[u8]| left.setsockopt(server, IPPROTO_IPV6, name, value);
        let request = |source| group_request(1, &["ff35::9", source]);
        set(MCAST_JOIN_SOURCE_GROUP, &request("2001:db8::99")).unwrap();
        left.bind(server, "[::]:54".parse().unwrap()).unwrap();
        let client = right.socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
        right.bind(client, "[2001:db8::2]:7".parse().unwrap()).unwrap();
        let send = |text: &[u8], to: &str| {
            right.sendto(client, text, 0, Some(to.parse().unwrap())).unwrap();
        };
        let mut text = [0; 8];
        send(b"unheard", "[ff35::9]:54");
        send(b"alone", "[2001:db8::1]:54");
        assert_eq!(left.recv(server, &mut text, 0), Ok(5));
        set(MCAST_JOIN_SOURCE_GROUP, &request("2001:db8::2")).unwrap();
        send(b"heard!", "[ff35::9]:54");
        assert_eq!(left.recv(server, &mut text, 0), Ok(6));
        let v4 = group_request(0, &["232.1.2.3"]);
        assert_eq!(set(MCAST_JOIN_GROUP, &v4), Err(Errno::EINVAL));
    });
}

/// A `struct group_filter` (RFC 3678 §5.2).
fn group_filter(interface: u32, addresses: &[&str], mode: u32) -> Vec<u8> {
    let sources = group_request(interface, addresses).split_off(size_of::<usize>() + 128);
    let mut filter = group_request(interface, &addresses[..1]);
    filter.extend(mode.to_ne_bytes());
    filter.extend((addresses.len() as u32 - 1).to_ne_bytes());
    filter.extend(sources);
    filter
}

/// RFC 3678 §4.2, §5.2: before and after the socket has an address.
#[test]
fn all_sources_of_a_group_are_chosen_and_told_at_once() {
    within(10, || {
        let (left, right) = hosts();
        let (left, right) = (Bsd::new(&left), Bsd::new(&right));
        let octets = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
        let short = |mode: u32, sources: &[&str]| {
            let numbers = [mode.to_ne_bytes(), (sources.len() as u32).to_ne_bytes()].concat();
            let list = sources.iter().flat_map(|it| octets(it)).collect();
            [octets("232.1.2.3").to_vec(), vec![0; 4], numbers, list].concat()
        };
        let server = left.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let set = |name, value: &[u8]| left.setsockopt(server, IPPROTO_IP, name, value);
        let told = |name, of: &[u8]| {
            let mut out = of.to_vec();
            left.getsockopt(server, IPPROTO_IP, name, &mut out).map(|length| out[..length].to_vec())
        };
        let strangers = ["198.51.100.1", "198.51.100.2"];
        let all = ["232.1.2.3", strangers[0], strangers[1]];
        for is_bound in [false, true] {
            assert_eq!(set(IP_MSFILTER, &short(1, &strangers)), Err(Errno::EINVAL));
            assert_eq!(set(IP_MSFILTER, &short(1, &[])), Err(Errno::EADDRNOTAVAIL));
            assert_eq!(told(IP_MSFILTER, &short(7, &[])), Err(Errno::EADDRNOTAVAIL));
            set(MCAST_JOIN_GROUP, &group_request(0, &["232.1.2.3"])).unwrap();
            assert_eq!(told(IP_MSFILTER, &short(7, &[RIGHT])), Ok(short(0, &[])));
            set(IP_MSFILTER, &short(1, &strangers)).unwrap();
            assert_eq!(told(IP_MSFILTER, &short(7, &[RIGHT; 2])), Ok(short(1, &strangers)));
            let room = group_filter(1, &["232.1.2.3", RIGHT, RIGHT, RIGHT], 7);
            assert_eq!(told(MCAST_MSFILTER, &room), Ok(group_filter(1, &all, 1)));
            // There are two, and room for one.
            let mut one = short(1, &strangers);
            one.truncate(20);
            assert_eq!(told(IP_MSFILTER, &short(7, &[RIGHT])), Ok(one));
            let many = vec![RIGHT; 11];
            assert_eq!(set(IP_MSFILTER, &short(1, &many)), Err(Errno::ENOBUFS));
            set(MCAST_MSFILTER, &group_filter(1, &all, 0)).unwrap();
            set(MCAST_MSFILTER, &group_filter(1, &all[..1], 1)).unwrap();
            assert_eq!(told(IP_MSFILTER, &short(7, &[])), Err(Errno::EADDRNOTAVAIL), "left");
            if !is_bound {
                left.bind(server, address("0.0.0.0", 53)).unwrap();
            }
        }
        set(MCAST_JOIN_GROUP, &group_request(0, &["232.1.2.3"])).unwrap();
        let client = right.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        for (mode, expected) in [(1, b"alone"), (0, b"group")] {
            set(IP_MSFILTER, &short(mode, &strangers)).unwrap();
            right.sendto(client, b"group", 0, Some(address("232.1.2.3", 53))).unwrap();
            right.sendto(client, b"alone", 0, Some(address(LEFT, 53))).unwrap();
            let mut text = [0; 8];
            let length = left.recv(server, &mut text, 0).unwrap();
            assert_eq!(&text[..length], expected);
        }
    });
}
