//! Which TCP object a segment belongs to: one keyed-hash look-up for each packet (law 5,
//! THREATS R-14). The table holds places, not keys; the keys are in the objects.

use crate::random::Secret;
use crate::wire::address::FlowKey;
use hashbrown::HashTable;

/// Where an object is: its arena and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A connection's block.
    Live(u32),
    /// A half-open connection.
    HalfOpen(u32),
    /// A connection in TIME-WAIT.
    TimeWait(u32),
}

/// So many flows are remembered beside the table: one for each value of a byte.
const RECENT: usize = 1 << 8;

/// The table of all flows.
#[derive(Clone)]
pub(crate) struct Demux {
    table: HashTable<(Slot, u32)>,
    secret: Secret,
    probes: u64,
    /// What was found last, each flow in a place that its ports say. Whoever aims at one place
    /// costs the others the look into the table that they would have had without it.
    recent: Box<[Option<(FlowKey, Slot)>; RECENT]>,
}

impl Demux {
    pub(crate) fn new(secret: Secret) -> Demux {
        Demux { table: HashTable::new(), secret, probes: 0, recent: Box::new([None; RECENT]) }
    }

    /// Entries looked at so far (law 5's counter).
    pub(crate) fn probes(&self) -> u64 {
        self.probes
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The object of `flow`. `key_of` reads the key in the object at a place.
    pub(crate) fn find(
        &mut self,
        flow: &FlowKey,
        key_of: impl Fn(Slot) -> Option<FlowKey>,
    ) -> Option<Slot> {
        let recent = &mut self.recent[place(flow)];
        if let Some((_, slot)) = recent.filter(|(found, _)| found == flow) {
            self.probes += 1;
            return Some(slot);
        }
        let hash = hash(self.secret, flow);
        let tag = (hash >> 32) as u32;
        let probes = &mut self.probes;
        let found = self.table.find(hash, |&(slot, kept)| {
            *probes += 1;
            kept == tag && key_of(slot).as_ref() == Some(flow)
        });
        let slot = found.map(|&(slot, _)| slot)?;
        *recent = Some((*flow, slot));
        Some(slot)
    }

    /// Enters `flow`, which must not be there, at `slot`.
    pub(crate) fn insert(
        &mut self,
        flow: &FlowKey,
        slot: Slot,
        key_of: impl Fn(Slot) -> Option<FlowKey>,
    ) {
        let hash = hash(self.secret, flow);
        let secret = self.secret;
        self.table.insert_unique(hash, (slot, (hash >> 32) as u32), |&(slot, _)| {
            // Growing the table needs the hash of what is in it.
            key_of(slot).map_or(0, |key| self::hash(secret, &key))
        });
    }

    /// Moves `flow` from one place to another, or out with None.
    pub(crate) fn replace(&mut self, flow: &FlowKey, old: Slot, new: Option<Slot>) {
        self.recent[place(flow)] = None;
        let hash = hash(self.secret, flow);
        let Ok(entry) = self.table.find_entry(hash, |&(slot, _)| slot == old) else { return };
        match new {
            Some(slot) => entry.into_mut().0 = slot,
            None => {
                entry.remove();
            }
        }
    }
}

/// Where `flow` is remembered. Programs of one host often have ports of which only some bits
/// differ, but not the last: Linux gives even ones.
fn place(flow: &FlowKey) -> usize {
    let spread = (flow.remote.port ^ flow.local.port).wrapping_mul(0x9e37);
    usize::from(spread >> 8)
}

/// The shorter bytes of IPv4 take half the time.
fn hash(secret: Secret, flow: &FlowKey) -> u64 {
    match flow.to_bytes_v4() {
        Some(bytes) => secret.table_hash(&bytes),
        None => secret.table_hash(&flow.to_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use crate::wire::address::{Address, Endpoint};

    #[test]
    fn a_hundred_thousand_flows_cost_one_look() {
        let key = |i: u32| FlowKey {
            local: Endpoint::new(Address::v4([192, 0, 2, 2]), 80),
            remote: Endpoint::new(Address::v4((0xc612_0000 + (i >> 8)).to_be_bytes()), i as u16),
        };
        let key_of = |slot| match slot {
            Slot::Live(i) => Some(key(i)),
            _ => None,
        };
        let mut demux = Demux::new(Secret::derive(&Seed::from_number(3), "demux"));
        for i in 0..100_000 {
            demux.insert(&key(i), Slot::Live(i), key_of);
        }
        let before = demux.probes();
        for i in 0..100_000 {
            assert_eq!(demux.find(&key(i), key_of), Some(Slot::Live(i)));
        }
        let probes = demux.probes() - before;
        assert!(probes < 110_000, "{probes} looks for 100,000 finds");
        let nobody = |_| panic!("remembered");
        assert_eq!(demux.find(&key(99_999), nobody), Some(Slot::Live(99_999)));
        demux.replace(&key(99_999), Slot::Live(99_999), Some(Slot::HalfOpen(7)));
        let moved = |_| Some(key(99_999));
        assert_eq!(demux.find(&key(99_999), moved), Some(Slot::HalfOpen(7)), "where it is now");
        demux.replace(&key(99_999), Slot::HalfOpen(7), None);
        assert_eq!(demux.find(&key(99_999), key_of), None, "and forgotten");
        demux.insert(&key(99_999), Slot::Live(99_999), key_of);
        demux.replace(&key(5), Slot::Live(5), Some(Slot::TimeWait(9)));
        demux.replace(&key(6), Slot::Live(6), None);
        assert_eq!(demux.find(&key(6), key_of), None);
        assert_eq!(demux.len(), 99_999);
    }
}
