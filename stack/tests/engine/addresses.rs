//! Addresses and routes that change while the host runs.

use std::net::IpAddr;
use std::time::Duration;

use stack::{
    AddAddressError, AddRouteError, AddressOrigin, AddressState, Config, ConfigError, ConnectError,
    ConnectOptions, Instant, Lifetimes, ListenOptions, NewAddress, NoSuchAddress, NoSuchRoute,
    Readiness, RecvError, Route, SendError, SocketId, State, TcpError, UdpError, UdpRecvError,
    UdpSendError,
};

use crate::net::{Net, balanced, frames, host, host_with, mac, settled, v4, v6};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn leased(text: &str, seconds: u64) -> NewAddress {
    let lifetimes = Lifetimes::lease(Duration::from_secs(seconds));
    let origin = AddressOrigin::Dhcp;
    NewAddress { lifetimes, origin, ..NewAddress::configured(text.parse().unwrap()) }
}

#[test]
fn d7_a_lease_that_ends_ends_what_was_at_it_and_nothing_else() {
    for version in [4, 6] {
        let (mut net, extra) =
            (Net::new(), if version == 4 { "192.0.2.77" } else { "2001:db8::77" });
        let (here, there) =
            if version == 4 { (v4(1, 0), v4(2, 80)) } else { (v6(1, 0), v6(2, 80)) };
        let prefix = if version == 4 { 24 } else { 64 };
        net.hosts[0].add_address(net.now, leased(&format!("{extra}/{prefix}"), 30)).unwrap();
        let listener = net.hosts[1].listen(there, ListenOptions::default()).unwrap();
        let mut from = |address: IpAddr| {
            let local = Some((address, 0).into());
            let options = ConnectOptions { local, ..ConnectOptions::default() };
            net.hosts[0].connect(net.now, there, options).unwrap()
        };
        let (lost, kept) = (from(ip(extra)), from(here.ip()));
        let server = net.hosts[0].listen((ip(extra), 7).into(), ListenOptions::default()).unwrap();
        let bound = net.hosts[0].bind_udp((ip(extra), 9).into()).unwrap();
        net.settle();
        for _ in 0..2 {
            net.hosts[1].accept(listener).unwrap();
        }
        net.hosts[0].tcp(lost).unwrap().send(net.now, b"before").unwrap();
        net.pass(Duration::from_secs(29));
        assert_eq!(net.hosts[0].tcp(lost).unwrap().state(), State::Established);
        net.events[0].clear();
        let seen = net.seen.len();
        net.hosts[0].tcp(lost).unwrap().send(net.now, b"never").unwrap();
        net.now = net.now + Duration::from_secs(1);
        net.hosts[0].advance(net.now);
        net.settle();

        let error = net.events[0].iter().find(|event| event.socket == SocketId::Tcp(lost));
        assert!(error.unwrap().readiness.contains(Readiness::ERROR | Readiness::CLOSED));
        let mut lost = net.hosts[0].tcp(lost).unwrap();
        assert_eq!(lost.state(), State::Closed);
        assert_eq!(lost.send(net.now, b"x"), Err(SendError::Failed(TcpError::AddressLost)));
        let mut out = [0; 9];
        let udp = net.hosts[0].udp(bound).unwrap().recv_from(&mut out);
        assert_eq!(udp, Err(UdpRecvError::Failed(UdpError::AddressLost)));
        let failed = Err(UdpSendError::Failed(UdpError::AddressLost));
        let mut udp = net.hosts[0].udp(bound).unwrap();
        assert_eq!(udp.send_to(net.now, b"x", Some(there)), failed);
        assert_eq!(net.seen.len(), seen, "nothing comes from the address any more");

        // The other connection lives, and the listener hears again when the address is back.
        let mut kept = net.hosts[0].tcp(kept).unwrap();
        kept.send(net.now, b"still here").unwrap();
        assert_eq!(kept.recv(net.now, &mut out), Err(RecvError::WouldBlock));
        net.settle();
        assert!(net.hosts[0].tcp(kept_id(&net)).is_some());
        net.hosts[0].add_address(net.now, leased(&format!("{extra}/{prefix}"), 30)).unwrap();
        net.hosts[1].connect(net.now, (ip(extra), 7).into(), ConnectOptions::default()).unwrap();
        net.settle();
        assert!(net.hosts[0].accept(server).is_ok());
        net.hosts.iter().for_each(balanced);
    }
}

/// The one connection of host 0 that has its id still.
fn kept_id(net: &Net) -> stack::TcpId {
    let established = |info: &stack::TcpInfo| info.state == State::Established;
    let mut all = net.hosts[0].connections().filter(|(_, info)| established(info));
    all.find_map(|(id, _)| id).unwrap()
}

#[test]
fn a_handshake_and_a_packet_that_waits_go_with_their_address() {
    let mut net = Net::new();
    let listener = net.hosts[0].listen(v4(1, 80), ListenOptions::default()).unwrap();
    net.hosts[1].connect(net.now, v4(1, 80), ConnectOptions::default()).unwrap();
    // The SYN arrives, the SYN-ACK waits.
    for _ in 0..2 {
        for frame in frames(&mut net.hosts[1], net.now) {
            net.hosts[0].receive(net.now, stack::RxFrame::plain(&frame));
        }
        for frame in frames(&mut net.hosts[0], net.now).iter().filter(|f| f[12..14] == [8, 6]) {
            net.hosts[1].receive(net.now, stack::RxFrame::plain(frame));
        }
    }
    assert_eq!(net.hosts[0].usage().half_open, 1);
    let local = Some(v4(1, 0));
    let options = ConnectOptions { local, ..ConnectOptions::default() };
    net.hosts[0].connect(net.now, v4(99, 80), options).unwrap();
    assert_eq!(frames(&mut net.hosts[0], net.now).len(), 1, "a question about its neighbour");
    assert_ne!(net.hosts[0].memory_used(), 0);
    net.hosts[0].remove_address(net.now, ip("192.0.2.1")).unwrap();
    assert_eq!((net.hosts[0].usage().half_open, net.hosts[0].memory_used()), (0, 0));
    assert!(net.hosts[0].listener(listener).is_some());
    net.pass(Duration::from_secs(10));
    balanced(&net.hosts[0]);
}

#[test]
fn one_that_is_not_there_cannot_go_and_one_too_many_cannot_come() {
    let mut stack = settled(host_with(1, |config| config.addresses_max = 4));
    let now = Instant::from_secs(1);
    assert_eq!(stack.addresses().count(), 3, "two, and one for the link");
    assert_eq!(stack.remove_address(now, ip("192.0.2.9")), Err(NoSuchAddress));
    let changes = stack.address_changes();
    stack.add_address(now, leased("192.0.2.9/24", 5)).unwrap();
    let refused = stack.add_address(now, leased("192.0.2.10/24", 5));
    assert_eq!(refused, Err(AddAddressError::TooManyAddresses));
    assert_eq!((stack.address_changes(), stack.counters().addresses_refused), (changes + 1, 1));
    assert_eq!(stack.next_timeout(), Some(Instant::from_secs(6)));
    stack.advance(Instant::from_secs(6));
    stack.add_address(now, leased("192.0.2.10/24", 5)).unwrap();
    let last = stack.addresses().last().unwrap();
    assert_eq!((last.origin, last.state), (AddressOrigin::Dhcp, AddressState::Preferred));
}

#[test]
fn a_host_without_any_address_gets_one_and_a_router() {
    let mut config = Config::new(mac(1));
    config.routes_max = 1;
    let mut stack = stack::Stack::new(config, stack::Seed::from_number(1));
    let (now, far) = (Instant::from_secs(1), "198.51.100.1:80".parse().unwrap());
    let connect = |stack: &mut stack::Stack| stack.connect(now, far, ConnectOptions::default());
    assert_eq!(connect(&mut stack), Err(ConnectError::NetworkUnreachable));
    stack.add_address(now, leased("192.0.2.1/24", 60)).unwrap();
    assert_eq!(connect(&mut stack), Err(ConnectError::NetworkUnreachable));
    let route = Route::default_via(ip("192.0.2.254"));
    stack.add_route(route).unwrap();
    assert!(connect(&mut stack).is_ok());
    let question = frames(&mut stack, now).pop().unwrap();
    assert_eq!(question[38..42], [192, 0, 2, 254], "the router is asked for");
    assert_eq!(stack.add_route(route), Err(AddRouteError::Exists));
    let other = Route::default_via(ip("192.0.2.253"));
    assert_eq!(stack.add_route(other), Err(AddRouteError::TooManyRoutes));
    assert_eq!(stack.counters().routes_refused, 1);
    let gateway = Some(ip("2001:db8::1"));
    assert_eq!(stack.add_route(Route { gateway, ..route }), Err(AddRouteError::Versions));
    assert_eq!(stack.routes().collect::<Vec<_>>(), [route]);
    stack.remove_route(&route).unwrap();
    assert_eq!(stack.remove_route(&route), Err(NoSuchRoute));
    assert_eq!(connect(&mut stack), Err(ConnectError::NetworkUnreachable));
    stack.add_route(other).unwrap();
    // The first address of IPv6 brings one for the link.
    stack.add_address(now, leased("2001:db8::1/64", 60)).unwrap();
    let origins: Vec<_> = stack.addresses().map(|info| info.origin).collect();
    assert_eq!(origins[1..], [AddressOrigin::Dhcp, AddressOrigin::LinkLocal]);
}

#[test]
fn a_deprecated_address_serves_what_has_it_and_nothing_new() {
    let (mut stack, now) = (host(1), Instant::from_secs(1));
    let soon = Lifetimes { preferred: Duration::ZERO, valid: Duration::MAX };
    let first = NewAddress::configured("2001:db8::1/64".parse().unwrap());
    stack.add_address(now, NewAddress { lifetimes: soon, ..first }).unwrap();
    stack.add_address(now, leased("2001:db8::77/64", 60)).unwrap();
    let id = stack.connect(now, v6(2, 80), ConnectOptions::default()).unwrap();
    assert_eq!(stack.tcp(id).unwrap().local().ip(), ip("2001:db8::77"));
    assert!(stack.listen(v6(1, 80), ListenOptions::default()).is_ok());
}

/// An answer that the device has not taken yet claims nothing that the host has no longer.
#[test]
fn nobody_is_told_of_an_address_that_is_gone() {
    for (version, own, asked) in [(4, v4(1, 0), v4(2, 9)), (6, v6(1, 0), v6(2, 9))] {
        let mut net = Net::new();
        let id = net.hosts[1].bind_udp(asked).unwrap();
        net.hosts[1].udp(id).unwrap().send_to(net.now, b"?", Some((own.ip(), 9).into())).unwrap();
        let question = frames(&mut net.hosts[1], net.now).remove(0);
        net.hosts[0].receive(net.now, stack::RxFrame::plain(&question));
        net.hosts[0].remove_address(net.now, own.ip()).unwrap();
        let said = frames(&mut net.hosts[0], net.now);
        assert!(said.is_empty(), "IPv{version}: {said:?}");
    }
}

#[test]
fn addresses_that_no_host_can_have_are_refused() {
    let config = |own: &str, gateway: &str| {
        let mut config = Config::new(mac(1));
        config.addresses = vec![own.parse().unwrap()];
        config.gateway = Some(gateway.parse().unwrap());
        config.validate()
    };
    let bad = "192.0.2.255/24";
    let refused = ConfigError::NotForHosts(bad.parse().unwrap());
    assert_eq!(config(bad, "192.0.2.1"), Err(refused));
    let own = "192.0.2.2";
    assert_eq!(config("192.0.2.2/24", own), Err(ConfigError::OwnGateway(own.parse().unwrap())));
    assert_eq!(config("192.0.2.2/24", "192.0.2.1"), Ok(()));
}
