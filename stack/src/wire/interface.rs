//! Which of a host's links something is about.

/// One of a host's interfaces: the first is the one that its configuration speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(u8);

impl InterfaceId {
    /// The interface that every host has.
    pub const FIRST: InterfaceId = InterfaceId(0);

    /// The interface at this place in the order in which they were added.
    pub(crate) const fn at(place: u8) -> InterfaceId {
        InterfaceId(place)
    }

    /// All interfaces from the first to `last`.
    pub(crate) fn up_to(last: InterfaceId) -> impl Iterator<Item = InterfaceId> {
        (0..=last.0).map(InterfaceId)
    }

    /// Its place in that order, from zero.
    pub const fn place(self) -> usize {
        self.0 as usize
    }

    /// Its number in socket addresses and options (`sin6_scope_id`, `ipi_ifindex`), where 0 is
    /// none: the first is 1.
    pub const fn index(self) -> u32 {
        self.0 as u32 + 1
    }

    /// The interface with this number, if it can have one; whether there is such an interface the
    /// stack knows.
    pub fn from_index(index: u32) -> Option<InterfaceId> {
        let place = index.checked_sub(1)?;
        u8::try_from(place).ok().map(InterfaceId)
    }
}
