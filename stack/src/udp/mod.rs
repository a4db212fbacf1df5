//! Datagrams for applications: UDP (RFC 768) and ICMP echo sockets.
//!
//! | file        | what                                                                     |
//! |-------------|--------------------------------------------------------------------------|
//! | `datagrams` | a bounded queue of datagrams in one byte ring: no allocation for each    |
//! | `error`     | what can go wrong, and what to do about it                               |
//! | `socket`    | one UDP socket                                                           |
//! | `table`     | all UDP sockets: names, ports, demultiplexing, whose turn it is to send  |
//! | `echo`      | ICMP echo sockets: the same, with an ident for a port                    |

pub(crate) mod datagrams;
pub(crate) mod echo;
pub(crate) mod error;
pub(crate) mod socket;
pub(crate) mod table;

/// The longest payload of a UDP or echo datagram over IPv4, bytes: 65,535 without both headers.
pub(crate) const MAX_PAYLOAD: usize = 65_507;
