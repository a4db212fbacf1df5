//! A DHCP client's organs (RFC 2131, 2132): messages, and the life of a lease. They are handed
//! bytes, time and chance; the shell has the socket and the addresses.

pub(crate) mod client;
pub(crate) mod inform;
pub(crate) mod message;

#[cfg(test)]
mod client_tests;

use core::net::Ipv4Addr;
use core::time::Duration;

use super::cidr::Cidr;
use super::dns::name::DomainName;
use super::route::Route;

/// What is kept of a server's lists: more is not looked at.
pub(crate) const ROUTES_MAX: usize = 32;
pub(crate) const SERVERS_MAX: usize = 8;
pub(crate) const DOMAINS_MAX: usize = 8;

/// No lease is renewed, nor another asked for after it, sooner than this: a server can say that it
/// is to be at once (THREATS D-6). So long the first repetition waits (RFC 2131 §4.1).
const RENEW_MIN: Duration = Duration::from_secs(4);

/// What a DHCP server has lent, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address, with the prefix of its network.
    pub address: Cidr,
    /// Who lent it.
    pub server: Ipv4Addr,
    /// The ways out of that network (options 3 and 121).
    pub routes: Vec<Route>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Domains to look for short names in (options 119 and 15).
    pub search: Vec<DomainName>,
    /// The link's MTU, if the server knows it.
    pub mtu: Option<u16>,
    /// From the request on, until it is to be renewed (T1), asked of any server (T2), and given
    /// up. [`Duration::MAX`] is for ever.
    pub renew: Duration,
    /// See `renew`.
    pub rebind: Duration,
    /// See `renew`.
    pub time: Duration,
}

/// What a DHCP server knows of the network, for a host that has an address already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpInformation {
    /// Who said so.
    pub server: Ipv4Addr,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Domains to look for short names in (options 119 and 15).
    pub search: Vec<DomainName>,
}
