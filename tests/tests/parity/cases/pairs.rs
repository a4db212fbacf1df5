//! Two ends of something, and what is read from them.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use super::{Net, TcpListener, TcpStream, UdpSocket};

/// A listener at the server, and its address.
pub(crate) fn listener(net: &Net, ip: IpAddr) -> (TcpListener, SocketAddr) {
    let listener = net.listen((ip, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A connection: the end at the listener, then the one that connected.
pub(crate) fn connection(net: &Net, ip: IpAddr) -> (TcpStream, TcpStream) {
    let (listener, address) = listener(net, ip);
    let near = net.connect(address).unwrap();
    (listener.accept().unwrap().0, near)
}

/// The same over the first of the IP versions.
pub(crate) fn streams(net: &Net) -> (TcpStream, TcpStream) {
    connection(net, net.ips()[0])
}

/// A datagram socket at the server and one at the client.
pub(crate) fn datagrams(net: &Net, ip: IpAddr) -> (UdpSocket, UdpSocket) {
    (net.udp((ip, 0)).unwrap(), net.client_udp((net.client_ip(ip), 0)).unwrap())
}

/// An address of the server's where nobody listens: somebody did just now.
pub(crate) fn nobody(net: &Net, ip: IpAddr) -> SocketAddr {
    listener(net, ip).1
}

/// Reads exactly `length` bytes.
#[track_caller]
pub(crate) fn read(mut stream: &TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}
