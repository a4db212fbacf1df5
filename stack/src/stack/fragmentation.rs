//! Packets that leave in pieces (RFC 791 §3.2, RFC 8200 §4.5).

use super::output::Body;
use super::{Exit, Stack};
use crate::net::fragment::{Piece, fragments};
use crate::wire::address::Address;
use crate::wire::emit::IpFields;
use std::collections::VecDeque;

/// A datagram on its way out. It has its bytes to itself: between two of its pieces the links may
/// have something to say, which goes through the stack's own buffer.
#[cfg_attr(any(test, feature = "testing"), derive(Clone))]
pub(super) struct Fragmenting {
    ip: IpFields,
    exit: Exit,
    /// With the header that it would have in one piece.
    packet: Vec<u8>,
    /// Those still to go.
    pieces: VecDeque<Piece>,
}

impl Fragmenting {
    pub(super) fn is_from(&self, source: Address) -> bool {
        self.ip.source == source
    }

    /// For the ledger.
    pub(super) fn bytes(&self) -> usize {
        self.packet.len()
    }
}

impl Stack {
    /// Cuts a datagram that does not fit; the transport header goes into the first piece.
    pub(super) fn begin_fragments(
        &mut self,
        packet: Vec<u8>,
        (ip, exit): (IpFields, Exit),
        mtu: usize,
    ) -> Option<Body> {
        let pieces = pieces(&ip, packet.len().saturating_sub(ip.header_len()), mtu).collect();
        self.fragmenting = Some(Fragmenting { ip, exit, packet, pieces });
        self.next_fragment()
    }

    /// The next piece of a datagram that did not fit into one packet.
    pub(super) fn next_fragment(&mut self) -> Option<Body> {
        let Fragmenting { ip, exit, packet, pieces } = self.fragmenting.as_mut()?;
        let piece = pieces.pop_front()?;
        let start = ip.header_len() + piece.offset;
        self.body.clear();
        self.body.extend_from_slice(packet.get(start..start + piece.len).unwrap_or(&[]));
        let (fields, exit) = (header_of(piece, ip), *exit);
        if !piece.more {
            self.fragmenting = None;
        }
        self.counters.ip_frag_creates += 1;
        self.start_frame(exit, fields.ethertype());
        self.head.ip(&fields);
        Some(self.whole_body())
    }
}

/// The fragments of a datagram with `len` bytes behind its IP header.
pub(super) fn pieces(ip: &IpFields, len: usize, mtu: usize) -> impl Iterator<Item = Piece> + use<> {
    fragments(len, mtu, ip.fragment_header_len())
}

/// The header of this piece of the datagram.
pub(super) fn header_of(piece: Piece, ip: &IpFields) -> IpFields {
    IpFields {
        fragment_offset: piece.offset,
        more_fragments: piece.more,
        payload_len: piece.len,
        ..*ip
    }
}
