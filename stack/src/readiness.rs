//! What a socket is ready for: one small set for every kind of socket.

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign};

/// A set of conditions, as `poll` and `epoll` know them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing.
    pub const EMPTY: Readiness = Readiness(0);
    /// A read would not block: data, the end of the stream, an error, or a connection to accept.
    pub const READABLE: Readiness = Readiness(1);
    /// A write would not block: room, or an error.
    pub const WRITABLE: Readiness = Readiness(2);
    /// The peer sends no more, or reading was shut down (`EPOLLRDHUP`).
    pub const READ_CLOSED: Readiness = Readiness(4);
    /// This side sends no more.
    pub const WRITE_CLOSED: Readiness = Readiness(8);
    /// An error is pending (`EPOLLERR`).
    pub const ERROR: Readiness = Readiness(16);
    /// No life is left in the socket: failed, or closed by both sides (`EPOLLHUP`).
    pub const CLOSED: Readiness = Readiness(32);

    /// Every condition of `other` holds.
    pub const fn contains(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }

    /// Some condition of `other` holds.
    pub const fn intersects(self, other: Readiness) -> bool {
        self.0 & other.0 != 0
    }

    /// No condition holds.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds `other` when `condition` holds.
    #[must_use]
    pub(crate) const fn with(self, other: Readiness, condition: bool) -> Readiness {
        if condition { Readiness(self.0 | other.0) } else { self }
    }
}

impl BitOr for Readiness {
    type Output = Readiness;
    fn bitor(self, other: Readiness) -> Readiness {
        Readiness(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Readiness) {
        self.0 |= other.0;
    }
}

impl BitAnd for Readiness {
    type Output = Readiness;
    fn bitand(self, other: Readiness) -> Readiness {
        Readiness(self.0 & other.0)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Readiness, &str); 6] = [
            (Readiness::READABLE, "READABLE"),
            (Readiness::WRITABLE, "WRITABLE"),
            (Readiness::READ_CLOSED, "READ_CLOSED"),
            (Readiness::WRITE_CLOSED, "WRITE_CLOSED"),
            (Readiness::ERROR, "ERROR"),
            (Readiness::CLOSED, "CLOSED"),
        ];
        let mut set = f.debug_set();
        for (bit, name) in NAMES {
            if self.contains(bit) {
                set.entry(&format_args!("{name}"));
            }
        }
        set.finish()
    }
}
