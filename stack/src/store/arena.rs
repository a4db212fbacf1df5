//! A slab with generations: objects at fixed indices, named by keys that cannot be confused.
//!
//! A key is an index and the generation of its slot. Removing an object bumps the generation, so
//! a key that outlived its object finds nothing: *never* the object which took the slot after it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// No slot: the end of a list. No arena has a slot with this index.
pub(crate) const NIL: u32 = u32::MAX;

/// The name of one object, valid until that object is removed and naming nothing ever after.
pub(crate) struct Key<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// The slot: small, dense, and used again by later objects.
    pub(crate) fn index(self) -> u32 {
        self.index
    }

    /// The whole key as a number, for tokens that travel outside the engine.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key behind a number. Any number will do: one that `to_bits` did not make names nothing
    /// or, like a good guess, a live object; it is no proof of ownership.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Key { index: bits as u32, generation: (bits >> 32) as u32, of: PhantomData }
    }
}

// Written by hand, because a derive would ask `T` for the same traits.
impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}

impl<T> Eq for Key<T> {}

impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_bits().cmp(&other.to_bits())
    }
}

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bits().hash(state);
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.index, self.generation)
    }
}

/// Objects of one type, at most `limit` of them. Every operation is O(1), but for `iter`.
///
/// Memory is one `Vec` of slots, which doubles when needed and never shrinks; vacant slots are
/// threaded into a free list, last in first out, so that the warmest memory is used first.
#[derive(Clone, Debug)]
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: usize,
    limit: usize,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u32,
    state: State<T>,
}

#[derive(Clone, Debug)]
enum State<T> {
    Occupied(T),
    Vacant { next: u32 },
}

impl<T> State<T> {
    fn object(&self) -> Option<&T> {
        match self {
            State::Occupied(object) => Some(object),
            State::Vacant { .. } => None,
        }
    }

    fn object_mut(&mut self) -> Option<&mut T> {
        match self {
            State::Occupied(object) => Some(object),
            State::Vacant { .. } => None,
        }
    }
}

impl<T> Arena<T> {
    /// An empty arena of at most `limit` objects; it holds no memory yet.
    pub(crate) fn new(limit: usize) -> Self {
        Arena { slots: Vec::new(), free: NIL, len: 0, limit: limit.min(NIL as usize) }
    }

    /// Takes the object in and names it, or hands it back when the arena is at its limit.
    pub(crate) fn insert(&mut self, object: T) -> Result<Key<T>, T> {
        if self.len >= self.limit {
            return Err(object);
        }
        let index = self.free;
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return self.insert_at_end(object);
        };
        let was = std::mem::replace(&mut slot.state, State::Occupied(object));
        if let State::Vacant { next } = was {
            self.free = next;
        }
        self.len += 1;
        Ok(self.name(index))
    }

    /// Makes a new slot. Retired slots (see `remove`) use up indices too, so that this could fail
    /// below the limit, after 2^32 removals for each of them.
    fn insert_at_end(&mut self, object: T) -> Result<Key<T>, T> {
        match u32::try_from(self.slots.len()) {
            Ok(index) if index < NIL => {
                self.slots.push(Slot { generation: 0, state: State::Occupied(object) });
                self.len += 1;
                Ok(self.name(index))
            }
            _ => Err(object),
        }
    }

    /// Takes the object out. Its key, and all copies of it, name nothing from now on.
    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation || slot.state.object().is_none() {
            return None;
        }
        let taken = std::mem::replace(&mut slot.state, State::Vacant { next: self.free });
        // A slot whose generations are used up is retired: it stays vacant, outside the free list,
        // for starting again at zero would revive its first key.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            self.free = key.index;
        }
        self.len -= 1;
        match taken {
            State::Occupied(object) => Some(object),
            State::Vacant { .. } => None,
        }
    }

    /// The object of this name, if it still lives.
    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.generation == key.generation { slot.state.object() } else { None }
    }

    /// The object of this name, to be changed.
    pub(crate) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.state.object_mut() } else { None }
    }

    /// The key of whatever lives at this index now.
    pub(crate) fn key_at(&self, index: u32) -> Option<Key<T>> {
        self.get_at(index).map(|_| self.name(index))
    }

    /// Whatever lives at this index now.
    pub(crate) fn get_at(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.state.object()
    }

    /// Whatever lives at this index now, to be changed.
    pub(crate) fn get_at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.state.object_mut()
    }

    /// Living objects.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing lives here.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most objects that may live here at a time.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Every living object with its key, by index. O(slots ever used): for reports and for the
    /// end of the world, never for the path of a packet.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            let key = Key { index, generation: slot.generation, of: PhantomData };
            slot.state.object().map(|object| (key, object))
        })
    }

    /// The key of the slot at `index`, which exists.
    fn name(&self, index: u32) -> Key<T> {
        let generation = self.slots[index as usize].generation;
        Key { index, generation, of: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::naive::NaiveArena;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u16),
        Remove(usize),
        Change(usize, u16),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => any::<u16>().prop_map(Op::Insert),
            2 => any::<usize>().prop_map(Op::Remove),
            1 => (any::<usize>(), any::<u16>()).prop_map(|(at, value)| Op::Change(at, value)),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_its_twin(limit in 0usize..12, ops in prop::collection::vec(op(), 0..80)) {
            let (mut real, mut naive) = (Arena::new(limit), NaiveArena::new(limit));
            // Every key ever given out, dead ones too: they must go on naming nothing.
            let mut keys: Vec<(Key<u16>, u64)> = Vec::new();
            for op in ops {
                match op {
                    Op::Insert(value) => match (real.insert(value), naive.insert(value)) {
                        (Ok(key), Ok(twin)) => keys.push((key, twin)),
                        (real, naive) => prop_assert_eq!(real.err(), naive.err()),
                    },
                    Op::Remove(at) if !keys.is_empty() => {
                        let (key, twin) = keys[at % keys.len()];
                        prop_assert_eq!(real.remove(key), naive.remove(twin));
                    }
                    Op::Change(at, value) if !keys.is_empty() => {
                        let (key, twin) = keys[at % keys.len()];
                        let was = real.get_mut(key).map(|held| std::mem::replace(held, value));
                        prop_assert_eq!(was, naive.replace(twin, value));
                    }
                    Op::Remove(_) | Op::Change(..) => {}
                }
                prop_assert_eq!(real.len(), naive.len());
                prop_assert_eq!(real.is_empty(), naive.len() == 0);
                prop_assert_eq!(real.iter().count(), real.len());
                for (key, twin) in &keys {
                    prop_assert_eq!(real.get(*key), naive.get(*twin));
                    let alive = real.get(*key).is_some();
                    prop_assert_eq!(real.key_at(key.index()) == Some(*key), alive);
                    prop_assert_eq!(Key::from_bits(key.to_bits()), *key);
                }
            }
        }
    }

    #[test]
    fn a_slot_without_generations_left_is_retired() {
        let mut arena = Arena::new(1);
        let first = arena.insert('a').unwrap();
        arena.slots[0].generation = u32::MAX;
        let last = arena.key_at(0).unwrap();
        assert_eq!(arena.remove(last), Some('a'));
        assert_eq!(arena.remove(last), None, "removed twice");

        let next = arena.insert('b').unwrap();
        assert_eq!(next.index(), 1, "the used-up slot is left alone");
        assert_eq!((arena.get(first), arena.get(last)), (None, None));
        assert_eq!(arena.insert('c'), Err('c'), "the limit counts the living");
    }

    #[test]
    fn an_index_beyond_the_end_names_nothing() {
        let mut arena: Arena<u8> = Arena::new(usize::MAX);
        assert_eq!(arena.limit(), NIL as usize);
        let stranger = Key::from_bits(u64::MAX);
        assert_eq!((arena.get(stranger), arena.key_at(NIL)), (None, None));
        assert_eq!((arena.remove(stranger), arena.get_at_mut(7)), (None, None));
    }
}
