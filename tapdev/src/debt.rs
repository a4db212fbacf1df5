//! What a frame may leave undone, and who does it.
//!
//! A host and its device can put off work that is cheaper for many packets at once, or not needed
//! at all: a checksum over bytes that never leave this machine's memory, and the cutting of text
//! into segments. Such a frame carries a [`Debt`]. Nobody is given one who has not said, in
//! [`Device::negotiate`](crate::Device::negotiate), that he takes it.

/// What a device, or whoever uses it, takes beside plain frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Offloads {
    /// Frames whose transport checksum is not finished.
    pub checksum: bool,
    /// Super-frames of TCP segments, whose checksums are finished by whoever cuts them.
    pub tcp: bool,
    /// Super-frames of UDP datagrams, likewise.
    pub udp: bool,
}

impl Offloads {
    /// Plain frames only.
    pub const NONE: Offloads = Offloads { checksum: false, tcp: false, udp: false };

    /// Everything there is.
    pub const ALL: Offloads = Offloads { checksum: true, tcp: true, udp: true };

    /// What is taken where nobody but this program cuts.
    pub(crate) fn in_software(self) -> Offloads {
        Offloads { checksum: false, ..self }
    }

    /// What both take.
    #[must_use]
    pub fn and(self, other: Offloads) -> Offloads {
        Offloads {
            checksum: self.checksum && other.checksum,
            tcp: self.tcp && other.tcp,
            udp: self.udp && other.udp,
        }
    }

    /// Super-frames of some kind.
    pub fn super_frames(self) -> bool {
        self.tcp || self.udp
    }

    /// Whether a frame with `debt` may be given to who takes this. Of which kind a super-frame is,
    /// `is_udp` says.
    pub(crate) fn take(self, debt: Debt, is_udp: bool) -> bool {
        let checksum = self.checksum || !matches!(debt.checksum, Checksum::Partial { .. });
        let segments = if is_udp { self.udp } else { self.tcp };
        checksum && (segments || debt.segment.is_none())
    }
}

/// What a frame leaves to whoever receives it. A plain frame owes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Debt {
    /// How it stands with the transport checksum.
    pub checksum: Checksum,
    /// Of a super-frame: the payload of each packet that it stands for, bytes. Only the last may
    /// have less.
    pub segment: Option<u16>,
}

impl Debt {
    /// That of a plain frame.
    pub const NONE: Debt = Debt { checksum: Checksum::Complete, segment: None };

    /// Something is left to do before the frame can go on a wire.
    pub fn is_owed(self) -> bool {
        self.segment.is_some() || matches!(self.checksum, Checksum::Partial { .. })
    }
}

/// Where a frame lies in a buffer, and what it owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its first byte. What a device reads may begin with something of its own, and what it writes
    /// too.
    pub start: usize,
    /// Its length in bytes.
    pub length: usize,
    /// What it leaves to be done.
    pub debt: Debt,
}

impl Placed {
    /// Nothing, at the beginning.
    pub const NOTHING: Placed = Placed { start: 0, length: 0, debt: Debt::NONE };

    /// Where it lies.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.start + self.length
    }
}

/// How it stands with a frame's transport checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Checksum {
    /// It is there; nobody has looked whether it is right.
    #[default]
    Complete,
    /// It was looked at, and is right.
    Verified,
    /// It is to be finished: the sum from `start` to the end of the frame goes to `start + offset`,
    /// where the pseudo header's sum already is. The bytes themselves are as they were written.
    Partial {
        /// First byte to sum, from the start of the frame.
        start: u16,
        /// Position of the checksum, from `start`.
        offset: u16,
    },
}
