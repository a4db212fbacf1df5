//! Fragments: putting datagrams together (RFC 791 §3.2, RFC 1122 §3.3.2, RFC 8200 §4.5) and
//! cutting them up.
//!
//! A datagram under reassembly is its bytes and two bitmaps with one bit for each 8 bytes: which
//! are there, and where fragments begin. So a fragment costs its length and no more, however many
//! there are and in whatever order: there is no list of holes to grow (CVE-2018-5391).

use crate::time::Instant;
use crate::wire::address::Address;
use crate::wire::ecn::{Codepoint, Seen};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Fragments begin at multiples of this (RFC 791 §3.1).
const UNIT: usize = 8;
/// The longest IP packet, and with it the longest payload, header included for IPv4.
const MAX_PACKET: usize = 65_535;
/// Charged for each datagram beside its bytes and its header: its entries in the tables.
const OVERHEAD: usize = 512;

/// The limits of reassembly, each with what happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Bytes of all datagrams under reassembly. At the limit a datagram is evicted: of the source
    /// that holds more than `fair_bytes` and most, or else of the source that has sent nothing
    /// for the longest time. Default 4 MiB.
    pub bytes: usize,
    /// Bytes of one source's datagrams. At the limit its oldest is evicted. Default 256 KiB.
    pub source_bytes: usize,
    /// Datagrams of one source. At the limit its oldest is evicted. Default 64.
    pub source_datagrams: usize,
    /// What a source may hold without being the first to lose some when all is full.
    /// Default 144 KiB: two datagrams of the largest size.
    pub fair_bytes: usize,
    /// A datagram must be complete so long after its first fragment. Default 30 s, as Linux for
    /// IPv4; RFC 1122 §3.3.2 would allow 60 to 120 s, and RFC 8200 §4.5 says 60 s: as many times
    /// the memory for a flood.
    pub timeout: Duration,
}

impl Default for FragmentLimits {
    fn default() -> FragmentLimits {
        FragmentLimits {
            bytes: 4 << 20,
            source_bytes: 256 << 10,
            source_datagrams: 64,
            fair_bytes: 144 << 10,
            timeout: Duration::from_secs(30),
        }
    }
}

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FragmentKey {
    pub(crate) src: Address,
    pub(crate) dst: Address,
    /// 16 bits in IPv4, 32 in IPv6.
    pub(crate) id: u32,
    /// In IPv4 the protocol (RFC 791 §3.2). In IPv6 none: fragments of one datagram may differ in
    /// the header that they say follows (RFC 8200 §4.5).
    pub(crate) protocol: Option<u8>,
}

/// The IP header of a fragment, and what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    /// With IPv6's extension headers, that of the fragment last.
    pub(crate) bytes: &'a [u8],
    /// The protocol (IPv4) or next header (IPv6).
    pub(crate) protocol: u8,
    /// It came in a frame for a group of stations.
    pub(crate) link_group: bool,
}

/// A datagram put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// The header of its first fragment, which is that of the whole (RFC 791 §3.2, RFC 8200 §4.5).
    pub(crate) header: Vec<u8>,
    /// What that one says.
    pub(crate) protocol: u8,
    pub(crate) payload: Vec<u8>,
    /// The ECN codepoint of all fragments.
    pub(crate) ecn: Codepoint,
    /// One of them came in a frame for a group of stations.
    pub(crate) link_group: bool,
}

/// What became of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Insert {
    /// It waits for the others.
    Held,
    /// It was the last that was missing.
    Complete(Whole),
    Dropped(FragmentDrop),
}

/// Why a fragment was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FragmentDrop {
    /// It contradicts what is there, and so the datagram is dropped too, with all its fragments
    /// until its timeout (F-2, F-8).
    Overlap,
    /// The datagram would be longer than a packet can be (F-3). It is dropped too.
    TooLong,
    /// Empty, or not the last and no multiple of 8 bytes.
    BadLength,
    /// No room, not even after eviction.
    Limit,
    /// It is there already, byte for byte.
    Duplicate,
    /// It belongs to a datagram that was dropped.
    Poisoned,
    /// Some of the datagram's fragments know ECN, others do not (RFC 3168 §5.3). It is dropped.
    Ecn,
}

/// A datagram that was not complete in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) src: Address,
    pub(crate) dst: Address,
    first: Option<First>,
    /// From the first byte to the last one known of.
    bytes: Vec<u8>,
    /// One that came, came in a frame for a group of stations.
    link_group: bool,
}

impl Expired {
    /// The first fragment with its payload, if it came: for Time Exceeded code 1, which is not sent
    /// otherwise (RFC 1122 §3.3.2).
    pub(crate) fn first(&self) -> Option<(Head<'_>, &[u8])> {
        let First { header, protocol, len } = self.first.as_ref()?;
        let (protocol, link_group) = (*protocol, self.link_group);
        Some((Head { bytes: header, protocol, link_group }, self.bytes.get(..*len)?))
    }
}

/// What is kept of the first fragment beside its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
struct First {
    header: Vec<u8>,
    /// What the header says.
    protocol: u8,
    /// Bytes of the payload.
    len: usize,
}

/// A datagram under reassembly.
#[derive(Clone)]
struct Partial {
    deadline: Instant,
    /// A number for equal deadlines.
    serial: u64,
    body: Body,
    charge: usize,
}

#[derive(Clone, Default)]
struct Body {
    /// From the first byte to the last one known of; holes are zero.
    bytes: Vec<u8>,
    /// One bit for each unit of `bytes`: it is there.
    present: Vec<u64>,
    /// One bit for each unit of `bytes`: a fragment begins here.
    begins: Vec<u64>,
    /// Bytes that are there.
    received: usize,
    /// The length of the whole, once the last fragment is there.
    total: Option<usize>,
    first: Option<First>,
    ecn: Seen,
    /// One came in a frame for a group of stations: what they make did, too.
    link_group: bool,
    /// The fragments contradicted each other: nothing is kept but the memory of it.
    poisoned: bool,
}

/// What one source holds.
#[derive(Clone, Default)]
struct Share {
    bytes: usize,
    active: u64,
    /// Its datagrams, oldest first; at most `source_datagrams`.
    keys: VecDeque<FragmentKey>,
}

/// Datagrams under reassembly.
#[derive(Clone)]
pub(crate) struct Reassembler {
    limits: FragmentLimits,
    now: Instant,
    partials: BTreeMap<FragmentKey, Partial>,
    deadlines: BTreeMap<(Instant, u64), FragmentKey>,
    shares: BTreeMap<Address, Share>,
    by_weight: BTreeSet<(usize, Address)>,
    by_activity: BTreeSet<(u64, Address)>,
    bytes: usize,
    serial: u64,
    evicted: u64,
}

impl Reassembler {
    pub(crate) fn new(limits: FragmentLimits) -> Reassembler {
        Reassembler {
            limits,
            now: Instant::ZERO,
            partials: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            shares: BTreeMap::new(),
            by_weight: BTreeSet::new(),
            by_activity: BTreeSet::new(),
            bytes: 0,
            serial: 0,
            evicted: 0,
        }
    }

    /// Takes one fragment in: `payload` stands at `offset` bytes of the datagram's, and `more`
    /// follow. `head` is this fragment's IP header, of which the first one's is kept.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        key: FragmentKey,
        offset: u32,
        more: bool,
        head: Head<'_>,
        payload: &[u8],
    ) -> Insert {
        let Head { bytes: header, protocol, link_group } = head;
        let offset = offset as usize;
        if offset == 0 && !more {
            // A whole datagram in the clothes of a fragment: nothing to do with others that have
            // its id (RFC 6946 §4).
            let ecn = Codepoint::of_header(header);
            let (header, payload) = (header.to_vec(), payload.to_vec());
            return Insert::Complete(Whole { header, protocol, payload, ecn, link_group });
        }
        let ragged = more && !payload.len().is_multiple_of(UNIT);
        if payload.is_empty() || ragged || !offset.is_multiple_of(UNIT) {
            return Insert::Dropped(FragmentDrop::BadLength);
        }
        self.touch(now, key);
        let end = offset.saturating_add(payload.len());
        let longest = match key.src.as_v4() {
            Some(_) => MAX_PACKET.saturating_sub(header.len()),
            // The fixed header and that of the fragment do not count (RFC 8200 §4.5).
            None => MAX_PACKET.saturating_sub(header.len().saturating_sub(48)),
        };
        if end > longest {
            return self.poison(key, FragmentDrop::TooLong);
        }
        let Some(partial) = self.partials.get_mut(&key) else {
            return Insert::Dropped(FragmentDrop::Limit);
        };
        match partial.body.check(offset, end, more, payload) {
            Ok(()) => {}
            Err(FragmentDrop::Overlap) => return self.poison(key, FragmentDrop::Overlap),
            Err(reason) => return Insert::Dropped(reason),
        }
        let header_len = if offset == 0 { header.len() } else { partial.body.header_len() };
        let room = partial.body.room_for(end, more) + header_len;
        if !self.charge(key, room) {
            return Insert::Dropped(FragmentDrop::Limit);
        }
        let Some(partial) = self.partials.get_mut(&key) else {
            return Insert::Dropped(FragmentDrop::Limit);
        };
        partial.body.write(offset, end, more, head, payload);
        if partial.body.total != Some(partial.body.received) {
            return Insert::Held;
        }
        let Some(partial) = self.remove(&key) else { return Insert::Held };
        let Body { first: Some(first), bytes: payload, ecn, link_group, .. } = partial.body else {
            return Insert::Held;
        };
        let First { header, protocol, .. } = first;
        match ecn.combined() {
            Some(ecn) => Insert::Complete(Whole { header, protocol, payload, ecn, link_group }),
            None => Insert::Dropped(FragmentDrop::Ecn),
        }
    }

    /// Time passes; then [`poll_expired`](Reassembler::poll_expired) has what did not make it.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The next datagram that was not complete in time. To be drained after `advance`.
    pub(crate) fn poll_expired(&mut self) -> Option<Expired> {
        let (&(deadline, _), &key) = self.deadlines.first_key_value()?;
        if deadline > self.now {
            return None;
        }
        let partial = self.remove(&key)?;
        let Body { first, bytes, link_group, .. } = partial.body;
        Some(Expired { src: key.src, dst: key.dst, first, bytes, link_group })
    }

    /// When the oldest datagram's time is over.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Bytes held, for the ledger; never more than the limit.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Datagrams under reassembly.
    pub(crate) fn len(&self) -> usize {
        self.partials.len()
    }

    /// Datagrams given up for a limit so far.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Finds or makes the datagram and marks its source as active.
    fn touch(&mut self, now: Instant, key: FragmentKey) {
        self.serial = self.serial.wrapping_add(1);
        if !self.partials.contains_key(&key) {
            let full = |share: &Share| share.keys.len() >= self.limits.source_datagrams.max(1);
            if self.shares.get(&key.src).is_some_and(full) {
                self.evict_of(key.src, None);
            }
            let deadline = now + self.limits.timeout;
            let partial =
                Partial { deadline, serial: self.serial, body: Body::default(), charge: 0 };
            self.partials.insert(key, partial);
            self.deadlines.insert((deadline, self.serial), key);
            self.shares.entry(key.src).or_default().keys.push_back(key);
        }
        let Some(share) = self.shares.get_mut(&key.src) else { return };
        self.by_activity.remove(&(share.active, key.src));
        share.active = self.serial;
        self.by_activity.insert((share.active, key.src));
    }

    /// Charges the datagram for `room` bytes of its own, evicting others; false, and the datagram
    /// is gone, if that is not possible.
    fn charge(&mut self, key: FragmentKey, room: usize) -> bool {
        // The bitmaps take two bits for each unit.
        let charge = room.saturating_add(room / 32).saturating_add(OVERHEAD);
        let Some(held) = self.partials.get(&key).map(|partial| partial.charge) else {
            return false;
        };
        let extra = charge.saturating_sub(held);
        let source_bytes = self.limits.source_bytes;
        let weight = |table: &Self| table.shares.get(&key.src).map_or(0, |share| share.bytes);
        while weight(self).saturating_add(extra) > source_bytes {
            if !self.evict_of(key.src, Some(key)) {
                self.evict(&key);
                return false;
            }
        }
        while self.bytes.saturating_add(extra) > self.limits.bytes {
            let victim = self.victim();
            if !victim.is_some_and(|source| self.evict_of(source, Some(key))) {
                self.evict(&key);
                return false;
            }
        }
        self.account(&key, charge);
        true
    }

    /// The source that loses a datagram when all is full. The heaviest one, while that holds more
    /// than a fair share; in a flood from many sources that hold little each, the one that has
    /// been silent longest: an honest datagram's fragments come together, so its source is not.
    fn victim(&self) -> Option<Address> {
        let (weight, heaviest) = *self.by_weight.last()?;
        if weight > self.limits.fair_bytes {
            return Some(heaviest);
        }
        self.by_activity.first().map(|(_, source)| *source)
    }

    /// Evicts the oldest datagram of `source`, other than `except`.
    fn evict_of(&mut self, source: Address, except: Option<FragmentKey>) -> bool {
        let Some(share) = self.shares.get(&source) else { return false };
        // The exception is one key, so this looks at two at most.
        let Some(key) = share.keys.iter().find(|key| Some(**key) != except).copied() else {
            return false;
        };
        self.evict(&key);
        true
    }

    fn evict(&mut self, key: &FragmentKey) {
        self.evicted += u64::from(self.remove(key).is_some());
    }

    /// Drops what there is of the datagram and, until its timeout, what comes.
    fn poison(&mut self, key: FragmentKey, reason: FragmentDrop) -> Insert {
        if let Some(partial) = self.partials.get_mut(&key) {
            let again = partial.body.poisoned;
            partial.body = Body { poisoned: true, ..Body::default() };
            if again {
                return Insert::Dropped(FragmentDrop::Poisoned);
            }
            self.account(&key, 0);
            self.charge(key, 0);
        }
        Insert::Dropped(reason)
    }

    /// Sets the datagram's charge; the only place where bytes are counted.
    fn account(&mut self, key: &FragmentKey, charge: usize) {
        let Some(partial) = self.partials.get_mut(key) else { return };
        let Some(share) = self.shares.get_mut(&key.src) else { return };
        let was = core::mem::replace(&mut partial.charge, charge);
        if was == charge {
            return;
        }
        self.by_weight.remove(&(share.bytes, key.src));
        share.bytes = share.bytes.saturating_sub(was).saturating_add(charge);
        self.by_weight.insert((share.bytes, key.src));
        self.bytes = self.bytes.saturating_sub(was).saturating_add(charge);
    }

    fn remove(&mut self, key: &FragmentKey) -> Option<Partial> {
        self.account(key, 0);
        let partial = self.partials.remove(key)?;
        self.deadlines.remove(&(partial.deadline, partial.serial));
        if let Some(share) = self.shares.get_mut(&key.src) {
            // At most `source_datagrams`.
            share.keys.retain(|other| other != key);
            if share.keys.is_empty() {
                self.by_weight.remove(&(share.bytes, key.src));
                self.by_activity.remove(&(share.active, key.src));
                self.shares.remove(&key.src);
            }
        }
        Some(partial)
    }
}

impl Body {
    /// May this fragment be added? Its length is right, and `end` possible.
    fn check(
        &self,
        offset: usize,
        end: usize,
        more: bool,
        payload: &[u8],
    ) -> Result<(), FragmentDrop> {
        if self.poisoned {
            return Err(FragmentDrop::Poisoned);
        }
        let fits = match self.total {
            Some(total) if more => end < total,
            Some(total) => end == total,
            // The last one must end where all others have ended before.
            None => more || end >= self.bytes.len(),
        };
        if !fits {
            return Err(FragmentDrop::Overlap);
        }
        let (from, to) = (offset / UNIT, end.div_ceil(UNIT));
        if !any_set(&self.present, from, to) {
            return Ok(());
        }
        // The same fragment again begins and ends where one did, and says the same.
        let begins = is_set(&self.begins, from) && !any_set(&self.begins, from + 1, to);
        let ends = !is_set(&self.present, to) || is_set(&self.begins, to);
        let same = self.bytes.get(offset..end) == Some(payload);
        let last = more || self.total == Some(end);
        Err(if begins && ends && same && last {
            FragmentDrop::Duplicate
        } else {
            FragmentDrop::Overlap
        })
    }

    /// Bytes kept of the first fragment's header: at most 60 of IPv4, and of IPv6 as many as its
    /// chain of headers may have.
    fn header_len(&self) -> usize {
        self.first.as_ref().map_or(0, |first| first.header.len())
    }

    /// The capacity to have for a fragment that ends at `end`: exact when the length is known,
    /// and else growing by doubling.
    fn room_for(&self, end: usize, more: bool) -> usize {
        let known = self.total.or((!more).then_some(end));
        let capacity = self.bytes.capacity();
        match known {
            Some(total) => total.max(capacity),
            None if end <= capacity => capacity,
            None => end.max(capacity.saturating_mul(2)).min(MAX_PACKET),
        }
    }

    /// Adds a fragment that was checked.
    fn write(&mut self, offset: usize, end: usize, more: bool, head: Head<'_>, payload: &[u8]) {
        let room = self.room_for(end, more);
        self.bytes.reserve_exact(room.saturating_sub(self.bytes.len()));
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            let words = end.div_ceil(UNIT).div_ceil(64);
            self.present.resize(words, 0);
            self.begins.resize(words, 0);
        }
        if let Some(place) = self.bytes.get_mut(offset..end) {
            place.copy_from_slice(payload);
        }
        set_all(&mut self.present, offset / UNIT, end.div_ceil(UNIT));
        set_all(&mut self.begins, offset / UNIT, offset / UNIT + 1);
        self.received = self.received.saturating_add(payload.len());
        self.ecn.add(Codepoint::of_header(head.bytes));
        self.link_group |= head.link_group;
        if !more {
            self.total = Some(end);
        }
        if offset == 0 {
            let (header, protocol) = (head.bytes.to_vec(), head.protocol);
            self.first = Some(First { header, protocol, len: payload.len() });
        }
    }
}

/// The words of a bitmap that hold the bits `from..to`, each with a mask of those bits.
fn words(from: usize, to: usize) -> impl Iterator<Item = (usize, u64)> {
    (from / 64..to.div_ceil(64)).map(move |word| {
        let low = from.saturating_sub(word * 64).min(64) as u32;
        let high = (to - word * 64).min(64) as u32;
        let below = |bits: u32| 1u64.checked_shl(bits).map_or(u64::MAX, |bit| bit - 1);
        (word, below(high) & !below(low))
    })
}

fn any_set(bitmap: &[u64], from: usize, to: usize) -> bool {
    from < to && words(from, to).any(|(at, mask)| bitmap.get(at).is_some_and(|w| w & mask != 0))
}

fn is_set(bitmap: &[u64], at: usize) -> bool {
    any_set(bitmap, at, at + 1)
}

fn set_all(bitmap: &mut [u64], from: usize, to: usize) {
    for (at, mask) in words(from, to) {
        if let Some(word) = bitmap.get_mut(at) {
            *word |= mask;
        }
    }
}

/// A fragment to be sent: `len` bytes of the payload at `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: usize,
    pub(crate) len: usize,
    /// It is not the last.
    pub(crate) more: bool,
}

/// The fragments of a payload for packets of `mtu` bytes with headers of `header_len` (RFC 791
/// §3.2). One piece if it fits; at least 8 bytes in each, so that it ends for any `mtu`.
pub(crate) fn fragments(
    payload_len: usize,
    mtu: usize,
    header_len: usize,
) -> impl Iterator<Item = Piece> {
    let room = mtu.saturating_sub(header_len);
    let step =
        if payload_len <= room { payload_len.max(1) } else { (room / UNIT * UNIT).max(UNIT) };
    let count = payload_len.div_ceil(step).max(1);
    (0..count).map(move |at| {
        let offset = at * step;
        let len = payload_len.saturating_sub(offset).min(step);
        Piece { offset, len, more: at + 1 < count }
    })
}

#[cfg(test)]
#[path = "fragment_tests.rs"]
mod tests;
