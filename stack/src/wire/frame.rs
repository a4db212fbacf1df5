//! What crosses the engine's edge: frames in, frames out, and the work a device may take over.

use super::checksum;
use super::interface::InterfaceId;

/// A frame as the device delivered it.
#[derive(Clone, Copy, Debug)]
pub struct RxFrame<'a> {
    /// The whole Ethernet frame, without its frame check sequence.
    pub bytes: &'a [u8],
    /// What the device says about the transport checksum.
    pub checksum: RxChecksum,
    /// Set when the frame stands for several segments.
    pub gso: Option<Gso>,
}

impl<'a> RxFrame<'a> {
    /// An ordinary frame: one packet, checksum still to be verified.
    pub const fn plain(bytes: &'a [u8]) -> RxFrame<'a> {
        RxFrame { bytes, checksum: RxChecksum::Unverified, gso: None }
    }
}

/// What a device knows of a received transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing: the stack verifies it.
    Unverified,
    /// The device verified it, or the frame never left this machine's memory: then the field may
    /// be unfinished, and is not looked at.
    Verified,
}

/// A super-frame: one head for the text of many packets, `segment` bytes of it a piece, all pieces
/// but the last full. On receive a UDP super-frame stands for so many datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// Payload bytes in each segment.
    pub segment: u16,
}

/// Where a device finishes a checksum: it sums from `start` to the end of the frame and stores
/// the result at `start + offset`. The field already holds the pseudo header's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumAt {
    /// First byte to sum, from the start of the frame.
    pub start: u16,
    /// Position of the checksum field, from `start`.
    pub offset: u16,
}

/// A frame to be sent: three slices to gather, so that text goes from the send ring to the device
/// without a copy inside the stack.
#[derive(Clone, Copy, Debug)]
pub struct TxFrame<'a> {
    /// Link, network and transport headers.
    pub head: &'a [u8],
    /// The payload, in two pieces where a ring wraps.
    pub body: [&'a [u8]; 2],
    /// A checksum left to the device; only when the configuration allows it.
    pub checksum: Option<ChecksumAt>,
    /// Set when the frame stands for several segments; only when the configuration allows it.
    pub gso: Option<Gso>,
    /// Whose device sends it.
    pub interface: InterfaceId,
}

impl TxFrame<'_> {
    /// Length of the frame in bytes.
    pub fn len(&self) -> usize {
        self.head.len() + self.body[0].len() + self.body[1].len()
    }

    /// True for a frame of no bytes, which the stack never makes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame in one piece, its checksum finished: for tests, captures and queues. Devices
    /// gather instead.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = [self.head, self.body[0], self.body[1]].concat();
        if let Some(ChecksumAt { start, offset }) = self.checksum {
            let (start, at) = (usize::from(start), usize::from(start + offset));
            let sum = checksum::checksum(&whole[start..]);
            whole[at..at + 2].copy_from_slice(&sum);
        }
        whole
    }
}
