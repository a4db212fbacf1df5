//! Which groups this host belongs to, and what it tells routers and switches of them: IGMPv3
//! (RFC 3376) and MLDv2 (RFC 3810), which have the same rules. All sources are welcome. Where a
//! querier speaks an older version, so does this host.

pub(crate) mod message;

use crate::random::Random;
use crate::time::Instant;
use crate::wire::address::Address;
use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// Reports of one change, in case one is lost (the Robustness Variable, RFC 3376 §8.1).
const ROBUSTNESS: u8 = 2;
/// Between them, at most (RFC 3376 §8.11).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long an older querier is obeyed after it spoke: twice the usual interval between queries,
/// and the time for an answer (RFC 3376 §8.12).
const OLD_QUERIER: Duration = Duration::from_secs(260);
/// A group is reported to queriers at most once in this time, however often they ask (THREATS N-9).
const ANSWER_INTERVAL: Duration = Duration::from_millis(500);

/// `224.0.0.1`: every IPv4 host on the link, which is never reported.
const ALL_HOSTS: Address = Address::v4([224, 0, 0, 1]);

/// A group was not joined, or not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// It is not the address of a group (EINVAL).
    NotAGroup,
    /// The socket is a member of it (EADDRINUSE).
    AlreadyJoined,
    /// The socket is not a member of it (EADDRNOTAVAIL).
    NotJoined,
    /// The socket, or the host, is a member of as many groups as it may be (ENOBUFS).
    TooManyGroups,
    /// The host has no address of this IP version (ENODEV).
    NoAddress,
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GroupError::NotAGroup => {
                "not a group: name one of 224.0.0.0/4 or ff00::/8 that the socket speaks to"
            }
            GroupError::AlreadyJoined => "the socket has joined this group already",
            GroupError::NotJoined => "the socket has not joined this group",
            GroupError::TooManyGroups => {
                "too many groups: leave some or raise the limits in the configuration"
            }
            GroupError::NoAddress => "the host has no address of the group's IP version",
        })
    }
}

impl Error for GroupError {}

/// How a querier speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// IGMPv1, which knows no leaving.
    First,
    /// IGMPv2 (RFC 2236) and MLDv1 (RFC 2710): a message for each group.
    Second,
    /// IGMPv3 and MLDv2.
    Third,
}

/// A question of which groups have members here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) version: Version,
    /// None: all.
    pub(crate) group: Option<Address>,
    /// The longest that the answer may take.
    pub(crate) within: Duration,
}

/// What is said of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    /// To who asked.
    IsMember,
    Joined,
    Left,
}

/// A message to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) group: Address,
    pub(crate) saying: Saying,
    pub(crate) version: Version,
}

#[derive(Clone, Copy, Debug)]
struct Membership {
    /// Sockets that have joined; 0: it was left, and that is still being told.
    members: u32,
    /// Reports of the last change that are still to be sent, and when the next.
    changes: u8,
    change_at: Instant,
    /// When a querier is answered.
    answer_at: Option<Instant>,
    answered: Option<Instant>,
}

impl Membership {
    fn next(&self) -> Option<Instant> {
        let change = (self.changes > 0).then_some(self.change_at);
        change.into_iter().chain(self.answer_at).min()
    }
}

/// The groups of a host.
#[derive(Clone)]
pub(crate) struct Groups {
    limit: usize,
    dice: Random,
    groups: BTreeMap<Address, Membership>,
    reports: VecDeque<Report>,
    /// The earliest of what all groups wait for.
    next: Option<Instant>,
    /// Until when a querier of IPv4 is obeyed that speaks the first, and the second version.
    old_v4: [Option<Instant>; 2],
    /// The same of IPv6, which began with the second.
    old_v6: Option<Instant>,
}

impl Groups {
    pub(crate) fn new(limit: usize, dice: Random) -> Groups {
        let (groups, reports) = (BTreeMap::new(), VecDeque::new());
        Groups { limit, dice, groups, reports, next: None, old_v4: [None; 2], old_v6: None }
    }

    /// Packets to `group` are for this host.
    pub(crate) fn contains(&self, group: Address) -> bool {
        let joined = self.groups.get(&group).is_some_and(|it| it.members > 0);
        joined || group == ALL_HOSTS && self.groups.keys().any(|it| it.is_v4())
    }

    /// A socket joins.
    pub(crate) fn join(&mut self, group: Address) -> Result<(), GroupError> {
        if !self.groups.contains_key(&group) && self.groups.len() >= self.limit {
            return Err(GroupError::TooManyGroups);
        }
        let (change_at, answer_at, answered) = (Instant::ZERO, None, None);
        let new = Membership { members: 0, changes: 0, change_at, answer_at, answered };
        let membership = self.groups.entry(group).or_insert(new);
        membership.members += 1;
        if membership.members == 1 {
            self.change(group);
        }
        Ok(())
    }

    /// A socket that has joined leaves.
    pub(crate) fn leave(&mut self, group: Address) {
        let Some(membership) = self.groups.get_mut(&group) else { return };
        membership.members = membership.members.saturating_sub(1);
        if membership.members == 0 {
            membership.answer_at = None;
            self.change(group);
        }
    }

    /// The first member has come, or the last has gone: that is told at once, and again.
    fn change(&mut self, group: Address) {
        if let Some(membership) = self.groups.get_mut(&group) {
            (membership.changes, membership.change_at) = (ROBUSTNESS, Instant::ZERO);
        }
        self.schedule();
    }

    /// A querier asks.
    pub(crate) fn on_query(&mut self, now: Instant, from_v4: bool, query: Query) {
        let until = now + OLD_QUERIER;
        match (from_v4, query.version) {
            (_, Version::Third) => {}
            (true, Version::First) => self.old_v4[0] = Some(until),
            (true, Version::Second) => self.old_v4[1] = Some(until),
            (false, _) => self.old_v6 = Some(until),
        }
        for (group, membership) in &mut self.groups {
            let asked = query.group.is_none_or(|it| it == *group) && group.is_v4() == from_v4;
            if !asked || membership.members == 0 || !is_told(*group) {
                continue;
            }
            let rested = membership.answered.map_or(now, |at| at + ANSWER_INTERVAL);
            let at = rested.latest(now + self.dice.part_of(query.within));
            membership.answer_at = Some(membership.answer_at.map_or(at, |before| before.min(at)));
        }
        self.schedule();
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Time has passed.
    pub(crate) fn advance(&mut self, now: Instant) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        let versions = [true, false].map(|v4| self.version(now, v4));
        for (group, membership) in &mut self.groups {
            let [v4, v6] = versions;
            let (group, version) = (*group, if group.is_v4() { v4 } else { v6 });
            let mut say = |saying| {
                // Nobody has taken what there was to say: it is out of date.
                if is_told(group) && self.reports.len() < 2 * self.limit {
                    self.reports.push_back(Report { group, saying, version });
                }
            };
            if membership.changes > 0 && membership.change_at <= now {
                membership.changes -= 1;
                membership.change_at = now + self.dice.part_of(REPORT_INTERVAL);
                say(if membership.members > 0 { Saying::Joined } else { Saying::Left });
            }
            if membership.answer_at.is_some_and(|at| at <= now) {
                (membership.answer_at, membership.answered) = (None, Some(now));
                say(Saying::IsMember);
            }
        }
        self.groups.retain(|_, membership| membership.members > 0 || membership.changes > 0);
        self.schedule();
    }

    fn schedule(&mut self) {
        self.next = self.groups.values().filter_map(Membership::next).min();
    }

    /// What is spoken on the link now.
    fn version(&self, now: Instant, v4: bool) -> Version {
        let holds = |until: Option<Instant>| until.is_some_and(|until| now < until);
        match (v4, self.old_v4) {
            (true, [first, _]) if holds(first) => Version::First,
            (true, [_, second]) if holds(second) => Version::Second,
            (false, _) if holds(self.old_v6) => Version::Second,
            _ => Version::Third,
        }
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.reports.is_empty()
    }

    /// The next message to send.
    pub(crate) fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }
}

/// Groups that everybody is a member of, and those that end at this host, are not told of
/// (RFC 3376 §6, RFC 3810 §6).
fn is_told(group: Address) -> bool {
    let host = !group.is_v4() && group.octets()[1] & 0xf < 2;
    !(host || group == ALL_HOSTS || group == Address::ALL_NODES)
}

#[cfg(test)]
#[path = "multicast_tests.rs"]
mod tests;
