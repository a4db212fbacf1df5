//! A lazy hierarchical timer wheel: every deadline of the stack, each O(1) amortised.
//!
//! Time is counted in ticks of 2^16 ns (66 us): about the slack that Linux gives a sleeping
//! thread anyway, and finer than any timer of TCP needs. A tick number has 48 bits, so that eight
//! levels of 64 slots cover every `u64` nanosecond and nothing needs to be clamped. Deadlines are
//! rounded *up* to a tick: a timer never fires early, and at most one tick late.
//!
//! A node hangs at the level of the highest digit (base 64) in which its tick differs from the
//! wheel's own. When the wheel reaches a slot, its nodes drop to lower levels, or are due.
//!
//! Laziness, as in tokio's wheel: on every ACK a connection moves its retransmission deadline
//! later, or takes it back. Either is one store into the node, which stays where it hangs; the
//! wheel finds out when that slot comes up. The price is a rare wake-up for nothing.

/// Nanoseconds in a tick, as a power of two.
const TICK_SHIFT: u32 = 16;

/// Nanoseconds in a tick: by how much a timer can be late.
pub(crate) const TICK_NS: u64 = 1 << TICK_SHIFT;

/// Slots in a level, as a power of two: as many as a word of the bitmaps has bits.
const LEVEL_SHIFT: u32 = 6;
const SLOTS: usize = 1 << LEVEL_SHIFT;
const LEVELS: usize = 8;

/// Beyond every tick: the deadline of a node that is not armed.
const NEVER: u64 = 1 << (64 - TICK_SHIFT);

/// No node: the end of a list.
const NIL: u32 = u32::MAX;

/// Where a node hangs when it hangs nowhere.
const UNLINKED: u16 = u16::MAX;
/// Where a node hangs when it has been removed and waits to be used again.
const VACANT: u16 = u16::MAX - 1;

const _: () = assert!(LEVELS as u32 * LEVEL_SHIFT == 64 - TICK_SHIFT, "every tick has a slot");
const _: () = assert!(LEVELS * SLOTS < VACANT as usize, "every slot has a number");
const _: () = assert!(size_of::<Node>() <= 32, "two nodes in a cache line");

/// The name of one timer, good until it is removed. There is no guard against a stale one: the
/// owner keeps it inside the object whose timer it is, and removes both together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NodeId(u32);

#[derive(Clone, Debug)]
struct Node {
    /// What `pop_due` hands to the owner.
    token: u64,
    /// The deadline, in ticks; `NEVER` when disarmed. It may lie later than the slot does.
    tick: u64,
    prev: u32,
    /// The next node in the slot or, when vacant, in the free list.
    next: u32,
    /// Level and slot as one number, or `UNLINKED`, or `VACANT`.
    slot: u16,
}

/// Deadlines, one to a node. It holds 2 KiB and 32 bytes for each node of the busiest moment.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    nodes: Vec<Node>,
    free: u32,
    len: usize,
    /// The wheel's own time in ticks: no slot before it holds a node.
    elapsed: u64,
    /// Bit `l` is set when level `l` holds a node.
    levels: u8,
    /// Bit `s` of word `l` is set when slot `s` of level `l` holds a node.
    slots: [u64; LEVELS],
    /// The first node of each slot.
    heads: [u32; LEVELS * SLOTS],
    probes: u64,
}

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}

impl Wheel {
    /// A wheel at time zero, without nodes.
    pub(crate) fn new() -> Self {
        Wheel {
            nodes: Vec::new(),
            free: NIL,
            len: 0,
            elapsed: 0,
            levels: 0,
            slots: [0; LEVELS],
            heads: [NIL; LEVELS * SLOTS],
            probes: 0,
        }
    }

    /// Adds a node, disarmed. There is no limit here: the owner makes one node for each object,
    /// and objects have limits.
    pub(crate) fn insert(&mut self, token: u64) -> NodeId {
        let node = Node { token, tick: NEVER, prev: NIL, next: NIL, slot: UNLINKED };
        self.len += 1;
        if let Some(vacant) = self.nodes.get_mut(self.free as usize) {
            let id = NodeId(self.free);
            self.free = vacant.next;
            *vacant = node;
            return id;
        }
        let id = NodeId(self.nodes.len() as u32);
        // why: 2^32 nodes are 2^32 sockets, which no arena holds.
        assert!(id.0 < NIL, "a wheel has fewer nodes than an arena has indices");
        self.nodes.push(node);
        id
    }

    /// Takes the node out for good. O(1).
    pub(crate) fn remove(&mut self, node: NodeId) {
        if self.is_stale(node) {
            return;
        }
        self.unlink(node.0);
        let free = self.free;
        let vacant = self.node_mut(node.0);
        (vacant.slot, vacant.next) = (VACANT, free);
        self.free = node.0;
        self.len -= 1;
    }

    /// Sets the node's one deadline, in place of any it had. To a later one it is one store; to
    /// an earlier one the node is hung anew. A deadline that has passed is due at once.
    ///
    /// The last tick of the `u64` (in 584 years) never comes: `u64::MAX` is "no deadline".
    pub(crate) fn arm(&mut self, node: NodeId, at_ns: u64) {
        if self.is_stale(node) {
            return;
        }
        let tick = at_ns.div_ceil(TICK_NS);
        self.node_mut(node.0).tick = tick;
        let slot = self.nodes[node.0 as usize].slot;
        let found_in_time = match slot {
            UNLINKED => tick == NEVER,
            slot => self.start_of(slot) <= tick,
        };
        if !found_in_time {
            self.unlink(node.0);
            self.link(node.0);
        }
    }

    /// Takes the deadline back: one store, and the wheel unhangs the node when it comes by.
    pub(crate) fn disarm(&mut self, node: NodeId) {
        if !self.is_stale(node) {
            self.node_mut(node.0).tick = NEVER;
        }
    }

    /// Whether the node has a deadline that has not been popped.
    #[cfg(test)]
    pub(crate) fn is_armed(&self, node: NodeId) -> bool {
        !self.is_stale(node) && self.nodes[node.0 as usize].tick != NEVER
    }

    /// The token of a node whose deadline has come, which is disarmed by this; to be called until
    /// None. Deadlines of one tick come in no particular order. A clock that goes back is ignored.
    ///
    /// Amortised O(1): a node is moved at most once for each level that it drops through. An
    /// owner who arms for a time that has passed gets the node again in the same round.
    pub(crate) fn pop_due(&mut self, now_ns: u64) -> Option<u64> {
        let now = now_ns >> TICK_SHIFT;
        while let Some((slot, start)) = self.first_slot() {
            if start > now {
                break;
            }
            self.probes += 1;
            self.elapsed = self.elapsed.max(start);
            if slot < SLOTS as u16 {
                if let Some(token) = self.pop_from(slot) {
                    return Some(token);
                }
            } else {
                self.cascade(slot);
            }
        }
        // Nothing hangs between here and now, so that no slot is skipped.
        self.elapsed = self.elapsed.max(now);
        None
    }

    /// When to call `pop_due` next, in nanoseconds: no node is due before, though perhaps none
    /// is then either. None when there is nothing to wait for.
    ///
    /// Never later than the earliest deadline rounded up to its tick (or than the wheel's own time,
    /// when that has passed), and, once `pop_due(now)` has returned None, always later than `now`.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.first_slot().map(|(_, start)| start << TICK_SHIFT)
    }

    /// Slots opened and nodes touched since the beginning: the work done, for the test that
    /// it does not grow with the number of idle nodes.
    pub(crate) fn probes(&self) -> u64 {
        self.probes
    }

    /// Nodes, armed or not.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Pops from a slot of the lowest level, whose tick has come. None when all that hung there
    /// had been moved later or taken back.
    fn pop_from(&mut self, slot: u16) -> Option<u64> {
        while let Some(index) = self.first_node(slot) {
            self.probes += 1;
            self.unlink(index);
            let node = self.node_mut(index);
            let (token, tick) = (node.token, node.tick);
            if tick <= self.elapsed {
                self.node_mut(index).tick = NEVER;
                return Some(token);
            }
            self.link(index);
        }
        None
    }

    /// Empties a slot of a higher level, where the wheel stands, into the lower levels. All at
    /// once, for the wheel relies on the slots in which it stands being empty above level 0.
    fn cascade(&mut self, slot: u16) {
        while let Some(index) = self.first_node(slot) {
            self.probes += 1;
            self.unlink(index);
            self.link(index);
        }
    }

    /// The earliest slot that holds a node, and the tick at which it begins.
    ///
    /// A node of a higher level differs from `elapsed` in a higher digit, so that it comes after
    /// all nodes of lower levels; and no slot behind `elapsed` is occupied.
    fn first_slot(&self) -> Option<(u16, u64)> {
        let level = self.levels.trailing_zeros();
        let occupied = self.slots.get(level as usize)?;
        let slot = ((level << LEVEL_SHIFT) + occupied.trailing_zeros()) as u16;
        Some((slot, self.start_of(slot)))
    }

    fn first_node(&self, slot: u16) -> Option<u32> {
        Some(self.heads[slot as usize]).filter(|head| *head != NIL)
    }

    /// The tick at which an occupied slot begins: the digits of `elapsed` above the slot's level,
    /// the slot's own digit, zeros below.
    fn start_of(&self, slot: u16) -> u64 {
        let (level, digit) = split(slot);
        let shift = level as u32 * LEVEL_SHIFT;
        let above = shift + LEVEL_SHIFT;
        (self.elapsed >> above << above) | (digit as u64) << shift
    }

    /// Hangs an unlinked node where its deadline belongs, seen from `elapsed`.
    fn link(&mut self, index: u32) {
        let tick = self.nodes[index as usize].tick.max(self.elapsed);
        if tick == NEVER {
            return;
        }
        // The highest differing bit decides; no difference is the current slot of level 0.
        let level = ((tick ^ self.elapsed) | 1).ilog2() / LEVEL_SHIFT;
        let digit = (tick >> (level * LEVEL_SHIFT)) as usize % SLOTS;
        let slot = level as usize * SLOTS + digit;

        let head = std::mem::replace(&mut self.heads[slot], index);
        if let Some(head) = self.nodes.get_mut(head as usize) {
            head.prev = index;
        }
        let node = self.node_mut(index);
        (node.slot, node.prev, node.next) = (slot as u16, NIL, head);
        self.slots[level as usize] |= 1 << digit;
        self.levels |= 1 << level;
        self.probes += 1;
    }

    /// Unhangs a node, if it hangs anywhere.
    fn unlink(&mut self, index: u32) {
        let node = self.node_mut(index);
        let (slot, prev, next) = (node.slot, node.prev, node.next);
        if slot == UNLINKED {
            return;
        }
        node.slot = UNLINKED;
        if let Some(next) = self.nodes.get_mut(next as usize) {
            next.prev = prev;
        }
        if let Some(prev) = self.nodes.get_mut(prev as usize) {
            prev.next = next;
            return;
        }
        self.heads[slot as usize] = next;
        if next == NIL {
            let (level, digit) = split(slot);
            self.slots[level] &= !(1 << digit);
            if self.slots[level] == 0 {
                self.levels &= !(1 << level);
            }
        }
    }

    /// An owner's mistake, found in tests; elsewhere the call does nothing.
    fn is_stale(&self, node: NodeId) -> bool {
        let stale = self.nodes.get(node.0 as usize).is_none_or(|node| node.slot == VACANT);
        debug_assert!(!stale, "{node:?} was removed");
        stale
    }

    fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }
}

/// A slot's number as its level and its digit in that level.
fn split(slot: u16) -> (usize, usize) {
    (slot as usize / SLOTS, slot as usize % SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::naive::NaiveWheel;
    use proptest::prelude::*;

    const NODES: usize = 12;

    #[derive(Clone, Debug)]
    enum Op {
        /// Node, and a deadline relative to now (or, negative, before it).
        Arm(usize, i64),
        ArmAt(usize, u64),
        Disarm(usize),
        /// Removes the node and inserts another.
        Replace(usize),
        /// Time passes.
        Pass(u64),
        /// Time passes to the wheel's own next look.
        Follow,
    }

    /// Spans of every magnitude, so that every level is used.
    fn span() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0u32..48).prop_map(|(bits, shift)| bits >> 16 >> shift)
    }

    fn op() -> impl Strategy<Value = Op> {
        let node = || 0..NODES;
        prop_oneof![
            4 => (node(), span()).prop_map(|(at, span)| Op::Arm(at, span as i64)),
            1 => (node(), span()).prop_map(|(at, span)| Op::Arm(at, -(span as i64))),
            1 => (node(), any::<u64>()).prop_map(|(at, when)| Op::ArmAt(at, when)),
            1 => (node(), Just(u64::MAX)).prop_map(|(at, when)| Op::ArmAt(at, when)),
            1 => node().prop_map(Op::Disarm),
            1 => node().prop_map(Op::Replace),
            4 => span().prop_map(Op::Pass),
            4 => Just(Op::Follow),
        ]
    }

    /// Both wheels, and what they must agree on.
    struct Pair {
        real: Wheel,
        naive: NaiveWheel,
        ids: Vec<NodeId>,
        now: u64,
    }

    impl Pair {
        fn new(now: u64) -> Self {
            let (mut real, mut naive) = (Wheel::new(), NaiveWheel::new(TICK_NS));
            let ids = (0..NODES as u64).map(|token| real.insert(token)).collect();
            (0..NODES as u64).for_each(|token| naive.insert(token));
            Pair { real, naive, ids, now }
        }

        fn apply(&mut self, op: Op) {
            match op {
                Op::Arm(at, span) => self.arm(at, self.now.saturating_add_signed(span)),
                Op::ArmAt(at, when) => self.arm(at, when),
                Op::Disarm(at) => {
                    self.real.disarm(self.ids[at]);
                    self.naive.disarm(at as u64);
                }
                Op::Replace(at) => {
                    self.real.remove(self.ids[at]);
                    self.ids[at] = self.real.insert(at as u64);
                    self.naive.disarm(at as u64);
                }
                Op::Pass(span) => self.now = self.now.saturating_add(span),
                Op::Follow => self.now = self.real.next_ns().unwrap_or(self.now).max(self.now),
            }
        }

        fn arm(&mut self, at: usize, when: u64) {
            self.real.arm(self.ids[at], when);
            self.naive.arm(at as u64, when);
        }

        fn compare(&mut self) -> Result<(), TestCaseError> {
            if let Some(earliest) = self.naive.next_ns() {
                prop_assert!(
                    self.real.next_ns().is_some_and(|next| next <= earliest.max(self.now))
                );
            }
            let mut due: Vec<u64> = std::iter::from_fn(|| self.real.pop_due(self.now)).collect();
            due.sort();
            prop_assert_eq!(due, self.naive.pop_all_due(self.now));
            prop_assert!(self.real.next_ns().is_none_or(|next| next > self.now), "it spins");
            prop_assert_eq!(self.real.len(), NODES);
            for (token, id) in self.ids.iter().enumerate() {
                prop_assert_eq!(self.real.is_armed(*id), self.naive.is_armed(token as u64));
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn agrees_with_its_twin(
            start in prop_oneof![Just(0), any::<u64>(), Just(u64::MAX - (1 << 40))],
            ops in prop::collection::vec(op(), 0..120),
        ) {
            let mut pair = Pair::new(start);
            for op in ops {
                pair.apply(op);
                pair.compare()?;
            }
        }
    }

    #[test]
    fn never_early_and_at_most_a_tick_late() {
        for at in [0, 1, TICK_NS - 1, TICK_NS, TICK_NS + 1, 200_000_000, 7_200_000_000_001] {
            let mut wheel = Wheel::new();
            let node = wheel.insert(7);
            wheel.arm(node, at);
            if let Some(before) = at.checked_sub(1) {
                assert_eq!(wheel.pop_due(before), None, "{at} came early");
            }
            assert_eq!(wheel.pop_due(at + TICK_NS - 1), Some(7), "{at} came late");
            assert_eq!(wheel.pop_due(u64::MAX), None, "{at} came twice");
        }
    }

    #[test]
    fn no_deadline_is_never_due() {
        let mut wheel = Wheel::new();
        let node = wheel.insert(1);
        wheel.arm(node, u64::MAX);
        assert_eq!((wheel.next_ns(), wheel.is_armed(node)), (None, false));
        assert_eq!(wheel.pop_due(u64::MAX), None);
        wheel.arm(node, 0);
        assert_eq!(wheel.pop_due(u64::MAX), Some(1), "the past is due, even at the end of time");
    }

    /// Law 5: the work of one connection does not grow with what hangs beside it.
    #[test]
    fn idle_nodes_cost_nothing() {
        let work_beside = |idle: u64| {
            let mut wheel = Wheel::new();
            for token in 1..=idle {
                let node = wheel.insert(token);
                wheel.arm(node, 7_200_000_000_000 + token * 1_000);
            }
            let node = wheel.insert(0);
            let before = wheel.probes();
            for now in (0..5_000_000_000).step_by(1_000_000) {
                // An ACK each millisecond moves the timer; every second one really expires.
                wheel.arm(node, now + if now % 1_000_000_000 == 0 { 0 } else { 200_000_000 });
                while wheel.pop_due(now).is_some() {}
            }
            wheel.probes() - before
        };
        let (alone, crowded) = (work_beside(0), work_beside(100_000));
        assert_eq!(alone, crowded);
        assert!(alone < 3 * 5_000, "{alone} probes for 5,000 ACKs");
    }
}
