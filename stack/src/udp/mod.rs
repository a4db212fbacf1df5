//! Datagrams for applications: UDP (RFC 768) and ICMP echo sockets.
//!
//! | file        | what                                                                     |
//! |-------------|--------------------------------------------------------------------------|
//! | `datagrams` | a bounded queue of datagrams in one byte ring: no allocation for each    |
//! | `error`     | what can go wrong, and what to do about it                               |
//! | `socket`    | one UDP socket                                                           |
//! | `names`     | which socket has which address and port, and whom a datagram is for      |
//! | `table`     | all UDP sockets: their queues, and whose turn it is to send              |
//! | `told`      | what the network says of datagrams that were sent                        |
//! | `echo`      | ICMP echo sockets: the same, with an ident for a port                    |

pub(crate) mod datagrams;
pub(crate) mod echo;
pub(crate) mod error;
mod names;
pub(crate) mod socket;
pub(crate) mod table;
mod told;

use crate::wire::address::Address;

/// The longest payload of a UDP or echo datagram to `remote`, bytes: of IPv4's 65,535 both headers
/// take their part, of IPv6's the second.
pub(crate) fn max_payload(remote: Address) -> usize {
    if remote.is_v4() { 65_507 } else { 65_527 }
}
