//! Linux's loopback.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
pub(crate) use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::Side;

pub(crate) const SIDE: Side = Side::Linux;

/// The number of the loopback interface.
const LOOPBACK: u32 = 1;

pub(crate) struct Net;

impl Net {
    /// The server's addresses: those of IPv6 only where the machine has it.
    pub(crate) fn ips(&self) -> Vec<IpAddr> {
        let all = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        all.into_iter().filter(|&ip| UdpSocket::bind((ip, 0)).is_ok()).collect()
    }

    /// The client's, of the same version.
    pub(crate) fn client_ip(&self, server: IpAddr) -> IpAddr {
        server
    }

    /// A broadcast address of the server's.
    pub(crate) fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, 255, 255, 255)
    }

    pub(crate) fn listen(&self, address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind(address)
    }

    pub(crate) fn connect(&self, address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        TcpStream::connect(address)
    }

    pub(crate) fn connect_timeout(
        &self,
        address: &SocketAddr,
        timeout: Duration,
    ) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(address, timeout)
    }

    /// A socket at the server.
    pub(crate) fn udp(&self, address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        UdpSocket::bind(address)
    }

    /// A socket at the client.
    pub(crate) fn client_udp(&self, address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        UdpSocket::bind(address)
    }

    pub(crate) fn join(&self, socket: &UdpSocket, group: IpAddr) -> io::Result<()> {
        match group {
            IpAddr::V4(group) => socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST),
            IpAddr::V6(group) => socket.join_multicast_v6(&group, LOOPBACK),
        }
    }

    pub(crate) fn leave(&self, socket: &UdpSocket, group: IpAddr) -> io::Result<()> {
        match group {
            IpAddr::V4(group) => socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST),
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, LOOPBACK),
        }
    }
}
