//! A FIFO threaded through the objects of an arena, by index: a ready list without memory.
//!
//! The link lives in the object, so that an object is on the list once or not at all, entering
//! and leaving cost O(1), and a burst of ten thousand ready sockets allocates nothing.

use super::arena::{Arena, Key, NIL};

/// An object's place in one queue. Eight bytes; the default is "not queued".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    prev: u32,
    next: u32,
}

/// No index of an object: no arena has four thousand million.
const UNQUEUED: u32 = NIL - 1;

impl Default for Link {
    fn default() -> Link {
        Link { prev: UNQUEUED, next: UNQUEUED }
    }
}

impl Link {
    fn is_queued(&self) -> bool {
        self.prev != UNQUEUED
    }
}

/// An object that can wait in the queue called `Q`: one link, one queue and one number for each
/// reason to wait, so that the compiler tells them apart.
pub(crate) trait Linked<const Q: usize> {
    /// The place in queue `Q`. Only the queue writes it.
    fn link(&mut self) -> &mut Link;
}

/// First in, first out, over the objects of one arena. Every operation is O(1).
///
/// Two rules for the owner: one arena has one queue of each number, and an object leaves its
/// queues (`remove`) before it leaves the arena.
#[derive(Clone, Debug)]
pub(crate) struct Queue<const Q: usize> {
    head: u32,
    tail: u32,
    len: u32,
}

impl<const Q: usize> Default for Queue<Q> {
    fn default() -> Self {
        Queue { head: NIL, tail: NIL, len: 0 }
    }
}

impl<const Q: usize> Queue<Q> {
    /// Appends the object. False, and nothing done, when it waits already or its key is stale.
    pub(crate) fn push<T: Linked<Q>>(&mut self, arena: &mut Arena<T>, key: Key<T>) -> bool {
        let Some(object) = arena.get_mut(key) else { return false };
        let link = object.link();
        if link.is_queued() {
            return false;
        }
        *link = Link { prev: self.tail, next: NIL };
        match arena.get_at_mut(self.tail) {
            Some(tail) => tail.link().next = key.index(),
            None => self.head = key.index(),
        }
        self.tail = key.index();
        self.len += 1;
        true
    }

    /// Takes the object that has waited longest.
    pub(crate) fn pop<T: Linked<Q>>(&mut self, arena: &mut Arena<T>) -> Option<Key<T>> {
        let key = self.front(arena)?;
        self.remove(arena, key);
        Some(key)
    }

    /// The object that has waited longest, left in its place.
    pub(crate) fn front<T>(&self, arena: &Arena<T>) -> Option<Key<T>> {
        let key = arena.key_at(self.head);
        debug_assert_eq!(key.is_some(), self.len > 0, "left the arena before its queue {Q}");
        key
    }

    /// Takes the object out of the line, wherever it stands. False when it was not in it.
    pub(crate) fn remove<T: Linked<Q>>(&mut self, arena: &mut Arena<T>, key: Key<T>) -> bool {
        let Some(object) = arena.get_mut(key) else { return false };
        let link = std::mem::take(object.link());
        if !link.is_queued() {
            return false;
        }
        match arena.get_at_mut(link.prev) {
            Some(prev) => prev.link().next = link.next,
            None => self.head = link.next,
        }
        match arena.get_at_mut(link.next) {
            Some(next) => next.link().prev = link.prev,
            None => self.tail = link.prev,
        }
        self.len -= 1;
        true
    }

    /// Objects waiting.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::naive::NaiveQueue;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Waiter {
        links: [Link; 2],
    }

    impl Linked<0> for Waiter {
        fn link(&mut self) -> &mut Link {
            &mut self.links[0]
        }
    }

    impl Linked<1> for Waiter {
        fn link(&mut self) -> &mut Link {
            &mut self.links[1]
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push(usize),
        Pop,
        Remove(usize),
        /// Out of the queue and out of the arena; another takes the slot.
        Replace(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0usize..8).prop_map(Op::Push),
            2 => Just(Op::Pop),
            1 => (0usize..8).prop_map(Op::Remove),
            1 => (0usize..8).prop_map(Op::Replace),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_its_twin(ops in prop::collection::vec(op(), 0..120)) {
            let mut arena = Arena::new(8);
            let mut keys: Vec<_> =
                (0..8).map(|_| arena.insert(Waiter::default()).ok().unwrap()).collect();
            let (mut real, mut naive) = (Queue::<0>::default(), NaiveQueue::default());
            // A second queue over the same objects, which always holds them all.
            let mut other = Queue::<1>::default();
            keys.iter().for_each(|key| assert!(other.push(&mut arena, *key)));
            for op in ops {
                match op {
                    Op::Push(at) => prop_assert_eq!(
                        real.push(&mut arena, keys[at]),
                        naive.push(keys[at].to_bits())
                    ),
                    Op::Pop => prop_assert_eq!(
                        real.pop(&mut arena).map(Key::to_bits),
                        naive.pop()
                    ),
                    Op::Remove(at) => prop_assert_eq!(
                        real.remove(&mut arena, keys[at]),
                        naive.remove(keys[at].to_bits())
                    ),
                    Op::Replace(at) => {
                        let old = keys[at];
                        prop_assert_eq!(
                            real.remove(&mut arena, old),
                            naive.remove(old.to_bits())
                        );
                        prop_assert!(other.remove(&mut arena, old));
                        prop_assert!(arena.remove(old).is_some());
                        keys[at] = arena.insert(Waiter::default()).ok().unwrap();
                        prop_assert!(other.push(&mut arena, keys[at]));
                        prop_assert!(!real.push(&mut arena, old), "a stale key waits nowhere");
                    }
                }
                prop_assert_eq!(real.len(), naive.len());
                prop_assert_eq!(real.is_empty(), naive.len() == 0);
                prop_assert_eq!(real.front(&arena).map(Key::to_bits), naive.front());
                prop_assert_eq!(other.len(), 8);
            }
        }
    }
}
