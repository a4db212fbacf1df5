//! The IP version over which a script runs. A script is of neither: what it says holds over both.

use std::net::{IpAddr, Ipv4Addr};

use stack::Mac;
use stack::testing::packet::{Segment, ethernet};
use stack::testing::translate::{LONGER, address_v6, to_v4, to_v6};

/// The stack's address, over IPv4.
pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The scripted peer's.
pub(crate) const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Bytes of Ethernet's header, which no packet of a script has.
const ETHERNET: usize = 14;
const NOBODY: Mac = Mac([0; 6]);

/// packetdrill's `--ip_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

impl Version {
    fn address(self, v4: Ipv4Addr) -> IpAddr {
        match self {
            Version::V4 => v4.into(),
            Version::V6 => address_v6(v4).into(),
        }
    }

    pub(crate) fn local(self) -> IpAddr {
        self.address(LOCAL)
    }

    pub(crate) fn remote(self) -> IpAddr {
        self.address(REMOTE)
    }

    /// What a script's sockets are of where it leaves that open.
    pub(crate) fn domain(self) -> i32 {
        match self {
            Version::V4 => libc::AF_INET,
            Version::V6 => libc::AF_INET6,
        }
    }

    /// The packets may be longer by what the header is, as Linux's own scripts have it: so a
    /// segment has as much text over IPv6, and a script the same numbers.
    fn mtu(self) -> usize {
        match self {
            Version::V4 => 1500,
            Version::V6 => 1500 + LONGER,
        }
    }

    /// The door's flags.
    pub(crate) fn flags(self) -> String {
        let (local, remote, mtu) = (self.local(), self.remote(), self.mtu());
        format!("local={local} remote={remote} mtu={mtu} {}", crate::FLAGS)
    }

    /// packetdrill's.
    pub(crate) fn arguments(self) -> [String; 4] {
        let name = if self == Version::V4 { "ipv4" } else { "ipv6" };
        [
            format!("--ip_version={name}"),
            format!("--local_ip={}", self.local()),
            format!("--remote_ip={}", self.remote()),
            format!("--mtu={}", self.mtu()),
        ]
    }

    /// The packet that carries a segment.
    pub(crate) fn packet(self, segment: &Segment) -> Vec<u8> {
        let frame = segment.to_frame(NOBODY, NOBODY);
        let frame = if self == Version::V6 { to_v6(&frame) } else { frame };
        frame[ETHERNET..].to_vec()
    }

    /// The segment in a packet, if it carries one.
    pub(crate) fn segment(self, packet: &[u8]) -> Result<Option<Segment>, &'static str> {
        match (self, packet.first().map_or(0, |first| first >> 4)) {
            (Version::V4, 4) => Segment::from_frame(&ethernet(NOBODY, NOBODY, 0x0800, packet)),
            (Version::V6, 6) => {
                Segment::from_frame(&to_v4(&ethernet(NOBODY, NOBODY, 0x86dd, packet)))
            }
            _ => Err("a packet of the wrong IP version"),
        }
    }
}
