//! The network layer's organs. They take values and return reports.
//!
//! | kind | files |
//! |---|---|
//! | addresses | `addresses` `cidr` `link_local` `stable` `selection` |
//! | ways | `route` `pmtu` `routers` `advertisement` |
//! | packets | `fragment` `icmp` `icmpv6` `limiter` |
//! | whose a packet is | `reach` `sharing` `part` `multicast` |
//! | names | `dns` `eyeballs` |
//! | what servers lend and tell | `dhcp` `dhcpv6` |

pub(crate) mod addresses;
pub(crate) mod advertisement;
pub(crate) mod cidr;
pub(crate) mod dhcp;
pub(crate) mod dhcpv6;
pub(crate) mod dns;
pub(crate) mod eyeballs;
pub(crate) mod fragment;
pub(crate) mod icmp;
pub(crate) mod icmpv6;
pub(crate) mod limiter;
pub(crate) mod link_local;
pub(crate) mod multicast;
pub(crate) mod part;
pub(crate) mod pmtu;
pub(crate) mod reach;
pub(crate) mod route;
pub(crate) mod routers;
pub(crate) mod selection;
pub(crate) mod sharing;
pub(crate) mod stable;
