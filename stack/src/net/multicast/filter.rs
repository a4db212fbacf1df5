//! The groups of one socket, and of each the sources that it hears (RFC 3376 §2, RFC 3678).

use super::GroupError;
use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;

/// A change of the sources of a group that a socket hears (RFC 3678 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceChange {
    /// Hear this source, and others only if they are joined too: joins the group
    /// (`IP_ADD_SOURCE_MEMBERSHIP`, `MCAST_JOIN_SOURCE_GROUP`).
    Join,
    /// Hear a joined source no longer: with the last one, leaves the group
    /// (`IP_DROP_SOURCE_MEMBERSHIP`, `MCAST_LEAVE_SOURCE_GROUP`).
    Leave,
    /// Do not hear this source of a group that was joined for all (`IP_BLOCK_SOURCE`,
    /// `MCAST_BLOCK_SOURCE`).
    Block,
    /// Hear a blocked source again (`IP_UNBLOCK_SOURCE`, `MCAST_UNBLOCK_SOURCE`).
    Unblock,
}

/// A change of a socket's membership in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupChange {
    Join,
    Leave,
    Source(SourceChange, Address),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The sources that are named are heard.
    Include,
    /// All are heard but those that are named.
    Exclude,
}

/// The sources of a group that are heard: in mode Include at least one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) mode: Mode,
    /// At most `UdpLimits::sources`.
    pub(crate) sources: Vec<Address>,
}

impl Filter {
    /// All sources.
    pub(super) const ALL: Filter = Filter { mode: Mode::Exclude, sources: Vec::new() };

    /// No source is heard: who says so leaves the group.
    pub(crate) fn is_nothing(&self) -> bool {
        self.mode == Mode::Include && self.sources.is_empty()
    }

    fn admits(&self, source: Address) -> bool {
        self.sources.contains(&source) == (self.mode == Mode::Include)
    }

    /// What it is after a change, by Linux's rules; None: the group is left.
    fn after(
        &self,
        change: SourceChange,
        source: Address,
        most: usize,
    ) -> Result<Option<Filter>, GroupError> {
        let (mode, adds) = match change {
            SourceChange::Join => (Mode::Include, true),
            SourceChange::Leave => (Mode::Include, false),
            SourceChange::Block => (Mode::Exclude, true),
            SourceChange::Unblock => (Mode::Exclude, false),
        };
        // A group in which no source was named yet may change its mode.
        if mode != self.mode && !self.sources.is_empty() {
            return Err(GroupError::OtherFilter);
        }
        let mut sources = self.sources.clone();
        let at = sources.iter().position(|it| *it == source);
        match (at, adds) {
            (Some(_), true) | (None, false) => return Err(GroupError::SameFilter),
            (None, true) if sources.len() >= most => return Err(GroupError::TooManySources),
            (None, true) => sources.push(source),
            (Some(at), false) => drop(sources.swap_remove(at)),
        }
        let filter = Filter { mode, sources };
        Ok((!filter.is_nothing()).then_some(filter))
    }
}

/// The groups that a socket is a member of, each on an interface.
#[derive(Clone, Debug)]
pub(crate) struct Memberships<On = InterfaceId> {
    groups: Vec<(On, Address, Filter)>,
}

impl<On> Default for Memberships<On> {
    fn default() -> Memberships<On> {
        Memberships { groups: Vec::new() }
    }
}

impl<On: Copy + PartialEq> Memberships<On> {
    pub(crate) fn get(&self, interface: On, group: Address) -> Option<&Filter> {
        self.groups.iter().find(|it| (it.0, it.1) == (interface, group)).map(|it| &it.2)
    }

    /// Where the socket joined the group first.
    pub(crate) fn place(&self, group: Address) -> Option<On> {
        self.groups.iter().find(|it| it.1 == group).map(|it| it.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(On, Address, Filter)> {
        self.groups.iter()
    }

    /// What comes from `source` for `group` is heard: by default where the socket is no member, as
    /// in Linux.
    pub(crate) fn admit(&self, interface: On, group: Address, source: Address) -> bool {
        self.get(interface, group).is_none_or(|filter| filter.admits(source))
    }

    /// The filter of `group` after a change, which is not made yet; None: it is left.
    pub(crate) fn after(
        &self,
        interface: On,
        group: Address,
        change: GroupChange,
        groups_max: usize,
        sources_max: usize,
    ) -> Result<Option<Filter>, GroupError> {
        let is_full = self.groups.len() >= groups_max;
        match (change, self.get(interface, group)) {
            (GroupChange::Leave, Some(_)) => Ok(None),
            (GroupChange::Leave, None) => Err(GroupError::NotJoined),
            (GroupChange::Join, Some(_)) => Err(GroupError::AlreadyJoined),
            (GroupChange::Source(_, source), _)
                if source.is_v4() != group.is_v4() || !source.is_of_a_host() =>
            {
                Err(GroupError::NotASource)
            }
            (GroupChange::Source(change, source), Some(filter)) => {
                filter.after(change, source, sources_max)
            }
            (GroupChange::Join | GroupChange::Source(SourceChange::Join, _), None) if is_full => {
                Err(GroupError::TooManyGroups)
            }
            (GroupChange::Join, None) => Ok(Some(Filter::ALL)),
            (GroupChange::Source(change @ SourceChange::Join, source), None) => {
                Filter::ALL.after(change, source, sources_max)
            }
            (GroupChange::Source(..), None) => Err(GroupError::OtherFilter),
        }
    }

    /// The filter of `group` once it is `filter` (`IP_MSFILTER`), which is not so yet; None: it is
    /// left, for nothing is heard of it any more.
    pub(crate) fn replaced(
        &self,
        interface: On,
        group: Address,
        filter: Filter,
        sources_max: usize,
    ) -> Result<Option<Filter>, GroupError> {
        let leaves = filter.is_nothing();
        match self.get(interface, group) {
            _ if filter.sources.len() > sources_max => Err(GroupError::TooManySources),
            None if leaves => Err(GroupError::NotJoined),
            None => Err(GroupError::OtherFilter),
            Some(_) => Ok((!leaves).then_some(filter)),
        }
    }

    /// Makes a change.
    pub(crate) fn set(&mut self, interface: On, group: Address, filter: Option<Filter>) {
        self.groups.retain(|it| (it.0, it.1) != (interface, group));
        self.groups.extend(filter.map(|filter| (interface, group, filter)));
    }

    /// Leaves all.
    pub(crate) fn clear(&mut self) {
        self.groups.clear();
    }
}
