//! Which of a host's links something is about.

use core::fmt;
use core::str::FromStr;

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

/// Some of a host's interfaces, among the first 64: a host has no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InterfaceSet(u64);

impl InterfaceSet {
    pub(crate) const EMPTY: InterfaceSet = InterfaceSet(0);

    const fn bit(id: InterfaceId) -> u64 {
        match 1u64.checked_shl(id.0 as u32) {
            Some(bit) => bit,
            None => 0,
        }
    }

    pub(crate) const fn contains(self, id: InterfaceId) -> bool {
        self.0 & InterfaceSet::bit(id) != 0
    }

    /// With `id`, or without it.
    pub(crate) fn set(&mut self, id: InterfaceId, is_in: bool) {
        let bit = InterfaceSet::bit(id);
        self.0 = if is_in { self.0 | bit } else { self.0 & !bit };
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One `T` for each of a host's interfaces, of which there is one at least.
#[derive(Clone, Debug)]
pub(crate) struct PerInterface<T> {
    first: T,
    further: Vec<T>,
}

impl<T> PerInterface<T> {
    pub(crate) fn new(first: T) -> PerInterface<T> {
        PerInterface { first, further: Vec::new() }
    }

    /// That of the interface. Ids are given out for what there is, and none is ever taken back.
    pub(crate) fn get(&self, id: InterfaceId) -> &T {
        let further = id.place().checked_sub(1).and_then(|at| self.further.get(at));
        further.unwrap_or(&self.first)
    }

    pub(crate) fn get_mut(&mut self, id: InterfaceId) -> &mut T {
        let further = id.place().checked_sub(1).and_then(|at| self.further.get_mut(at));
        further.unwrap_or(&mut self.first)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        core::iter::once(&self.first).chain(&self.further)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        core::iter::once(&mut self.first).chain(&mut self.further)
    }

    /// All ids, in the order in which the interfaces came.
    pub(crate) fn ids(&self) -> impl Iterator<Item = InterfaceId> + use<T> {
        InterfaceId::up_to(InterfaceId(self.further.len() as u8))
    }

    /// That of one more interface; how many there may be is the caller's matter, 256 at most.
    pub(crate) fn push(&mut self, further: T) -> InterfaceId {
        self.further.push(further);
        InterfaceId(self.further.len() as u8)
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.further.len()
    }

    /// There is such an interface.
    pub(crate) fn has(&self, id: InterfaceId) -> bool {
        id.place() < self.len()
    }
}

/// What people and programs call an interface (`SO_BINDTODEVICE`): 1 to 15 bytes without spaces and
/// slashes, as in Linux.
///
/// ```
/// use stack::InterfaceName;
/// let name: InterfaceName = "tap0.7".parse()?;
/// assert_eq!(name.to_string(), "tap0.7");
/// assert!("much too long for one".parse::<InterfaceName>().is_err());
/// # Ok::<(), stack::InterfaceNameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceName {
    /// Zeros behind it.
    bytes: [u8; NAME_MAX],
}

/// Linux's IFNAMSIZ, without the zero at the end.
const NAME_MAX: usize = 15;

impl InterfaceName {
    /// `eth0` and so on.
    pub(crate) fn numbered(place: usize) -> InterfaceName {
        let mut bytes = *b"eth\0\0\0\0\0\0\0\0\0\0\0\0";
        let digits = place.to_string();
        let room = bytes.iter_mut().skip(3);
        room.zip(digits.bytes()).for_each(|(to, digit)| *to = digit);
        InterfaceName { bytes }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        let text = core::str::from_utf8(&self.bytes).unwrap_or_default();
        text.trim_end_matches('\0')
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(text: &str) -> Result<InterfaceName, InterfaceNameError> {
        let is_bad = |c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace();
        let mut bytes = [0; NAME_MAX];
        let room = bytes.get_mut(..text.len()).ok_or(InterfaceNameError)?;
        if ["", ".", ".."].contains(&text) || text.contains(is_bad) {
            return Err(InterfaceNameError);
        }
        room.copy_from_slice(text.as_bytes());
        Ok(InterfaceName { bytes })
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No interface can be called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceNameError;

impl fmt::Display for InterfaceNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an interface's name has 1 to 15 bytes, and no space, slash or colon")
    }
}

impl core::error::Error for InterfaceNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_linux_does() {
        for good in ["a", "eth0", "tap0.4094", "123456789012345", "ä"] {
            assert_eq!(good.parse::<InterfaceName>().unwrap().as_str(), good);
        }
        assert_eq!(InterfaceName::numbered(63).as_str(), "eth63");
        for bad in ["", ".", "..", "a b", "a/b", "a:1", "a\0", "1234567890123456"] {
            assert_eq!(bad.parse::<InterfaceName>(), Err(InterfaceNameError), "{bad}");
        }
    }
}
