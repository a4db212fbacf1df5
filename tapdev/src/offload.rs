//! Opening a TAP in offload mode: every frame goes with a `struct virtio_net_hdr`, which says what
//! is left to do with it.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::cut::Layout;
use crate::debt::{Checksum, Debt, Offloads};
use crate::open_error::TUN_NODE;
use crate::sys::{self, InterfaceRequest};

/// The flags of a TAP in offload mode.
pub(crate) const FLAGS: i32 = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;

/// What a descriptor is to its TAP. The kernel asks for the same of all of them, and of the one
/// that made the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    Only,
    /// `IFF_MULTI_QUEUE`: the kernel spreads flows over those who attach.
    OneOfSeveral,
}

/// The bytes of a header.
pub(crate) const HEADER: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;
/// A bit beside the kind: the segments carry the window's reduction (RFC 3168), on the first.
const GSO_ECN: u8 = 0x80;

/// Attaches to the TAP `name`, making it if it does not exist, whether or not it was made for
/// headers. Returns the descriptor and the interface's real name.
pub(crate) fn open(name: &str, queue: Queue) -> io::Result<(OwnedFd, String)> {
    let fd = OwnedFd::from(OpenOptions::new().read(true).write(true).open(TUN_NODE)?);
    let mut request = InterfaceRequest::new(name)?;
    let flags = match queue {
        Queue::Only => FLAGS,
        Queue::OneOfSeveral => FLAGS | libc::IFF_MULTI_QUEUE,
    };
    request.set_flags(flags as i16);
    request.submit(fd.as_fd(), libc::TUNSETIFF)?;
    Ok((fd, request.name()))
}

/// Sets down what the interface may remember from an earlier user: the length of the header. It
/// hands out plain frames until [`negotiate`] says otherwise.
pub(crate) fn prepare(fd: BorrowedFd<'_>) -> io::Result<()> {
    sys::set_header_length(fd, HEADER)?;
    sys::set_offload(fd, 0)
}

/// Makes the kernel hand out what is `wanted`, as far as it can, and nothing else: what an earlier
/// user had asked for holds no longer. Kernels that know less refuse the whole, so they are asked
/// step by step (datagrams since Linux 6.2).
pub(crate) fn negotiate(fd: BorrowedFd<'_>, wanted: Offloads) -> Offloads {
    let steps = [Offloads::ALL, Offloads { udp: false, ..Offloads::ALL }, Offloads::NONE];
    for step in steps.map(|step| step.and(wanted)) {
        match sys::set_offload(fd, mask(step)) {
            Ok(()) => return step,
            Err(error) => log::debug!("the kernel does not offload {step:?}: {error}"),
        }
    }
    Offloads::NONE
}

fn mask(offloads: Offloads) -> i32 {
    let bits = [
        (offloads.checksum, libc::TUN_F_CSUM),
        (offloads.checksum && offloads.tcp, libc::TUN_F_TSO4 | libc::TUN_F_TSO6),
        // The kernel has the two only together.
        (offloads.checksum && offloads.udp, libc::TUN_F_USO4 | libc::TUN_F_USO6),
    ];
    bits.iter().filter(|(is_on, _)| *is_on).fold(0, |mask, (_, bits)| mask | *bits as i32)
}

/// The header for a frame that leaves `debt` to the kernel; its headers are whole in `head`. None
/// for a super-frame that is none of TCP or UDP.
pub(crate) fn encode(head: &[u8], debt: Debt) -> Option<[u8; HEADER]> {
    let mut header = [0; HEADER];
    if let Checksum::Partial { start, offset } = debt.checksum {
        header[0] = NEEDS_CHECKSUM;
        header[6..8].copy_from_slice(&start.to_ne_bytes());
        header[8..10].copy_from_slice(&offset.to_ne_bytes());
    }
    if let Some(segment) = debt.segment {
        let layout = Layout::of(head)?;
        header[1] = match (layout.is_udp(), layout.is_v6) {
            (true, _) => GSO_UDP,
            (false, false) => GSO_TCP4,
            (false, true) => GSO_TCP6,
        };
        header[2..4].copy_from_slice(&(layout.payload() as u16).to_ne_bytes());
        header[4..6].copy_from_slice(&segment.to_ne_bytes());
    }
    Some(header)
}

/// What a header says of a frame of `length` bytes. None if it contradicts itself or the frame.
/// Its length of the headers is not looked at: the kernel means something else by it.
pub(crate) fn decode(header: [u8; HEADER], length: usize) -> Option<Debt> {
    let field = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let checksum = if header[0] & NEEDS_CHECKSUM != 0 {
        let (start, offset) = (field(6), field(8));
        let end = usize::from(start) + usize::from(offset) + 2;
        (end <= length).then_some(Checksum::Partial { start, offset })?
    } else if header[0] & DATA_VALID != 0 {
        Checksum::Verified
    } else {
        Checksum::Complete
    };
    let segment = match header[1] & !GSO_ECN {
        GSO_NONE => None,
        GSO_TCP4 | GSO_TCP6 | GSO_UDP => Some(field(4)).filter(|&size| size > 0).map(Some)?,
        _ => return None,
    };
    Some(Debt { checksum, segment })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTIAL: Debt =
        Debt { checksum: Checksum::Partial { start: 34, offset: 16 }, segment: None };

    /// `IPv4`'s TCP, IPv6's TCP, and UDP.
    fn heads() -> [Vec<u8>; 3] {
        let v4 = |protocol: u8| {
            let mut head = vec![0; 54];
            (head[12], head[14], head[23], head[46]) = (8, 0x45, protocol, 0x50);
            head
        };
        let mut v6 = vec![0; 74];
        (v6[12], v6[13], v6[20], v6[66]) = (0x86, 0xdd, 6, 0x50);
        [v4(6), v6, v4(17)]
    }

    #[test]
    fn what_is_written_is_read() {
        for (head, kind) in heads().iter().zip([GSO_TCP4, GSO_TCP6, GSO_UDP]) {
            for debt in [Debt::NONE, PARTIAL, Debt { segment: Some(1448), ..PARTIAL }] {
                let header = encode(head, debt).unwrap();
                assert_eq!(decode(header, 1000), Some(debt));
                assert_eq!(header[1], if debt.segment.is_some() { kind } else { GSO_NONE });
            }
        }
        let super_frame = Debt { segment: Some(1448), ..PARTIAL };
        assert_eq!(encode(&[0; 60], super_frame), None, "neither TCP nor UDP");
    }

    #[test]
    fn a_header_that_contradicts_itself_is_not_believed() {
        let ne = |value: u16| value.to_ne_bytes();
        let header = |flags, kind, size: u16, start: u16, offset: u16| {
            let [s, o, g] = [ne(start), ne(offset), ne(size)];
            [flags, kind, 0xff, 0xff, g[0], g[1], s[0], s[1], o[0], o[1]]
        };
        assert_eq!(decode(header(1, 0, 0, 34, 16), 52), Some(PARTIAL));
        assert_eq!(decode(header(1, 0, 0, 34, 16), 51), None, "the field is cut off");
        assert_eq!(decode(header(1, 0, 0, 0xffff, 0xffff), 60), None);
        assert_eq!(decode(header(0, GSO_TCP4, 0, 0, 0), 60), None, "segments of nothing");
        for kind in (0..=255).filter(|kind| ![0, 1, 4, 5].contains(&(kind & !GSO_ECN))) {
            assert_eq!(decode(header(0, kind, 100, 0, 0), 60), None, "kind {kind}");
        }
        let verified = Debt { checksum: Checksum::Verified, segment: Some(100) };
        assert_eq!(decode(header(2, GSO_TCP6 | GSO_ECN, 100, 0, 0), 60), Some(verified));
    }

    #[test]
    fn what_is_not_wanted_is_not_asked_for() {
        assert_eq!(mask(Offloads::NONE), 0);
        assert_eq!(mask(Offloads { checksum: false, ..Offloads::ALL }), 0, "all need it");
        assert_eq!(mask(Offloads { udp: false, ..Offloads::ALL }), 0x07);
        assert_eq!(mask(Offloads::ALL), 0x67);
    }
}
