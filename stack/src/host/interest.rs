//! What a program wants to know of a socket in a poller, and what it is told.

use std::ops::BitOr;

use super::watch::fatal;
use crate::Readiness;

/// A number of the program's choice that comes back with the events of one registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub usize);

/// What a registration waits for. Errors and the end of a connection are reported in any case.
///
/// By default interest is *level*-triggered: every wait reports what is ready now. With
/// [`edge`](Interest::edge) an event is reported once, and again only after something new has
/// happened, so the program must go on until `WouldBlock`.
///
/// ```
/// use stack::host::Interest;
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable() && !both.is_edge());
/// assert!(both.edge().is_edge());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// There is something to read or to accept, or the other end will send no more.
    pub const READABLE: Interest = Interest(1);
    /// There is room to write, or writing will never be possible again.
    pub const WRITABLE: Interest = Interest(2);
    const EDGE: u8 = 4;
    /// Errors and the end only.
    pub(crate) const NOTHING: Interest = Interest(0);

    /// The same interest, reported once for every change.
    pub const fn edge(self) -> Interest {
        Interest(self.0 | Self::EDGE)
    }

    /// It includes reading.
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// It includes writing.
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// It is edge-triggered.
    pub const fn is_edge(self) -> bool {
        self.0 & Self::EDGE != 0
    }

    /// The readiness that fulfils it.
    pub(crate) fn mask(self) -> Readiness {
        let mut mask = fatal();
        if self.is_readable() {
            mask = mask | Readiness::READABLE | Readiness::READ_CLOSED;
        }
        if self.is_writable() {
            mask = mask | Readiness::WRITABLE | Readiness::WRITE_CLOSED;
        }
        mask
    }
}

impl BitOr for Interest {
    type Output = Interest;
    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

/// A socket is ready for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollEvent {
    /// The token of its registration.
    pub token: Token,
    /// What it is ready for, as far as the registration wants to know.
    pub readiness: Readiness,
}

impl PollEvent {
    fn has(&self, bits: Readiness) -> bool {
        self.readiness.intersects(bits)
    }

    /// A read (or accept) will not block: there is something, or an error, or the end.
    pub fn is_readable(&self) -> bool {
        self.has(Readiness::READABLE | Readiness::READ_CLOSED | fatal())
    }

    /// A write will not block: there is room, or an error.
    pub fn is_writable(&self) -> bool {
        self.has(Readiness::WRITABLE | Readiness::WRITE_CLOSED | fatal())
    }

    /// The other end will send no more; the last of what it sent may still be unread.
    pub fn is_read_closed(&self) -> bool {
        self.has(Readiness::READ_CLOSED)
    }

    /// An error is there to be taken.
    pub fn is_error(&self) -> bool {
        self.has(Readiness::ERROR)
    }

    /// Nothing will ever happen on this socket again.
    pub fn is_closed(&self) -> bool {
        self.has(Readiness::CLOSED)
    }
}
