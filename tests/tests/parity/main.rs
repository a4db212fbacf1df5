//! One suite for the sockets of `std::net`, written once and compiled three times: against std on
//! Linux's loopback, against `stack::host` on its own, and against two hosts of it on a cable. What
//! a case says of an error or an address is so in Linux, or the first of the three would fail.
//! Where Tapstack means to answer otherwise the case has both answers, and [`Difference`] says why.
#![expect(clippy::duplicate_mod, reason = "the suite is compiled against each of the nets")]

mod hosts;
mod linux;
mod loopback;
mod rig;
mod tapstack;
mod tapstack_cable;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Linux,
    Tapstack,
}

/// Where Tapstack answers otherwise than Linux, and why. `docs/TESTING.md` has the same list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// A socket for both IP versions tells of a peer of IPv4 by its own address (192.0.2.1), not by
    /// that of its disguise (::ffff:192.0.2.1): nobody who compares addresses is deceived. The BSD
    /// calls, which have families, tell as Linux does.
    PeersOfIpv4,
    /// A reset that comes after the end of the stream is told as a reset (RFC 9293 §3.10.7.4,
    /// second). Linux says EPIPE, to who writes.
    ResetAfterTheEnd,
}

impl Side {
    /// The answer of this side, where they are not the same.
    pub(crate) fn answer<T>(self, _why: Difference, linux: T, tapstack: T) -> T {
        match self {
            Side::Linux => linux,
            Side::Tapstack => tapstack,
        }
    }
}
