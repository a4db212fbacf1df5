//! Who on the link has which address: one reachability machine for ARP and for NDP
//! (RFC 4861 §7.3, RFC 1122 §2.3.2.1 and §2.3.2.2).
//!
//! ```text
//!              own need                   answer
//!   (nothing) ----------> Incomplete -------------> Reachable <----+
//!       ^                   | 3 tries                  | 30 s      | answer, or progress
//!       | 1 s               v                          v           | of an upper layer
//!       +---------------- Failed            learnt > Stale         |
//!       |                                              | use       |
//!       |          3 tries           5 s               v           |
//!       +------------------- Probe <----------------- Delay -------+
//! ```
//!
//! A claim of another link address for a neighbour that we know is not believed at once: the old
//! address is asked first, and only its silence for a second makes the new one true (N-2).

use crate::random::Secret;
use crate::time::Instant;
use crate::wire::address::{Address, Mac};
use core::net::IpAddr;
use core::time::Duration;
use hashbrown::HashTable;
use std::collections::{BTreeSet, VecDeque};

/// After an answer, a neighbour counts as reachable for so long (RFC 4861 §10).
const REACHABLE_TIME: Duration = Duration::from_secs(30);
/// After the first use of a stale address, an upper layer has so long to report progress.
const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);
/// Between two requests for one address (RFC 1122 §2.3.2.1); also how long the old owner of a
/// contested address has to answer, and how long a failure is remembered.
const RETRANSMIT: Duration = Duration::from_secs(1);
/// Requests without an answer before a neighbour is given up.
const TRIES: u8 = 3;
/// An unanswered request younger than this is never given up for another: on a link, the answer
/// takes less. So a flood of strangers causes at most `incomplete / 20 ms` requests per second.
const MIN_PATIENCE: Duration = Duration::from_millis(20);
/// At the limit, so many of the least recently used entries are looked at to find one to evict.
const EVICTION_STEPS: usize = 8;

/// The limits of a table of neighbours, each with what happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborLimits {
    /// Neighbours known at a time. At the limit the least recently used one that is not pinned
    /// is forgotten. Default 1,024.
    pub entries: usize,
    /// Neighbours being resolved at a time. At the limit the one that has waited longest is given
    /// up, if it has waited 20 ms; else the new one is refused. Default 64.
    pub incomplete: usize,
    /// Packets held for one neighbour while it is being resolved. At the limit the oldest is
    /// dropped. Default 64: a datagram's fragments fit.
    pub held_packets: usize,
    /// Bytes held for one neighbour. At the limit the oldest packets are dropped. Default 68 KiB.
    pub held_bytes: usize,
    /// Bytes held for all neighbours. At the limit packets of the same neighbour are dropped, or
    /// the new one. Default 256 KiB.
    pub held_bytes_total: usize,
}

impl Default for NeighborLimits {
    fn default() -> NeighborLimits {
        NeighborLimits {
            entries: 1_024,
            incomplete: 64,
            held_packets: 64,
            held_bytes: 68 << 10,
            held_bytes_total: 256 << 10,
        }
    }
}

/// What happened in the neighbour table so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeighborCounters {
    /// Held packets dropped, for a limit or because their neighbour was evicted.
    pub dropped: u64,
    /// Neighbours not taken in because of a limit.
    pub refused: u64,
    /// Neighbours forgotten because of a limit.
    pub evicted: u64,
    /// Resolutions that failed after all tries.
    pub failed: u64,
    /// Known neighbours that stopped answering.
    pub lost: u64,
    /// Claims of another link address for a known neighbour.
    pub contested: u64,
    /// Contests that the old link address lost by its silence.
    pub switched: u64,
}

impl NeighborCounters {
    /// The sum of both.
    pub(crate) fn with(self, other: NeighborCounters) -> NeighborCounters {
        NeighborCounters {
            dropped: self.dropped + other.dropped,
            refused: self.refused + other.refused,
            evicted: self.evicted + other.evicted,
            failed: self.failed + other.failed,
            lost: self.lost + other.lost,
            contested: self.contested + other.contested,
            switched: self.switched + other.switched,
        }
    }
}

/// What is known about a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    Known(Mac),
    /// Being resolved: the packet may wait in [`NeighborTable::hold`].
    Pending,
    /// It did not answer a moment ago: EHOSTUNREACH.
    Failed,
}

/// How an address was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// By asking for us: the claimer will want an answer, so it is worth an entry.
    Request,
    /// In a reply to us.
    Reply,
    /// In a reply to us by one of several who share the address: it is there, but what we know of
    /// it stands (RFC 4861 §7.2.5, without the override flag).
    Anycast,
    /// Without having to do with us: changes what we know, adds nothing.
    Gratuitous,
    /// The same without the override flag: fills a gap, changes nothing.
    Hint,
}

impl Claim {
    /// It answers us, so that both directions are known to work.
    fn is_reply(self) -> bool {
        matches!(self, Claim::Reply | Claim::Anycast)
    }

    /// It may change what we know.
    fn overrides(self) -> bool {
        !matches!(self, Claim::Anycast | Claim::Hint)
    }
}

/// What a claim changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    Ignored,
    Updated,
    New,
}

/// A request to be sent: for `target`, to everybody or to the one that should still have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Solicit {
    pub(crate) target: Address,
    pub(crate) unicast: Option<Mac>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Incomplete { sent: u8 },
    Failed,
    Reachable { until: Instant },
    Stale,
    Delay,
    Probe { sent: u8 },
}

#[derive(Clone)]
struct Entry {
    address: Address,
    /// Meaningless while Incomplete and Failed.
    mac: Mac,
    /// Another link address that claims to be this neighbour.
    rival: Option<Mac>,
    state: State,
    created: Instant,
    /// When the state changes by itself; in `timers` unless it is never.
    due: Instant,
    last_solicit: Option<Instant>,
    /// Last use by a packet of ours; None: never.
    used: Option<Instant>,
    /// Where the entry stands in `by_use`, which may lag behind `used`.
    ranked: Rank,
    pinned: bool,
    held: VecDeque<Box<[u8]>>,
    held_bytes: usize,
}

impl Entry {
    /// The packets that wait, which go on being counted as held.
    fn take_held(&mut self) -> Vec<Box<[u8]>> {
        self.held_bytes = 0;
        core::mem::take(&mut self.held).into()
    }
}

/// Never used before all used, then by time; the number keeps equals apart, oldest first.
type Rank = (Option<Instant>, u64);

/// A neighbour that is no longer asked for, and the packets that waited for it.
#[derive(Clone)]
struct GivenUp {
    since: Instant,
    address: Address,
    packets: Vec<Box<[u8]>>,
}

/// Neighbours, the packets that wait for them, and the requests that are due.
#[derive(Clone)]
pub(crate) struct NeighborTable {
    limits: NeighborLimits,
    secret: Secret,
    entries: HashTable<Entry>,
    /// The address that was looked up last, and its hash.
    latest: (Address, u64),
    timers: BTreeSet<(Instant, Address)>,
    by_use: BTreeSet<(Rank, Address)>,
    ranks: u64,
    /// The Incomplete ones, oldest first; at most `limits.incomplete`.
    incomplete: VecDeque<Address>,
    /// Never evicted: the routers. As many as the configuration names.
    pinned: Vec<Address>,
    solicits: VecDeque<Solicit>,
    released: VecDeque<(Mac, Box<[u8]>)>,
    failed: VecDeque<GivenUp>,
    /// In entries, `released` and `failed` together.
    held_bytes: usize,
    counters: NeighborCounters,
    /// How long after an answer a neighbour counts as reachable: REACHABLE_TIME, or what a router
    /// has said (RFC 4861 §6.3.4).
    reachable_time: Duration,
}

impl NeighborTable {
    pub(crate) fn new(limits: NeighborLimits, secret: Secret) -> NeighborTable {
        NeighborTable {
            limits,
            secret,
            entries: HashTable::new(),
            latest: (Address::UNSPECIFIED_V6, hash(secret, Address::UNSPECIFIED_V6)),
            timers: BTreeSet::new(),
            by_use: BTreeSet::new(),
            ranks: 0,
            incomplete: VecDeque::new(),
            pinned: Vec::new(),
            solicits: VecDeque::new(),
            released: VecDeque::new(),
            failed: VecDeque::new(),
            held_bytes: 0,
            counters: NeighborCounters::default(),
            reachable_time: REACHABLE_TIME,
        }
    }

    /// Exempts `addresses` from eviction, and no others: for the routers in use.
    pub(crate) fn pin_only(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        for address in core::mem::take(&mut self.pinned) {
            if let Some(entry) = self.find_mut(address) {
                entry.pinned = false;
            }
        }
        for address in addresses.map(Address::from) {
            self.pinned.push(address);
            if let Some(entry) = self.find_mut(address) {
                entry.pinned = true;
            }
        }
    }

    /// How long a neighbour counts as reachable; held to what neither asks all the time nor never.
    pub(crate) fn set_reachable_time(&mut self, time: Duration) {
        self.reachable_time = time.clamp(REACHABLE_TIME / 10, REACHABLE_TIME * 120);
    }

    /// Drops those of the packets held that `unwanted` picks, and says how many.
    pub(crate) fn drop_held(&mut self, unwanted: impl Fn(&[u8]) -> bool) -> u64 {
        let mut dropped = (0, 0);
        let mut keep = |packet: &[u8]| {
            let drop = unwanted(packet);
            if drop {
                dropped = (dropped.0 + 1, dropped.1 + packet.len());
            }
            !drop
        };
        for address in &self.incomplete {
            let found = hash(self.secret, *address);
            let Some(entry) = self.entries.find_mut(found, |entry| entry.address == *address)
            else {
                continue;
            };
            entry.held.retain(|packet| keep(packet));
            entry.held_bytes = entry.held.iter().map(|packet| packet.len()).sum();
        }
        self.released.retain(|(_, packet)| keep(packet));
        self.held_bytes = self.held_bytes.saturating_sub(dropped.1);
        self.counters.dropped += dropped.0;
        dropped.0
    }

    /// The packets that wait for their neighbours.
    pub(crate) fn held(&self) -> impl Iterator<Item = &[u8]> {
        let waiting = self.incomplete.iter().filter_map(|address| self.find(*address));
        let released = self.released.iter().map(|(_, packet)| packet);
        waiting.flat_map(|entry| &entry.held).chain(released).map(|packet| &**packet)
    }

    pub(crate) fn counters(&self) -> NeighborCounters {
        self.counters
    }

    /// Bytes of packets held, for the ledger.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The link address of `next_hop`, to which a packet of ours is about to go. An unknown one
    /// begins to be resolved, a stale one to be verified.
    pub(crate) fn resolve(&mut self, now: Instant, next_hop: Address) -> Resolution {
        let Some(entry) = self.find_mut(next_hop) else {
            self.start(now, next_hop);
            return Resolution::Pending;
        };
        entry.used = Some(now);
        let mac = entry.mac;
        match entry.state {
            State::Incomplete { .. } => Resolution::Pending,
            State::Failed if now < entry.due => Resolution::Failed,
            State::Failed => {
                self.remove(next_hop);
                self.start(now, next_hop);
                Resolution::Pending
            }
            State::Reachable { until } if now >= until => {
                self.set(next_hop, State::Delay, now + DELAY_FIRST_PROBE);
                Resolution::Known(mac)
            }
            State::Stale => {
                self.set(next_hop, State::Delay, now + DELAY_FIRST_PROBE);
                Resolution::Known(mac)
            }
            State::Reachable { .. } | State::Delay | State::Probe { .. } => Resolution::Known(mac),
        }
    }

    /// Keeps an IP packet until its next hop is resolved or given up. The newest packets stay. Says
    /// how many were dropped, older ones or this one.
    #[must_use]
    pub(crate) fn hold(&mut self, next_hop: Address, packet: Box<[u8]>) -> u64 {
        let (limits, len) = (self.limits, packet.len());
        let mut total = self.held_bytes;
        let mut dropped = 0;
        let entry = self.find_mut(next_hop);
        match entry {
            Some(entry) if matches!(entry.state, State::Incomplete { .. }) => {
                // The neighbour makes room out of its own: one that is flooded costs no other.
                while entry.held.len() >= limits.held_packets
                    || entry.held_bytes.saturating_add(len) > limits.held_bytes
                    || total.saturating_add(len) > limits.held_bytes_total
                {
                    let Some(oldest) = entry.held.pop_front() else { break };
                    entry.held_bytes = entry.held_bytes.saturating_sub(oldest.len());
                    total = total.saturating_sub(oldest.len());
                    dropped += 1;
                }
                if limits.held_packets > 0
                    && len <= limits.held_bytes
                    && total.saturating_add(len) <= limits.held_bytes_total
                {
                    entry.held.push_back(packet);
                    entry.held_bytes = entry.held_bytes.saturating_add(len);
                    total = total.saturating_add(len);
                } else {
                    dropped += 1;
                }
            }
            // Refused at the limit, or resolved or failed since the caller asked.
            _ => dropped = 1,
        }
        self.held_bytes = total;
        self.counters.dropped += dropped;
        dropped
    }

    /// It has answered, and nothing has spoken against it since.
    pub(crate) fn is_reachable(&self, address: Address) -> bool {
        self.find(address).is_some_and(|entry| matches!(entry.state, State::Reachable { .. }))
    }

    /// An upper layer's proof that `next_hop` receives what we send: new data acknowledged.
    pub(crate) fn confirm(&mut self, now: Instant, next_hop: Address) {
        let until = now + self.reachable_time;
        let Some(entry) = self.find_mut(next_hop) else { return };
        match &mut entry.state {
            // The frequent case is one store.
            State::Reachable { until: known } => *known = until,
            // A contest is about who the neighbour is, which an upper layer cannot tell.
            State::Probe { .. } if entry.rival.is_some() => {}
            State::Stale | State::Delay | State::Probe { .. } => {
                self.set(next_hop, State::Reachable { until }, Instant::FAR_FUTURE);
            }
            State::Incomplete { .. } | State::Failed => {}
        }
    }

    /// Somebody says that `address` is at `mac`.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        address: Address,
        mac: Mac,
        claim: Claim,
    ) -> Learned {
        if mac.is_multicast() || mac == Mac::default() {
            return Learned::Ignored;
        }
        let Some(entry) = self.find_mut(address) else {
            // Only own need and those who ask for us make entries (RFC 826, N-1).
            if claim != Claim::Request || !self.insert(now, address, State::Stale, Some(mac)) {
                return Learned::Ignored;
            }
            return Learned::New;
        };
        match entry.state {
            State::Incomplete { .. } | State::Failed => {
                entry.mac = mac;
                self.settle(now, address, claim);
                self.release(address);
                Learned::Updated
            }
            State::Probe { .. } | State::Delay if mac == entry.mac && claim.is_reply() => {
                self.settle(now, address, claim);
                Learned::Updated
            }
            _ if mac == entry.mac || !claim.overrides() => Learned::Ignored,
            _ => {
                self.contest(now, address, mac);
                Learned::Ignored
            }
        }
    }

    /// Forgets who is where; what waits for an answer goes on waiting.
    pub(crate) fn forget(&mut self) {
        let known: Vec<Address> = self
            .entries
            .iter()
            .filter(|entry| !matches!(entry.state, State::Incomplete { .. }))
            .map(|entry| entry.address)
            .collect();
        for address in known {
            self.remove(address);
        }
    }

    /// It has neither a request to send nor a packet that waited.
    pub(crate) fn is_silent(&self) -> bool {
        self.solicits.is_empty() && self.released.is_empty()
    }

    /// The next request that is due.
    pub(crate) fn poll_solicit(&mut self) -> Option<Solicit> {
        self.solicits.pop_front()
    }

    /// The next held packet whose next hop is known now.
    pub(crate) fn poll_released(&mut self) -> Option<(Mac, Box<[u8]>)> {
        let (mac, packet) = self.released.pop_front()?;
        self.held_bytes = self.held_bytes.saturating_sub(packet.len());
        Some((mac, packet))
    }

    /// The next neighbour that was given up, with the packets that waited for it.
    pub(crate) fn poll_failed(&mut self) -> Option<(Address, Vec<Box<[u8]>>)> {
        let GivenUp { address, packets, .. } = self.failed.pop_front()?;
        let bytes: usize = packets.iter().map(|packet| packet.len()).sum();
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
        Some((address, packets))
    }

    /// When [`advance`](NeighborTable::advance) has something to do, or somebody is to be told of a
    /// neighbour that was given up, which is at once.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let failed = self.failed.front().map(|given_up| given_up.since);
        Instant::sooner(failed, self.timers.first().map(|(due, _)| *due))
    }

    /// Does what time has made due.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let Some(&(due, address)) = self.timers.first()
            && due <= now
        {
            self.timers.pop_first();
            self.fire(now, address);
        }
    }

    /// The entry's deadline has come: it is no longer in `timers`.
    fn fire(&mut self, now: Instant, address: Address) {
        let Some(entry) = self.find_mut(address) else { return };
        entry.due = Instant::FAR_FUTURE;
        match (entry.state, entry.rival) {
            (State::Incomplete { sent }, _) if sent < TRIES => {
                self.solicit(now, address, State::Incomplete { sent: sent + 1 });
            }
            (State::Incomplete { .. }, _) => self.give_up(now, address),
            (State::Delay, _) => self.probe(now, address),
            (State::Probe { sent: 1.. }, Some(rival)) => {
                entry.mac = rival;
                entry.rival = None;
                self.counters.switched += 1;
                // Unverified, and verified by its next use.
                self.set(address, State::Stale, Instant::FAR_FUTURE);
            }
            (State::Probe { sent }, _) if sent < TRIES => {
                self.solicit(now, address, State::Probe { sent: sent + 1 });
            }
            (State::Probe { .. }, _) => {
                self.counters.lost += 1;
                self.remove(address);
            }
            (State::Failed, _) => self.remove(address),
            (State::Reachable { .. } | State::Stale, _) => {}
        }
    }

    /// Begins to resolve `address`, unless a limit forbids it.
    fn start(&mut self, now: Instant, address: Address) {
        if self.incomplete.len() >= self.limits.incomplete && !self.give_up_oldest(now) {
            self.counters.refused += 1;
            return;
        }
        if self.insert(now, address, State::Incomplete { sent: 0 }, None) {
            self.incomplete.push_back(address);
            if let Some(entry) = self.find_mut(address) {
                entry.used = Some(now);
            }
            self.fire(now, address);
        }
    }

    /// Evicts the resolution that has waited longest, if it has had time for an answer.
    fn give_up_oldest(&mut self, now: Instant) -> bool {
        let Some(&oldest) = self.incomplete.front() else { return false };
        let patient = self
            .find(oldest)
            .is_some_and(|entry| entry.pinned || now - entry.created < MIN_PATIENCE);
        if patient {
            return false;
        }
        self.evict_one(now, oldest);
        true
    }

    /// Forgets a neighbour for a limit. Packets that waited for it are returned, as those that no
    /// answer came for are.
    fn evict_one(&mut self, now: Instant, address: Address) {
        self.counters.evicted += 1;
        let packets = self.find_mut(address).map(Entry::take_held).unwrap_or_default();
        self.remove(address);
        if !packets.is_empty() {
            self.counters.dropped += packets.len() as u64;
            self.failed.push_back(GivenUp { since: now, address, packets });
        }
    }

    /// Three requests without an answer: remembers that for a moment, and returns the packets.
    fn give_up(&mut self, now: Instant, address: Address) {
        self.counters.failed += 1;
        self.set(address, State::Failed, now + RETRANSMIT);
        let Some(entry) = self.find_mut(address) else { return };
        let packets = entry.take_held();
        self.failed.push_back(GivenUp { since: now, address, packets });
    }

    /// The neighbour's `mac` is known now: a reply proves both directions, another claim one.
    fn settle(&mut self, now: Instant, address: Address, claim: Claim) {
        if let Some(entry) = self.find_mut(address) {
            entry.rival = None;
        }
        if claim.is_reply() {
            let until = now + self.reachable_time;
            self.set(address, State::Reachable { until }, Instant::FAR_FUTURE);
        } else {
            self.set(address, State::Stale, Instant::FAR_FUTURE);
        }
    }

    /// Lets the held packets go.
    fn release(&mut self, address: Address) {
        let Some(entry) = self.find_mut(address) else { return };
        let (mac, held) = (entry.mac, entry.take_held());
        self.released.extend(held.into_iter().map(|packet| (mac, packet)));
    }

    /// Another `mac` claims to be a neighbour that we know: asks the one we know (N-2).
    fn contest(&mut self, now: Instant, address: Address, mac: Mac) {
        self.counters.contested += 1;
        let Some(entry) = self.find_mut(address) else { return };
        // The first rival stands: a second one may contest the winner.
        entry.rival = entry.rival.or(Some(mac));
        if !matches!(entry.state, State::Probe { .. }) {
            self.probe(now, address);
        }
    }

    /// Asks a known neighbour whether it is still there, at most once a second.
    fn probe(&mut self, now: Instant, address: Address) {
        let Some(entry) = self.find_mut(address) else { return };
        let due = entry.last_solicit.map_or(now, |last| now.max(last + RETRANSMIT));
        if due > now {
            self.set(address, State::Probe { sent: 0 }, due);
        } else {
            self.solicit(now, address, State::Probe { sent: 1 });
        }
    }

    /// Queues a request and waits for the answer in `state`.
    fn solicit(&mut self, now: Instant, address: Address, state: State) {
        self.set(address, state, now + RETRANSMIT);
        let Some(entry) = self.find_mut(address) else { return };
        entry.last_solicit = Some(now);
        let unicast = matches!(state, State::Probe { .. }).then_some(entry.mac);
        // One for each entry and second: only a caller that never drains can come to the limit.
        if self.solicits.len() < self.limits.entries {
            self.solicits.push_back(Solicit { target: address, unicast });
        }
    }

    /// The only place where states and deadlines change.
    fn set(&mut self, address: Address, state: State, due: Instant) {
        let Some(entry) = self.find_mut(address) else { return };
        let was = entry.due;
        let left = matches!(entry.state, State::Incomplete { .. })
            && !matches!(state, State::Incomplete { .. });
        (entry.state, entry.due) = (state, due);
        if !was.is_never() {
            self.timers.remove(&(was, address));
        }
        if !due.is_never() {
            self.timers.insert((due, address));
        }
        if left {
            // At most 64, and once in the life of an entry.
            self.incomplete.retain(|other| *other != address);
        }
    }

    /// Makes an entry; false when the table is full of what may not be evicted.
    fn insert(&mut self, now: Instant, address: Address, state: State, mac: Option<Mac>) -> bool {
        if self.entries.len() >= self.limits.entries && !self.evict(now) {
            self.counters.refused += 1;
            return false;
        }
        self.ranks = self.ranks.wrapping_add(1);
        let entry = Entry {
            address,
            mac: mac.unwrap_or_default(),
            rival: None,
            state,
            created: now,
            due: Instant::FAR_FUTURE,
            last_solicit: None,
            used: None,
            ranked: (None, self.ranks),
            pinned: self.pinned.contains(&address),
            held: VecDeque::new(),
            held_bytes: 0,
        };
        self.by_use.insert((entry.ranked, address));
        let secret = self.secret;
        self.entries.insert_unique(hash(secret, address), entry, |e| hash(secret, e.address));
        true
    }

    /// Forgets the least recently used entry that is not pinned. Entries that strangers made us
    /// learn were never used, so they go first and never push out who we talk to.
    fn evict(&mut self, now: Instant) -> bool {
        for _ in 0..EVICTION_STEPS {
            let Some((rank, address)) = self.by_use.pop_first() else { return false };
            let Some(entry) = self.find_mut(address) else { continue };
            if !entry.pinned && entry.used <= rank.0 {
                self.evict_one(now, address);
                return true;
            }
            // Used since it was ranked, or pinned: to its true place. Uses pay for these steps.
            let place = if entry.pinned { Some(Instant::FAR_FUTURE) } else { entry.used };
            entry.ranked = (place, rank.1);
            let ranked = entry.ranked;
            self.by_use.insert((ranked, address));
        }
        false
    }

    fn remove(&mut self, address: Address) {
        let Ok(found) =
            self.entries.find_entry(hash(self.secret, address), |entry| entry.address == address)
        else {
            return;
        };
        let (entry, _) = found.remove();
        self.timers.remove(&(entry.due, address));
        self.by_use.remove(&(entry.ranked, address));
        if matches!(entry.state, State::Incomplete { .. }) {
            self.incomplete.retain(|other| *other != address);
        }
        debug_assert!(entry.held.is_empty(), "only those that are asked for have packets waiting");
    }

    fn find(&self, address: Address) -> Option<&Entry> {
        self.entries.find(hash(self.secret, address), |entry| entry.address == address)
    }

    /// Most packets go where the one before went: then the hash is known.
    fn find_mut(&mut self, address: Address) -> Option<&mut Entry> {
        if self.latest.0 != address {
            self.latest = (address, hash(self.secret, address));
        }
        self.entries.find_mut(self.latest.1, |entry| entry.address == address)
    }
}

fn hash(secret: Secret, address: Address) -> u64 {
    match address.as_v4() {
        Some(bytes) => secret.table_hash(&bytes),
        None => secret.table_hash(address.octets()),
    }
}

#[cfg(test)]
#[path = "neighbor_tests.rs"]
mod tests;
