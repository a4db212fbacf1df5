//! Stateless DHCPv6 (RFC 8415 §6.1): what a host that has its addresses from routers still wants
//! to know. An organ: it is handed bytes, time and chance; the shell has the socket.

pub(crate) mod client;
pub(crate) mod message;

#[cfg(test)]
mod client_tests;

use super::dns::name::DomainName;
use core::net::Ipv6Addr;

/// What is kept of a server's lists: more is not looked at.
pub(crate) const SERVERS_MAX: usize = 8;
pub(crate) const DOMAINS_MAX: usize = 8;

/// What a DHCPv6 server knows of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkInformation {
    /// Name servers (RFC 3646 §3).
    pub dns: Vec<Ipv6Addr>,
    /// Domains to look for short names in (RFC 3646 §4).
    pub search: Vec<DomainName>,
}
