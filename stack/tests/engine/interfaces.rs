//! A host with two links, a neighbour on each, and VLANs.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use stack::{
    AddAddressError, AddInterfaceError, AddRouteError, Config, ConnectOptions, DropReason, Instant,
    InterfaceConfig, InterfaceId, ListenOptions, NewAddress, Route, RxFrame, Seed, SendDatagram,
    Stack, TcpId, TcpOptions, UdpId, UdpOptions, UdpSendError,
};

use crate::net::{balanced, frames, mac};

fn stack(last: u8, addresses: &str) -> Stack {
    let mut config = Config::new(mac(last));
    config.addresses = addresses.split(',').map(|it| it.parse().unwrap()).collect();
    config.validate().unwrap();
    Stack::new(config, Seed::from_number(last.into()))
}

fn add(stack: &mut Stack, interface: InterfaceId, addresses: &str) {
    for cidr in addresses.split(',') {
        let new = NewAddress::configured(cidr.parse().unwrap()).on(interface);
        stack.add_address(Instant::from_secs(100), new).unwrap();
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

struct Links {
    now: Instant,
    host: Stack,
    ids: [InterfaceId; 2],
    peers: [Stack; 2],
    /// Nothing comes through this link.
    cut: [bool; 2],
    /// The host's frames that were carried.
    seen: Vec<(InterfaceId, Vec<u8>)>,
}

impl Links {
    fn new(own: [&str; 2], theirs: [&str; 2]) -> Links {
        let now = Instant::from_secs(100);
        let mut host = stack(1, own[0]);
        let second = host.add_interface(now, InterfaceConfig::new(mac(11))).unwrap();
        add(&mut host, second, own[1]);
        let peers = [stack(2, theirs[0]), stack(12, theirs[1])];
        let ids = [InterfaceId::FIRST, second];
        Links { now, host, ids, peers, cut: [false; 2], seen: Vec::new() }
    }

    /// Different networks of IPv4.
    fn plain() -> Links {
        Links::new(["192.0.2.1/24", "198.51.100.1/24"], ["192.0.2.2/24", "198.51.100.2/24"])
    }

    fn settle(&mut self) {
        loop {
            let mut carried = 0;
            while let Some(frame) = self.host.poll_transmit(self.now) {
                let (by, bytes) = (frame.interface, frame.to_vec());
                if !self.cut[by.place()] {
                    self.peers[by.place()].receive(self.now, RxFrame::plain(&bytes));
                    self.seen.push((by, bytes));
                    carried += 1;
                }
            }
            for (place, id) in self.ids.into_iter().enumerate() {
                for frame in frames(&mut self.peers[place], self.now) {
                    if !self.cut[place] {
                        self.host.receive_on(self.now, id, RxFrame::plain(&frame));
                        carried += 1;
                    }
                }
            }
            if carried == 0 {
                return balanced(&self.host);
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        loop {
            let all = self.peers.iter().chain([&self.host]);
            let next = all.filter_map(Stack::next_timeout).min().filter(|&next| next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            self.peers.iter_mut().chain([&mut self.host]).for_each(|it| it.advance(self.now));
            self.settle();
        }
        self.now = end;
    }

    /// The host connects to the neighbour on a link.
    fn connect(&mut self, link: usize, local: Option<&str>, remote: &str) -> (TcpId, TcpId) {
        let remote: SocketAddr = remote.parse().unwrap();
        let local = local.map(|local| SocketAddr::new(ip(local), 0));
        let listener = self.peers[link].listen(remote, ListenOptions::default()).unwrap();
        let options = ConnectOptions { local, ..ConnectOptions::default() };
        let client = self.host.connect(self.now, remote, options).unwrap();
        self.settle();
        (client, self.peers[link].accept(listener).unwrap())
    }

    fn local(&mut self, client: TcpId) -> IpAddr {
        self.host.tcp(client).unwrap().local().ip()
    }

    fn say(&mut self, client: TcpId, text: &[u8]) {
        assert_eq!(self.host.tcp(client).unwrap().send(self.now, text), Ok(text.len()));
        self.settle();
    }

    fn hears(&mut self, link: usize, server: TcpId, text: &[u8]) -> bool {
        let mut got = vec![0; text.len() + 1];
        let read = self.peers[link].tcp(server).unwrap().recv(self.now, &mut got);
        read == Ok(text.len()) && got[..text.len()] == *text
    }

    /// The interface by which a datagram leaves.
    fn way(&mut self, from: &str, to: &str) -> InterfaceId {
        let socket = self.host.bind_udp(SocketAddr::new(ip(from), 0)).unwrap();
        let to = Some(SocketAddr::new(ip(to), 9));
        self.host.udp(socket).unwrap().send_to(self.now, b"x", to).unwrap();
        self.seen.clear();
        self.settle();
        let mut packets = self.seen.iter().filter(|(_, frame)| frame[12..14] == [8, 0]);
        packets.next_back().unwrap().0
    }
}

#[test]
fn each_link_has_its_own_addresses_and_neighbours() {
    let mut t = Links::plain();
    for (link, own, remote) in
        [(0, "192.0.2.1", "192.0.2.2:80"), (1, "198.51.100.1", "198.51.100.2:80")]
    {
        let (client, server) = t.connect(link, None, remote);
        assert_eq!(t.local(client), ip(own));
        t.say(client, b"hello");
        assert!(t.hears(link, server, b"hello"));
    }
    for (by, frame) in &t.seen {
        assert_eq!(frame[6..12], mac(if *by == t.ids[0] { 1 } else { 11 }).0);
    }
    assert_eq!(t.host.usage().neighbors, 2);
    let new = NewAddress::configured("192.0.2.1/24".parse().unwrap()).on(t.ids[1]);
    assert_eq!(t.host.add_address(t.now, new), Err(AddAddressError::Elsewhere));
}

/// "Who has `target`? Tell `asker`."
pub(crate) fn who_has(target: [u8; 4], asker: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 77, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 77]);
    frame.extend(asker);
    frame.extend([0; 6]);
    frame.extend(target);
    frame
}

#[test]
fn rfc826_a_link_is_told_only_of_what_is_on_it() {
    let mut t = Links::plain();
    let asked = who_has([198, 51, 100, 1], [198, 51, 100, 77]);
    t.host.receive_on(t.now, t.ids[0], RxFrame::plain(&asked));
    assert!(t.host.poll_transmit(t.now).is_none());
    t.host.receive_on(t.now, t.ids[1], RxFrame::plain(&asked));
    let answer = t.host.poll_transmit(t.now).unwrap();
    assert_eq!((answer.interface, &answer.to_vec()[6..12]), (t.ids[1], &mac(11).0[..]));
    assert!(t.host.poll_transmit(t.now).is_none());
}

#[test]
fn rfc1122_3_3_4_2_a_packet_for_any_address_of_ours_is_taken_at_any_interface() {
    let mut t = Links::plain();
    let round = Route::new("198.51.100.1/32".parse().unwrap(), Some(ip("192.0.2.1")));
    t.peers[0].add_route(round).unwrap();
    let listener = t.host.listen("0.0.0.0:80".parse().unwrap(), ListenOptions::default()).unwrap();
    let to = "198.51.100.1:80".parse().unwrap();
    t.peers[0].connect(t.now, to, ConnectOptions::default()).unwrap();
    t.settle();
    let accepted = t.host.accept(listener).unwrap();
    assert_eq!(t.local(accepted), ip("198.51.100.1"));
    assert!(t.seen.iter().all(|(by, _)| *by == t.ids[0]));
}

#[test]
fn the_longest_prefix_then_the_source_then_the_metric() {
    let mut t = Links::plain();
    let [first, second] = t.ids;
    let metric = |metric, gateway| Route { metric, ..Route::default_via(ip(gateway)) };
    t.host.add_route(metric(10, "192.0.2.2")).unwrap();
    t.host.add_route(metric(5, "198.51.100.2")).unwrap();
    t.host.add_route(Route::new("203.0.113.0/24".parse().unwrap(), Some(ip("192.0.2.2")))).unwrap();
    assert_eq!(t.way("0.0.0.0", "203.0.113.9"), first);
    assert_eq!(t.way("198.51.100.1", "203.0.113.9"), first, "no other way is as near");
    assert_eq!(t.way("0.0.0.0", "198.18.0.1"), second);
    assert_eq!(t.way("192.0.2.1", "198.18.0.1"), first);
    t.host.set_interface_link(second, false);
    assert_eq!(t.way("0.0.0.0", "198.18.0.1"), first, "and with it the source");
    assert_eq!(t.way("198.51.100.1", "198.18.0.1"), first, "better than none");
    t.host.set_interface_link(second, true);
    assert_eq!(t.way("0.0.0.0", "198.18.0.1"), second);
    t.host.remove_route(&metric(5, "198.51.100.2")).unwrap();
    assert_eq!(t.way("0.0.0.0", "198.18.0.1"), first);
    let nowhere = Route::default_via(ip("192.0.2.2")).by(InterfaceId::from_index(9).unwrap());
    assert_eq!(t.host.add_route(nowhere), Err(AddRouteError::NoInterface));
}

#[test]
fn one_network_on_two_links() {
    let mut t = Links::new(["192.0.2.1/24", "192.0.2.11/24"], ["192.0.2.2/24", "192.0.2.12/24"]);
    assert_eq!(t.way("0.0.0.0", "192.0.2.2"), t.ids[0]);
    let (client, server) = t.connect(1, Some("192.0.2.11"), "192.0.2.12:80");
    t.say(client, b"hello");
    assert!(t.hears(1, server, b"hello"));
    // What comes in by the second link is answered there, though the first is the older way.
    let listener = t.host.listen("0.0.0.0:81".parse().unwrap(), ListenOptions::default()).unwrap();
    let to = "192.0.2.11:81".parse().unwrap();
    t.peers[1].connect(t.now, to, ConnectOptions::default()).unwrap();
    t.settle();
    assert!(t.host.accept(listener).is_ok());
}

#[test]
fn e1_a_link_that_is_down_is_waited_for_and_the_other_goes_on() {
    let mut t = Links::plain();
    let (here, here_far) = t.connect(0, None, "192.0.2.2:80");
    let (there, there_far) = t.connect(1, None, "198.51.100.2:80");
    t.host.set_interface_link(t.ids[1], false);
    t.cut[1] = true;
    t.say(there, b"late");
    t.pass(Duration::from_secs(30));
    t.say(here, b"early");
    assert!(t.hears(0, here_far, b"early"));
    assert_eq!(t.host.counters().tcp_timeouts, 0, "no sign of congestion");
    t.cut[1] = false;
    t.host.set_interface_link(t.ids[1], true);
    t.pass(Duration::from_secs(2));
    assert!(t.hears(1, there_far, b"late"));
    let up: Vec<_> = t.host.interfaces().map(|it| (it.id, it.up, it.mtu)).collect();
    assert_eq!(up, t.ids.map(|id| (id, true, 1500)));
}

#[test]
fn ieee802_1q_vlans_are_links_of_their_own() {
    let mut t = Links::plain();
    // On both devices the tag is the same.
    for link in [0, 1] {
        let parents = [(&mut t.host, t.ids[link]), (&mut t.peers[link], InterfaceId::FIRST)];
        for (last, (stack, parent)) in (1..).zip(parents) {
            let vlan = stack.add_interface(t.now, InterfaceConfig::vlan(parent, 7));
            add(stack, vlan.unwrap(), &format!("198.18.{link}.{last}/24"));
        }
    }
    let text: Vec<u8> = (0..3000).map(|i| i as u8).collect();
    for link in [0, 1] {
        t.seen.clear();
        let (client, server) = t.connect(link, None, &format!("198.18.{link}.2:80"));
        assert_eq!(t.local(client), ip(&format!("198.18.{link}.1")));
        t.say(client, &text);
        assert!(t.hears(link, server, &text));
        assert_eq!(t.peers[link].tcp(server).unwrap().send(t.now, &text), Ok(3000));
        t.settle();
        let mut back = vec![0; 4000];
        assert_eq!(t.host.tcp(client).unwrap().recv(t.now, &mut back), Ok(3000));
        assert_eq!(back[..3000], text);
        for (by, frame) in &t.seen {
            assert_eq!((*by, &frame[12..16]), (t.ids[link], &[0x81, 0, 0, 7][..]));
        }
        assert_eq!(t.seen.iter().map(|(_, frame)| frame.len()).max(), Some(1518));
    }
    for (id, to) in t.ids.into_iter().zip(["192.0.2.2", "198.51.100.2"]) {
        assert_eq!(t.way("0.0.0.0", to), id);
        assert_eq!(t.seen.last().unwrap().1[12..14], [8, 0], "without a tag");
    }
    for (id, down) in t.ids.into_iter().zip([2, 4]) {
        t.host.set_interface_link(id, false);
        let all = t.host.interfaces();
        assert_eq!(all.filter(|it| !it.up).count(), down, "it fares as its device does");
    }
}

fn tagged(tag: [u8; 2], frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &tag, &frame[12..]].concat()
}

#[test]
fn ieee802_1q_only_tags_that_are_ours() {
    let mut t = Links::plain();
    let [first, second] = t.ids;
    let vlan = t.host.add_interface(t.now, InterfaceConfig::vlan(first, 4094)).unwrap();
    let asked = who_has([192, 0, 2, 1], [192, 0, 2, 77]);
    let drops = |t: &Links, reason| t.host.counters().drops.get(reason);
    for (id, tag, reason) in [
        (first, [0, 7], DropReason::VlanUnknown),
        (second, [0x0f, 0xfe], DropReason::VlanUnknown),
        (vlan, [0, 0], DropReason::NoInterface),
        (InterfaceId::from_index(99).unwrap(), [0, 0], DropReason::NoInterface),
    ] {
        let before = drops(&t, reason);
        t.host.receive_on(t.now, id, RxFrame::plain(&tagged(tag, &asked)));
        assert_eq!(drops(&t, reason), before + 1, "{id:?} {tag:?}");
    }
    // On the VLAN the address is not ours.
    t.host.receive(t.now, RxFrame::plain(&tagged([0x0f, 0xfe], &asked)));
    assert!(t.host.poll_transmit(t.now).is_none());
    // Of priority only.
    t.host.receive(t.now, RxFrame::plain(&tagged([0xe0, 0], &asked)));
    assert_eq!(t.host.poll_transmit(t.now).unwrap().to_vec()[12..14], [8, 6]);
    let twice = tagged([0, 0], &tagged([0, 0], &asked));
    for len in 0..twice.len() {
        t.host.receive(t.now, RxFrame::plain(&twice[..len]));
    }
    balanced(&t.host);
}

#[test]
fn there_are_so_many_interfaces_and_no_more() {
    let mut t = Links::plain();
    let vlan = |parent, tag| InterfaceConfig::vlan(parent, tag);
    let [first, second] = t.ids;
    let mut added = |config| t.host.add_interface(t.now, config);
    for tag in [0, 4095, 65_535] {
        assert_eq!(added(vlan(first, tag)), Err(AddInterfaceError::Tag(tag)));
    }
    let one = added(vlan(first, 1)).unwrap();
    assert_eq!(added(vlan(first, 1)), Err(AddInterfaceError::TagInUse(1)));
    assert_eq!(added(vlan(one, 2)), Err(AddInterfaceError::NoParent));
    assert!(added(vlan(second, 1)).is_ok(), "another device's");
    let group = InterfaceConfig::new(stack::Mac([3, 0, 0, 0, 0, 1]));
    assert!(matches!(added(group), Err(AddInterfaceError::Device(_))));
    let more = (2..).take_while(|tag| added(vlan(first, *tag)).is_ok()).count();
    assert_eq!((more, added(vlan(first, 99))), (12, Err(AddInterfaceError::TooManyInterfaces)));
    assert_eq!(t.host.interfaces().count(), t.host.config().interfaces_max);
    let (client, server) = t.connect(1, None, "198.51.100.2:80");
    t.say(client, b"and all is well");
    assert!(t.hears(1, server, b"and all is well"));
}

#[test]
fn rfc4007_one_address_on_two_links_is_two_neighbours() {
    let theirs = ["fe80::2/64,2001:db8:1::2/64", "fe80::2/64,2001:db8:2::2/64"];
    let mut t = Links::new(["2001:db8:1::1/64", "2001:db8:2::1/64"], theirs);
    let any: SocketAddr = "[::]:9".parse().unwrap();
    let socket = t.host.bind_udp(any).unwrap();
    let sockets: Vec<UdpId> = t.peers.iter_mut().map(|it| it.bind_udp(any).unwrap()).collect();
    for (place, id) in t.ids.into_iter().enumerate() {
        let to = SocketAddrV6::new("fe80::2".parse().unwrap(), 9, 0, id.index());
        t.host.udp(socket).unwrap().send_to(t.now, &[place as u8], Some(to.into())).unwrap();
        t.settle();
        let mut byte = [9; 4];
        let mut theirs = t.peers[place].udp(sockets[place]).unwrap();
        let (len, from) = theirs.recv_from(&mut byte).unwrap();
        assert_eq!((len, usize::from(byte[0])), (1, place));
        theirs.send_to(t.now, b"back", Some(from)).unwrap();
        t.settle();
        let back = t.host.udp(socket).unwrap().recv_datagram(&mut byte).unwrap();
        assert_eq!((back.from, back.interface), (to.into(), id));
        let (client, server) = {
            let listener = t.peers[place]
                .listen("[fe80::2]:80".parse().unwrap(), ListenOptions::default())
                .unwrap();
            let mut to = to;
            to.set_port(80);
            let client = t.host.connect(t.now, to.into(), ConnectOptions::default()).unwrap();
            t.settle();
            (client, t.peers[place].accept(listener).unwrap())
        };
        t.say(client, b"hello");
        assert!(t.hears(place, server, b"hello"));
    }
}

#[test]
fn rfc4007_a_datagram_socket_stays_on_the_link_of_its_peer() {
    let own = ["2001:db8:1::1/64", "2001:db8:2::1/64"];
    let mut t = Links::new(own, ["fe80::2/64", "fe80::2/64"]);
    let any: SocketAddr = "[::]:9".parse().unwrap();
    let socket = t.host.bind_udp(any).unwrap();
    let sockets = t.peers.each_mut().map(|it| it.bind_udp(any).unwrap());
    for place in [1, 0] {
        let id = t.ids[place];
        let to = SocketAddrV6::new("fe80::2".parse().unwrap(), 9, 0, id.index()).into();
        t.host.udp(socket).unwrap().connect(to).unwrap();
        assert_eq!(t.host.udp(socket).unwrap().remote(), Some(to));
        t.host.udp(socket).unwrap().send_to(t.now, b"x", None).unwrap();
        t.settle();
        for (link, peer) in sockets.into_iter().enumerate() {
            let mut theirs = t.peers[link].udp(peer).unwrap();
            let heard = theirs.recv_from(&mut [0; 4]);
            assert_eq!(heard.is_ok(), link == place, "link {link} of {place}");
            let back = SocketAddrV6::new(own_link(&t.host, link), 9, 0, 0).into();
            t.peers[link].udp(peer).unwrap().send_to(t.now, b"y", Some(back)).unwrap();
            t.settle();
            let heard = t.host.udp(socket).unwrap().recv_datagram(&mut [0; 4]);
            assert_eq!(heard.ok().map(|it| it.interface), (link == place).then_some(id));
        }
        assert!(t.host.udp(socket).unwrap().path_mtu(t.now).is_some());
    }
    t.host.udp(socket).unwrap().disconnect();
    assert_eq!(t.host.udp(socket).unwrap().remote(), None);
}

/// The host's own address of a link.
fn own_link(host: &Stack, link: usize) -> Ipv6Addr {
    let own = |it: stack::AddressInfo| match it.cidr.address {
        IpAddr::V6(own) if own.is_unicast_link_local() => Some((it.interface.place(), own)),
        _ => None,
    };
    host.addresses().filter_map(own).find(|(place, _)| *place == link).unwrap().1
}

#[test]
fn groups_are_joined_on_a_link() {
    let mut t = Links::plain();
    let group = ip("239.1.2.3");
    let socket = t.host.bind_udp("0.0.0.0:9".parse().unwrap()).unwrap();
    t.host.udp(socket).unwrap().join_group_on(Some(t.ids[1]), group).unwrap();
    for place in 0..2 {
        let peer = &mut t.peers[place];
        let speaker = peer.bind_udp("0.0.0.0:0".parse().unwrap()).unwrap();
        let to = Some(SocketAddr::new(group, 9));
        peer.udp(speaker).unwrap().send_to(t.now, b"x", to).unwrap();
        t.settle();
        let heard = t.host.udp(socket).unwrap().recv_datagram(&mut [0; 9]);
        assert_eq!(heard.ok().map(|it| it.interface), (place == 1).then_some(t.ids[1]));
    }
    t.host.udp(socket).unwrap().leave_group(group).unwrap();
    t.pass(Duration::from_secs(5));
    let reports = t.seen.iter().filter(|(_, frame)| frame[12..14] == [8, 0] && frame[23] == 2);
    let reports: Vec<_> = reports.map(|(by, _)| *by).collect();
    assert!(reports.len() >= 2 && reports.iter().all(|by| *by == t.ids[1]), "{reports:?}");
}

/// A UDP socket of the host that is bound to an interface.
fn bound(t: &mut Links, local: &str, interface: InterfaceId) -> UdpId {
    let options =
        UdpOptions { interface: Some(interface), broadcast: true, ..UdpOptions::default() };
    t.host.bind_udp_with(local.parse().unwrap(), options).unwrap()
}

#[test]
fn a_datagram_socket_of_an_interface_hears_no_other() {
    let mut t = Links::plain();
    let any = "0.0.0.0:67";
    let every = t.host.bind_udp(any.parse().unwrap()).unwrap();
    let own = t.ids.map(|id| bound(&mut t, any, id));
    let again = UdpOptions { interface: Some(t.ids[1]), ..UdpOptions::default() };
    assert!(t.host.bind_udp_with(any.parse().unwrap(), again).is_err(), "it has one");
    // By the weak host model the second address may be reached by the first link.
    let round = Route::new("198.51.100.1/32".parse().unwrap(), Some(ip("192.0.2.1")));
    t.peers[0].add_route(round).unwrap();
    for (link, to) in
        [(0, "192.0.2.1"), (0, "198.51.100.1"), (1, "198.51.100.1"), (0, "255.255.255.255")]
    {
        let options = UdpOptions { broadcast: true, ..UdpOptions::default() };
        let local = "0.0.0.0:0".parse().unwrap();
        let peer = t.peers[link].bind_udp_with(local, options).unwrap();
        let to = SocketAddr::new(ip(to), 67);
        t.peers[link].udp(peer).unwrap().send_to(t.now, b"x", Some(to)).unwrap();
        t.settle();
        let mut heard = |id| t.host.udp(id).unwrap().recv_datagram(&mut [0; 9]).is_ok();
        let both = [heard(own[0]), heard(own[1])];
        assert_eq!(both, [link == 0, link == 1], "{to}");
        // The more exact one goes first; what is for many is for all.
        assert_eq!(heard(every), to.ip() == ip("255.255.255.255"));
    }
    t.host.udp(own[0]).unwrap().close();
    t.host.udp(own[1]).unwrap().connect("198.51.100.2:9".parse().unwrap()).unwrap();
    let mut from = |link: usize, local: &str| {
        let peer = t.peers[link].bind_udp(local.parse().unwrap()).unwrap();
        let to = Some("198.51.100.1:67".parse().unwrap());
        t.peers[link].udp(peer).unwrap().send_to(t.now, b"x", to).unwrap();
        t.settle();
        let mut heard = |id| t.host.udp(id).unwrap().recv_datagram(&mut [0; 9]).is_ok();
        [heard(own[1]), heard(every)]
    };
    assert_eq!(from(1, "198.51.100.2:9"), [true, false]);
    assert_eq!(from(0, "192.0.2.2:9"), [false, true], "not its peer, not its link");
}

#[test]
fn a_datagram_socket_of_an_interface_sends_by_no_other() {
    let mut t = Links::plain();
    let [first, second] = t.ids;
    t.host.add_route(Route::default_via(ip("192.0.2.2"))).unwrap();
    let way = |t: &mut Links, id: UdpId, how: SendDatagram| {
        t.host.udp(id).unwrap().send_datagram(t.now, b"x", how)?;
        t.seen.clear();
        t.settle();
        let mut packets = t.seen.iter().filter(|(_, frame)| frame[12..14] == [8, 0]);
        Ok(packets.next_back().unwrap().0)
    };
    let to = |text: &str| SendDatagram::from(Some(SocketAddr::new(ip(text), 9)));
    let unreachable = Err(UdpSendError::NetworkUnreachable);
    let on_second = bound(&mut t, "0.0.0.0:0", second);
    for (where_to, expected) in [
        ("198.51.100.2", Ok(second)),
        ("192.0.2.2", unreachable),
        ("203.0.113.1", unreachable),
        ("255.255.255.255", Ok(second)),
        ("239.1.2.3", Ok(second)),
        ("198.51.100.255", Ok(second)),
        ("192.0.2.255", unreachable),
    ] {
        assert_eq!(way(&mut t, on_second, to(where_to)), expected, "{where_to}");
    }
    t.host.add_route(Route::default_via(ip("198.51.100.2"))).unwrap();
    assert_eq!(way(&mut t, on_second, to("203.0.113.1")), Ok(second), "it has a way now");
    // Of one datagram, and of a kind of datagrams.
    let any = t.host.bind_udp("0.0.0.0:0".parse().unwrap()).unwrap();
    assert_eq!(way(&mut t, any, to("203.0.113.1")), Ok(first), "the older route");
    let by = |to: SendDatagram| SendDatagram { interface: Some(second), ..to };
    assert_eq!(way(&mut t, any, by(to("203.0.113.1"))), Ok(second));
    let options = UdpOptions { multicast_interface: Some(second), ..UdpOptions::default() };
    t.host.udp(any).unwrap().set_options(options);
    assert_eq!(way(&mut t, any, to("239.1.2.3")), Ok(second));
    assert_eq!(way(&mut t, any, to("203.0.113.1")), Ok(first));
    let options = UdpOptions { unicast_interface: Some(second), ..UdpOptions::default() };
    t.host.udp(any).unwrap().set_options(options);
    assert_eq!(way(&mut t, any, to("239.1.2.3")), Ok(first));
    assert_eq!(way(&mut t, any, to("203.0.113.1")), Ok(second));
    let nowhere = SendDatagram { interface: InterfaceId::from_index(9), ..to("203.0.113.1") };
    assert_eq!(way(&mut t, any, nowhere), unreachable);
}

#[test]
fn rfc1122_3_3_6_who_has_no_address_on_a_link_may_call_there() {
    let mut t = Links::plain();
    let third = t.host.add_interface(t.now, InterfaceConfig::new(mac(21))).unwrap();
    let socket = bound(&mut t, "0.0.0.0:68", third);
    let to = Some("255.255.255.255:67".parse().unwrap());
    t.host.udp(socket).unwrap().send_to(t.now, b"x", to).unwrap();
    let frame = t.host.poll_transmit(t.now).unwrap();
    let bytes = frame.to_vec();
    assert_eq!((frame.interface, &bytes[26..34]), (third, &[0, 0, 0, 0, 255, 255, 255, 255][..]));
}

#[test]
fn a_stream_of_an_interface_hears_and_uses_no_other() {
    let mut t = Links::plain();
    let [first, second] = t.ids;
    let only = |interface| TcpOptions { interface: Some(interface), ..TcpOptions::default() };
    let any: SocketAddr = "0.0.0.0:80".parse().unwrap();
    let every = t.host.listen(any, ListenOptions::default()).unwrap();
    let on_second = ListenOptions { tcp: only(second), ..ListenOptions::default() };
    let there = t.host.listen(any, on_second).unwrap();
    assert!(t.host.listen(any, on_second).is_err(), "it has one");
    let round = Route::new("198.51.100.1/32".parse().unwrap(), Some(ip("192.0.2.1")));
    t.peers[0].add_route(round).unwrap();
    for (link, to) in [(0, "192.0.2.1:80"), (0, "198.51.100.1:80"), (1, "198.51.100.1:80")] {
        t.peers[link].connect(t.now, to.parse().unwrap(), ConnectOptions::default()).unwrap();
        t.settle();
        let accepted = [every, there].map(|listener| t.host.accept(listener).is_ok());
        assert_eq!(accepted, [link == 0, link == 1], "{to}");
    }
    t.host.close_listener(t.now, every);
    let refused = t.peers[0].connect(t.now, "192.0.2.1:80".parse().unwrap(), Default::default());
    t.settle();
    assert!(t.peers[0].tcp(refused.unwrap()).unwrap().info().state == stack::State::Closed);
    // Its segments leave by it alone, and what comes by another is not its own.
    t.host.add_route(Route::default_via(ip("192.0.2.2"))).unwrap();
    t.host.add_route(Route::default_via(ip("198.51.100.2"))).unwrap();
    t.seen.clear();
    let options = ConnectOptions { tcp: only(second), ..ConnectOptions::default() };
    let far = "203.0.113.1:80".parse().unwrap();
    let id = t.host.connect(t.now, far, options).unwrap();
    assert_eq!(t.local(id), ip("198.51.100.1"));
    t.settle();
    assert!(!t.seen.is_empty() && t.seen.iter().all(|(by, _)| *by == second), "{:?}", t.seen);
    let remote = "198.51.100.2:80".parse().unwrap();
    let listener = t.peers[1].listen(remote, ListenOptions::default()).unwrap();
    let id = t.host.connect(t.now, remote, options).unwrap();
    t.settle();
    let server = t.peers[1].accept(listener).unwrap();
    t.peers[1].tcp(server).unwrap().send(t.now, b"hello").unwrap();
    let mut text = frames(&mut t.peers[1], t.now).pop().unwrap();
    t.host.receive_on(t.now, second, RxFrame::plain(&text));
    text[..6].copy_from_slice(&mac(1).0);
    t.host.receive_on(t.now, first, RxFrame::plain(&text));
    assert_eq!(t.host.counters().drops.get(DropReason::TcpElsewhere), 1);
    assert_eq!(t.host.tcp(id).unwrap().recv(t.now, &mut [0; 9]), Ok(5));
    balanced(&t.host);
}
