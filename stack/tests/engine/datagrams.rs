//! How datagrams come and go, over both IP versions.

use std::net::{IpAddr, SocketAddr};

use stack::{SendDatagram, UdpSendError};

use crate::net::{Net, host, host_with, v4, v6};

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
        let how = SendDatagram { to: Some(asked), ttl: Some(7), tos: Some(0x2c), from: None };
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
