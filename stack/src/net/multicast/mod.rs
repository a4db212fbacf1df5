//! Which groups this host belongs to, which sources of them it hears, and what it tells routers and
//! switches of that: IGMPv3 (RFC 3376) and MLDv2 (RFC 3810), which have the same rules. Where a
//! querier speaks an older version, so does this host.

pub(crate) mod filter;
pub(crate) mod message;
mod reception;

use self::filter::{Filter, Mode};
use self::reception::Reception;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::address::Address;
use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Reports of one change, in case one is lost (the Robustness Variable, RFC 3376 §8.1).
const ROBUSTNESS: u8 = 2;
/// Between them, at most (RFC 3376 §8.11).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long an older querier is obeyed after it spoke: twice the usual interval between queries,
/// and the time for an answer (RFC 3376 §8.12).
const OLD_QUERIER: Duration = Duration::from_secs(260);
/// A group is reported to queriers at most once in this time, however often they ask (THREATS N-9).
const ANSWER_INTERVAL: Duration = Duration::from_millis(500);
/// Sources in one report: with them it fits into any link's packets (RFC 3376 §4.2.16).
const REPORT_SOURCES: usize = 64;

/// `224.0.0.1`: every IPv4 host on the link, which is never reported.
const ALL_HOSTS: Address = Address::v4([224, 0, 0, 1]);

/// A group was not joined, or not left, or its sources were not changed.
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
    /// It is not the address of a host of the group's IP version (EINVAL).
    NotASource,
    /// Sources are blocked in groups that were joined for all of them, and left in those that were
    /// joined for some (EINVAL).
    OtherFilter,
    /// The source is heard, or not heard, already (EADDRNOTAVAIL).
    SameFilter,
    /// The socket, or the host, names as many sources as it may (ENOBUFS).
    TooManySources,
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
            GroupError::NotASource => "not a source: name a host of the group's IP version",
            GroupError::OtherFilter => {
                "join a group for all sources to block some, or for some to leave them"
            }
            GroupError::SameFilter => "that changes nothing of the sources that are heard",
            GroupError::TooManySources => {
                "too many sources: leave some or raise the limits in the configuration"
            }
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) version: Version,
    /// None: all.
    pub(crate) group: Option<Address>,
    /// Which of these are heard; empty: which at all.
    pub(crate) sources: BTreeSet<Address>,
    /// The longest that the answer may take.
    pub(crate) within: Duration,
}

/// What is said of a group and sources (RFC 3376 §4.2.12), with its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    /// To who asked: these are heard.
    IsInclude = 1,
    /// To who asked: all are heard but these.
    IsExclude = 2,
    /// From now on these are heard; none: the group was left.
    ToInclude = 3,
    /// From now on all are heard but these.
    ToExclude = 4,
    /// From now on these are heard, too.
    Allow = 5,
    /// From now on these are not heard.
    Block = 6,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) group: Address,
    pub(crate) saying: Saying,
    /// At most `REPORT_SOURCES`.
    pub(crate) sources: Vec<Address>,
    pub(crate) version: Version,
}

/// A group that sockets have joined, or whose last change is still being told.
#[derive(Clone, Debug, Default)]
struct Membership {
    reception: Reception,
    /// Somebody has been told of it.
    is_told: bool,
    /// Reports that are still to be sent of all that is heard, and when the next.
    changes: u8,
    change_at: Instant,
    /// The same of single sources; at most `REPORT_SOURCES`.
    source_changes: BTreeMap<Address, u8>,
    /// When a querier is answered, and of which sources; none: of all.
    answer_at: Option<Instant>,
    asked: BTreeSet<Address>,
    answered: Option<Instant>,
}

impl Membership {
    fn has_news(&self) -> bool {
        self.changes > 0 || !self.source_changes.is_empty()
    }

    fn next(&self) -> Option<Instant> {
        let change = self.has_news().then_some(self.change_at);
        change.into_iter().chain(self.answer_at).min()
    }

    /// What is heard has changed: that is told from `at` on, and again (RFC 3376 §5.1).
    fn change(
        &mut self,
        before: (Mode, BTreeSet<Address>),
        after: (Mode, BTreeSet<Address>),
        at: Instant,
    ) {
        let differing = before.1.symmetric_difference(&after.1).copied();
        if before.0 != after.0 || self.changes > 0 {
            // A report of all that is heard says everything.
            self.tell_all();
        } else {
            self.source_changes.extend(differing.map(|source| (source, ROBUSTNESS)));
            if self.source_changes.len() > REPORT_SOURCES {
                self.tell_all();
            }
        }
        self.change_at = at;
        if !self.reception.is_any() {
            self.answer_at = None;
            self.asked.clear();
        }
    }

    /// All that is heard is to be told.
    fn tell_all(&mut self) {
        self.changes = ROBUSTNESS;
        self.source_changes.clear();
    }

    /// A querier asks, and is to be answered at `at`.
    fn ask(&mut self, at: Instant, sources: &BTreeSet<Address>) {
        let is_open = self.answer_at.is_some();
        if is_open && self.asked.is_empty() || sources.is_empty() {
            self.asked.clear();
        } else {
            self.asked.extend(sources);
            if self.asked.len() > REPORT_SOURCES {
                self.asked.clear();
            }
        }
        self.answer_at = Some(self.answer_at.map_or(at, |before| before.min(at)));
    }

    /// What is to be said of the last changes, this time.
    fn tell(&mut self) -> Vec<(Saying, Vec<Address>)> {
        self.is_told = true;
        if self.changes > 0 {
            self.changes -= 1;
            let (mode, sources) = self.reception.state();
            let saying = if mode == Mode::Include { Saying::ToInclude } else { Saying::ToExclude };
            return vec![(saying, sources.into_iter().collect())];
        }
        let (allow, block): (Vec<Address>, Vec<Address>) =
            self.source_changes.keys().partition(|source| self.reception.admits(**source));
        self.source_changes.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
        let all = [(Saying::Allow, allow), (Saying::Block, block)];
        all.into_iter().filter(|it| !it.1.is_empty()).collect()
    }

    /// What is to be answered (RFC 3376 §5.2).
    fn answer(&mut self) -> Option<(Saying, Vec<Address>)> {
        self.is_told = true;
        self.answer_at = None;
        if self.asked.is_empty() {
            let (mode, sources) = self.reception.state();
            let saying = if mode == Mode::Include { Saying::IsInclude } else { Saying::IsExclude };
            return Some((saying, sources.into_iter().collect()));
        }
        let asked = std::mem::take(&mut self.asked).into_iter();
        let heard: Vec<Address> = asked.filter(|it| self.reception.admits(*it)).collect();
        (!heard.is_empty()).then_some((Saying::IsInclude, heard))
    }
}

/// The groups of a host.
#[derive(Clone)]
pub(crate) struct Groups {
    limit: usize,
    sources_max: usize,
    dice: Random,
    groups: BTreeMap<Address, Membership>,
    /// Those among them that the host's addresses make it a member of.
    own: BTreeSet<Address>,
    /// Reports of IPv6 come from an address.
    is_known: bool,
    /// Sources that sockets name, each once for each group.
    sources: usize,
    reports: VecDeque<Report>,
    /// The earliest of what all groups wait for.
    next: Option<Instant>,
    /// Until when a querier of IPv4 is obeyed that speaks the first, and the second version.
    old_v4: [Option<Instant>; 2],
    /// The same of IPv6, which began with the second.
    old_v6: Option<Instant>,
}

impl Groups {
    pub(crate) fn new(limit: usize, sources_max: usize, dice: Random) -> Groups {
        Groups {
            limit,
            sources_max,
            dice,
            groups: BTreeMap::new(),
            own: BTreeSet::new(),
            is_known: false,
            sources: 0,
            reports: VecDeque::new(),
            next: None,
            old_v4: [None; 2],
            old_v6: None,
        }
    }

    /// Packets to `group` are for this host.
    pub(crate) fn contains(&self, group: Address) -> bool {
        let joined = self.groups.get(&group).is_some_and(|it| it.reception.is_any());
        joined || group == ALL_HOSTS && self.groups.keys().any(|it| it.is_v4())
    }

    /// What comes from `source` for `group`, if that was joined, is heard by a socket.
    pub(crate) fn admit(&self, group: Address, source: Address) -> bool {
        let joined = self.groups.get(&group).filter(|it| it.reception.is_any());
        joined.is_none_or(|it| it.reception.admits(source))
    }

    /// A socket changes the sources of `group` that it hears; None: it is no member.
    pub(crate) fn change(
        &mut self,
        group: Address,
        before: Option<&Filter>,
        after: Option<&Filter>,
    ) -> Result<(), GroupError> {
        let known = self.groups.get(&group);
        if known.is_none() && after.is_some() && self.groups.len() >= self.most() {
            return Err(GroupError::TooManyGroups);
        }
        let mut new = known.map(|it| it.reception.clone()).unwrap_or_default();
        let named = new.named();
        new.change(before, after);
        let sources = self.sources - named + new.named();
        if new.named() > named && sources > self.sources_max {
            return Err(GroupError::TooManySources);
        }
        self.sources = sources;
        self.receive(group, new, Instant::ZERO);
        self.schedule();
        Ok(())
    }

    /// The groups that the host's addresses make it a member of, beside what sockets join: which
    /// they are now, and from when on each is reported. That it is at all is for switches, which
    /// may forward Neighbor Discovery's questions to reported members only (RFC 4862 §5.4.2).
    pub(crate) fn follow(&mut self, own: &BTreeMap<Address, Instant>) {
        let before = core::mem::replace(&mut self.own, own.keys().copied().collect());
        for group in before.iter().filter(|group| !own.contains_key(group)) {
            self.alter(*group, Some(&Filter::ALL), None, Instant::ZERO);
        }
        // What nobody has heard of is left in silence.
        self.groups
            .retain(|group, it| it.is_told || it.reception.is_any() || !before.contains(group));
        for (group, at) in own.iter().filter(|(group, _)| !before.contains(group)) {
            self.alter(*group, None, Some(&Filter::ALL), *at);
        }
        // Addresses that go faster than can be told go in silence.
        if self.groups.len() > self.most().saturating_mul(2) {
            self.groups.retain(|_, it| it.reception.is_any());
        }
        self.schedule();
    }

    fn alter(&mut self, group: Address, from: Option<&Filter>, to: Option<&Filter>, at: Instant) {
        let known = self.groups.get(&group);
        let mut reception = known.map(|it| it.reception.clone()).unwrap_or_default();
        reception.change(from, to);
        self.receive(group, reception, at);
    }

    /// This is heard of a group from now on, and told from `at` on if it is something new.
    fn receive(&mut self, group: Address, reception: Reception, at: Instant) {
        let membership = self.groups.entry(group).or_default();
        let before = core::mem::replace(&mut membership.reception, reception).state();
        let after = membership.reception.state();
        if before != after {
            membership.change(before, after, at);
        }
    }

    /// Reports of IPv6 come from an address, or from none. Routers discard those from none, so with
    /// the first address all groups are told again (RFC 3810 §5.2.13, RFC 3590 §4).
    pub(crate) fn set_known(&mut self, is_known: bool) {
        let was_known = core::mem::replace(&mut self.is_known, is_known);
        if is_known && !was_known {
            self.tell_again(|group| !group.is_v4());
        }
    }

    /// The link is back, perhaps as another one, where nobody knows of any group.
    pub(crate) fn on_link_back(&mut self) {
        self.tell_again(|_| true);
    }

    fn tell_again(&mut self, which: impl Fn(Address) -> bool) {
        let joined = self.groups.iter_mut().filter(|(_, it)| it.reception.is_any());
        for (_, it) in joined.filter(|(group, it)| which(**group) && it.changes < ROBUSTNESS) {
            it.tell_all();
            it.change_at = Instant::ZERO;
        }
        self.schedule();
    }

    /// Groups that there may be: those of sockets, and as many as addresses have made.
    fn most(&self) -> usize {
        self.limit.saturating_add(self.own.len())
    }

    /// A querier asks.
    pub(crate) fn on_query(&mut self, now: Instant, from_v4: bool, query: &Query) {
        let until = now + OLD_QUERIER;
        match (from_v4, query.version) {
            (_, Version::Third) => {}
            (true, Version::First) => self.old_v4[0] = Some(until),
            (true, Version::Second) => self.old_v4[1] = Some(until),
            (false, _) => self.old_v6 = Some(until),
        }
        for (group, membership) in &mut self.groups {
            let asked = query.group.is_none_or(|it| it == *group) && group.is_v4() == from_v4;
            if !asked || !membership.reception.is_any() || !is_told(*group) {
                continue;
            }
            let rested = membership.answered.map_or(now, |at| at + ANSWER_INTERVAL);
            membership.ask(rested.latest(now + self.dice.part_of(query.within)), &query.sources);
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
        let [v4, v6] = [true, false].map(|v4| self.version(now, v4));
        let mut said = Vec::new();
        for (group, membership) in &mut self.groups {
            let version = if group.is_v4() { v4 } else { v6 };
            let mut say = |(saying, sources)| {
                said.push(Report { group: *group, saying, sources, version });
            };
            if membership.has_news() && membership.change_at <= now {
                let told = membership.tell();
                match version {
                    Version::Third => told.into_iter().for_each(&mut say),
                    _ if membership.reception.is_any() => say((Saying::ToExclude, Vec::new())),
                    _ => say((Saying::ToInclude, Vec::new())),
                }
                // Not at once again: from an open range (RFC 3376 §5.1, RFC 3810 §6.1).
                let wait = self.dice.part_of(REPORT_INTERVAL).max(Duration::from_millis(1));
                membership.change_at = now + wait;
            }
            if membership.answer_at.is_some_and(|at| at <= now) {
                membership.answered = Some(now);
                membership.answer().into_iter().for_each(&mut say);
            }
        }
        for report in said.into_iter().filter(|it| is_told(it.group)) {
            self.say(report);
        }
        self.groups.retain(|_, it| it.reception.is_any() || it.has_news());
        self.schedule();
    }

    /// Queues a report, in as many messages as it takes (RFC 3376 §4.2.16).
    fn say(&mut self, report: Report) {
        let is_list = !matches!(report.saying, Saying::IsExclude | Saying::ToExclude);
        let parts = report.sources.chunks(REPORT_SOURCES);
        let parts: Vec<&[Address]> = match report.sources.is_empty() {
            true => vec![&[]],
            // Of those that are not heard only so many can be told.
            false => parts.take(if is_list { usize::MAX } else { 1 }).collect(),
        };
        for sources in parts {
            // Nobody has taken what there was to say: it is out of date.
            if self.reports.len() < self.most().saturating_mul(2) {
                self.reports.push_back(Report { sources: sources.to_vec(), ..report });
            }
        }
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
