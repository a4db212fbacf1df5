//! Tapstack's nets, with the constructors of `std::net` and the calls that std has by other names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use stack::host::{Host, ToSocketAddrs};
pub(crate) use stack::host::{TcpListener, TcpStream, UdpSocket};
use stack::{Config, Mac, Seed};

use crate::Side;

pub(crate) const SIDE: Side = Side::Tapstack;

/// A server and a client, which may be the same host.
pub(crate) struct Net {
    server: Host,
    client: Host,
    ips: [IpAddr; 2],
    client_ips: [IpAddr; 2],
}

fn host(last: u8, device: tapdev::PairEnd) -> Host {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![
        format!("192.0.2.{last}/24").parse().unwrap(),
        format!("2001:db8::{last}/64").parse().unwrap(),
    ];
    let grace = Duration::from_secs(2);
    Host::builder(config).seed(Seed::from_number(last.into())).grace(grace).start(device).unwrap()
}

impl Net {
    /// A host that speaks to itself.
    pub(crate) fn alone() -> Net {
        let (device, _) = tapdev::pair(1500, 100);
        let server = host(1, device);
        let ips = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        Net { client: server.clone(), server, ips, client_ips: ips }
    }

    /// Two hosts.
    pub(crate) fn cable() -> Net {
        let (left, right) = tapdev::pair(1500, 20_000);
        let ips =
            |last| [IpAddr::from([192, 0, 2, last]), format!("2001:db8::{last}").parse().unwrap()];
        Net { server: host(1, left), client: host(2, right), ips: ips(1), client_ips: ips(2) }
    }

    /// The server's addresses.
    pub(crate) fn ips(&self) -> [IpAddr; 2] {
        self.ips
    }

    /// The client's, of the same version.
    pub(crate) fn client_ip(&self, server: IpAddr) -> IpAddr {
        self.client_ips[usize::from(server.is_ipv6())]
    }

    /// A broadcast address of the server's.
    pub(crate) fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, 255)
    }

    pub(crate) fn listen(&self, address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind(&self.server, address)
    }

    pub(crate) fn connect(&self, address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        TcpStream::connect(&self.client, address)
    }

    pub(crate) fn connect_timeout(
        &self,
        address: &SocketAddr,
        timeout: Duration,
    ) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&self.client, address, timeout)
    }

    /// A socket at the server.
    pub(crate) fn udp(&self, address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        UdpSocket::bind(&self.server, address)
    }

    /// A socket at the client.
    pub(crate) fn client_udp(&self, address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        UdpSocket::bind(&self.client, address)
    }

    pub(crate) fn join(&self, socket: &UdpSocket, group: IpAddr) -> io::Result<()> {
        socket.join_group(group)
    }

    pub(crate) fn leave(&self, socket: &UdpSocket, group: IpAddr) -> io::Result<()> {
        socket.leave_group(group)
    }
}
