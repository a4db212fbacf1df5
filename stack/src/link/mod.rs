//! The link layer's organs: ARP and the neighbour table.

pub(crate) mod arp;
pub(crate) mod neighbor;
