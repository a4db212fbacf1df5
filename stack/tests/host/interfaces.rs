//! A host with two devices.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use stack::host::bsd::*;
use stack::host::{Bsd, Errno, Host, TcpListener, TcpStream};
use stack::{Config, InterfaceConfig, InterfaceId, Mac, NewAddress, Seed};

use super::rig::{pattern, pause, read, within};

fn config(last: u8, cidr: &str) -> Config {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![cidr.parse().unwrap()];
    config
}

fn peer(last: u8, cidr: &str, device: tapdev::PairEnd) -> Host {
    let seed = Seed::from_number(last.into());
    let grace = Duration::from_millis(100);
    Host::builder(config(last, cidr)).seed(seed).grace(grace).start(device).unwrap()
}

/// A connection from `host` to the listener at `to`; both ends.
fn meet(host: &Host, listener: &TcpListener, to: &str) -> (TcpStream, TcpStream) {
    let port = listener.local_addr().unwrap().port();
    let to = SocketAddr::new(to.parse().unwrap(), port);
    let near = TcpStream::connect(host, to).unwrap();
    (near, listener.accept().unwrap().0)
}

fn passes(mut from: &TcpStream, to: &TcpStream, length: usize) {
    let text: Vec<u8> = (0..length).map(pattern).collect();
    from.write_all(&text).unwrap();
    assert!(read(to, length) == text);
}

#[test]
fn each_link_serves_and_one_goes_on_without_the_other() {
    within(30, || {
        let ((first, far), (second, farther)) =
            (tapdev::pair(1500, 20_000), tapdev::pair(1500, 20_000));
        let host = Host::builder(config(1, "192.0.2.1/24"))
            .seed(Seed::from_number(1))
            .grace(Duration::from_millis(100))
            .interface(config(11, "198.51.100.1/24"), second)
            .start(first)
            .unwrap();
        let here = peer(2, "192.0.2.2/24", far);
        let there = peer(12, "198.51.100.2/24", farther);
        let listener = TcpListener::bind(&host, "0.0.0.0:0").unwrap();
        let (a, a_host) = meet(&here, &listener, "192.0.2.1");
        let (b, b_host) = meet(&there, &listener, "198.51.100.1");
        assert_eq!(b_host.local_addr().unwrap().ip().to_string(), "198.51.100.1");
        // Not more at once than a send buffer takes: one thread has both ends.
        for (near, far) in [(&a, &a_host), (&a_host, &a), (&b, &b_host), (&b_host, &b)] {
            (0..20).for_each(|_| passes(near, far, 50_000));
        }
        let to_far = TcpListener::bind(&there, "198.51.100.2:0").unwrap();
        let (near, _far) = meet(&host, &to_far, "198.51.100.2");
        assert_eq!(near.local_addr().unwrap().ip().to_string(), "198.51.100.1");
        // The other end of the second cable goes away.
        drop((b, near, _far, to_far));
        there.shutdown();
        drop(there);
        let is_down = || host.with_stack(|stack, _| stack.interfaces().any(|it| !it.up));
        while !is_down() {
            let _ = (&b_host).write(b"x");
            pause(5);
        }
        (0..20).for_each(|_| passes(&a, &a_host, 50_000));
        host.shutdown();
    });
}

#[test]
fn vlans_come_while_a_host_runs() {
    within(30, || {
        let (near, far) = tapdev::pair(1500, 20_000);
        let (left, right) = (peer(1, "192.0.2.1/24", near), peer(2, "192.0.2.2/24", far));
        for (host, cidr) in [(&left, "198.18.7.1/24"), (&right, "198.18.7.2/24")] {
            host.with_stack(|stack, now| {
                let vlan = InterfaceConfig::vlan(InterfaceId::FIRST, 7);
                let id = stack.add_interface(now, vlan).unwrap();
                stack
                    .add_address(now, NewAddress::configured(cidr.parse().unwrap()).on(id))
                    .unwrap();
            });
        }
        let listener = TcpListener::bind(&right, "198.18.7.2:0").unwrap();
        let (a, b) = meet(&left, &listener, "198.18.7.2");
        assert_eq!(a.local_addr().unwrap().ip().to_string(), "198.18.7.1");
        (0..20).for_each(|_| passes(&a, &b, 50_000));
        (0..20).for_each(|_| passes(&b, &a, 50_000));
    });
}

#[test]
fn sockets_are_bound_to_interfaces_by_name() {
    within(10, || {
        let ((first, far), (second, farther)) = (tapdev::pair(1500, 100), tapdev::pair(1500, 100));
        let mut further = config(11, "198.51.100.1/24");
        further.name = Some("lan".parse().unwrap());
        let builder = Host::builder(config(1, "192.0.2.1/24")).seed(Seed::from_number(1));
        let host = builder.interface(further, second).start(first).unwrap();
        let (here, there) = (peer(2, "192.0.2.2/24", far), peer(12, "198.51.100.2/24", farther));
        let (bsd, here, there) = (Bsd::new(&host), Bsd::new(&here), Bsd::new(&there));
        assert_eq!((bsd.interface_index("eth0"), bsd.interface_index("lan")), (Ok(1), Ok(2)));
        assert_eq!(
            (bsd.interface_name(2), bsd.interface_name(3)),
            (Ok("lan".into()), Err(Errno::ENODEV))
        );

        let open = |bsd: &Bsd, name: &[u8]| {
            let socket = bsd.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
            bsd.setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, name).unwrap();
            bsd.bind(socket, "0.0.0.0:67".parse().unwrap()).unwrap();
            bsd.set_nonblocking(socket, true).unwrap();
            socket
        };
        let [on_lan, anywhere] = [b"lan\0".as_slice(), b""].map(|name| open(&bsd, name));
        let mut name = [9; 16];
        assert_eq!(bsd.getsockopt(on_lan, SOL_SOCKET, SO_BINDTODEVICE, &mut name), Ok(4));
        assert_eq!(
            (&name[..5], bsd.get_int(on_lan, SOL_SOCKET, SO_BINDTOIFINDEX)),
            (&b"lan\0\x09"[..], Ok(2))
        );
        assert_eq!(bsd.getsockopt(anywhere, SOL_SOCKET, SO_BINDTODEVICE, &mut name), Ok(0));
        let late = bsd.setsockopt(anywhere, SOL_SOCKET, SO_BINDTODEVICE, b"lan");
        assert_eq!(late, Err(Errno::EINVAL), "it has an address");
        for (peer, to, hears) in
            [(&here, "192.0.2.1:67", anywhere), (&there, "198.51.100.1:67", on_lan)]
        {
            let socket = peer.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
            peer.sendto(socket, b"x", 0, Some(to.parse().unwrap())).unwrap();
            while bsd.recv(hears, &mut [0; 9], 0) == Err(Errno::EAGAIN) {
                pause(1);
            }
        }
        let to = Some("192.0.2.2:9".parse().unwrap());
        assert_eq!(bsd.sendto(on_lan, b"x", 0, to), Err(Errno::ENETUNREACH));

        let stream = bsd.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        let wrong = bsd.setsockopt(stream, SOL_SOCKET, SO_BINDTODEVICE, b"wan");
        assert_eq!(wrong, Err(Errno::ENODEV));
        bsd.set_int(stream, SOL_SOCKET, SO_BINDTOIFINDEX, 2).unwrap();
        assert_eq!(bsd.connect(stream, "192.0.2.2:9".parse().unwrap()), Err(Errno::ENETUNREACH));
        assert_eq!(
            bsd.connect(stream, "198.51.100.2:9".parse().unwrap()),
            Err(Errno::ECONNREFUSED)
        );
    });
}

#[test]
fn datagrams_leave_by_the_interface_that_is_named() {
    within(10, || {
        let ((first, far), (second, farther)) = (tapdev::pair(1500, 100), tapdev::pair(1500, 100));
        let builder = Host::builder(config(1, "192.0.2.1/24")).seed(Seed::from_number(1));
        let host = builder.interface(config(11, "198.51.100.1/24"), second).start(first).unwrap();
        let peers = [peer(2, "192.0.2.2/24", far), peer(12, "198.51.100.2/24", farther)];
        let peers = peers.each_ref().map(Bsd::new);
        let group = "239.1.2.3:9".parse().unwrap();
        let ears = peers.each_ref().map(|peer| {
            let ear = peer.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
            peer.bind(ear, group).unwrap();
            let wish = [239, 1, 2, 3, 0, 0, 0, 0];
            peer.setsockopt(ear, IPPROTO_IP, IP_ADD_MEMBERSHIP, &wish).unwrap();
            peer.set_nonblocking(ear, true).unwrap();
            ear
        });
        let bsd = Bsd::new(&host);
        let socket = bsd.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let hears = |link: usize, text: &[u8]| {
            let mut got = [0; 9];
            loop {
                match peers[link].recv(ears[link], &mut got, 0) {
                    Err(Errno::EAGAIN) => pause(1),
                    length => return assert_eq!(&got[..length.unwrap()], text),
                }
            }
        };
        let say = |text: &[u8]| bsd.sendto(socket, text, 0, Some(group)).unwrap();
        say(b"default");
        hears(0, b"default");
        let by_address = [198, 51, 100, 1];
        bsd.setsockopt(socket, IPPROTO_IP, IP_MULTICAST_IF, &by_address).unwrap();
        say(b"address");
        hears(1, b"address");
        let told = || {
            let mut address = [1; 4];
            (bsd.getsockopt(socket, IPPROTO_IP, IP_MULTICAST_IF, &mut address), address)
        };
        assert_eq!(told(), (Ok(4), by_address));
        bsd.setsockopt(socket, IPPROTO_IP, IP_MULTICAST_IF, &[0; 4]).unwrap();
        say(b"any");
        hears(0, b"any");
        let by_number = |number: u32| {
            let wish = [[0; 8].as_slice(), &number.to_ne_bytes()].concat();
            bsd.setsockopt(socket, IPPROTO_IP, IP_MULTICAST_IF, &wish)
        };
        assert_eq!([by_number(2), by_number(3)], [Ok(()), Err(Errno::EADDRNOTAVAIL)]);
        say(b"number");
        hears(1, b"number");
        assert_eq!(told(), (Ok(4), [0; 4]));
        by_number(1).unwrap();
        let info = PacketInfo { interface: 2, address: "0.0.0.0".parse().unwrap(), own: None };
        let control = Control { packet_info: Some(info), ..Control::default() };
        bsd.sendmsg(socket, b"message", 0, Some(group), &control).unwrap();
        hears(1, b"message");
        let network_order = 2_i32.to_be();
        bsd.set_int(socket, IPPROTO_IP, IP_UNICAST_IF, network_order).unwrap();
        assert_eq!(bsd.get_int(socket, IPPROTO_IP, IP_UNICAST_IF), Ok(network_order));
        let to = Some("192.0.2.2:9".parse().unwrap());
        assert_eq!(bsd.sendto(socket, b"x", 0, to), Err(Errno::ENETUNREACH), "not by that one");
        let join = |index: u32| {
            let wish = [&[239, 1, 2, 4, 0, 0, 0, 0][..], &index.to_ne_bytes()].concat();
            bsd.setsockopt(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, &wish)
        };
        assert_eq!(
            [join(1), join(2), join(2), join(3)],
            [Ok(()), Ok(()), Err(Errno::EADDRINUSE), Err(Errno::ENODEV)]
        );
    });
}
