//! A sequence that is filled at its end, emptied from its front, searched, and now and then added
//! to in the middle: a deque of short deques. What is put into the middle moves the elements of one
//! short deque, and never all that lie behind.
//!
//! ```text
//!   front -> [ a b ] [ c d e f g h ] [ i j k l ] <- back
//! ```
//!
//! None has more than `MOST`, and none is empty but the last one left.

use std::collections::VecDeque;

/// Most elements of a link.
const MOST: usize = 64;

/// Elements in the order of their own. No memory until the first of them.
#[derive(Clone, Debug)]
pub(crate) struct Chain<T> {
    links: VecDeque<VecDeque<T>>,
    len: usize,
    /// A link that became empty: what flows through allocates nothing.
    spare: VecDeque<T>,
}

/// Where an element is, until something is put in or taken out elsewhere than at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    link: usize,
    slot: usize,
}

impl<T> Default for Chain<T> {
    fn default() -> Chain<T> {
        Chain::new()
    }
}

impl<T> Chain<T> {
    pub(crate) const fn new() -> Chain<T> {
        Chain { links: VecDeque::new(), len: 0, spare: VecDeque::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory held.
    pub(crate) fn allocated(&self) -> usize {
        let elements: usize = self.links.iter().map(VecDeque::capacity).sum();
        (elements + self.spare.capacity()) * size_of::<T>()
            + self.links.capacity() * size_of::<VecDeque<T>>()
    }

    /// O(1).
    pub(crate) fn push_back(&mut self, element: T) {
        self.len += 1;
        match self.links.back_mut() {
            Some(last) if last.len() < MOST => last.push_back(element),
            _ => {
                let mut link = core::mem::take(&mut self.spare);
                link.push_back(element);
                self.links.push_back(link);
            }
        }
    }

    /// O(1).
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let first = self.links.front_mut()?;
        let element = first.pop_front();
        if first.is_empty() && self.links.len() > 1 {
            self.spare = self.links.pop_front().unwrap_or_default();
        }
        self.len -= usize::from(element.is_some());
        element
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.links.front()?.front()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.links.front_mut()?.front_mut()
    }

    pub(crate) fn back(&self) -> Option<&T> {
        self.links.back()?.back()
    }

    /// The place of the first element.
    pub(crate) fn first(&self) -> Place {
        Place { link: 0, slot: 0 }
    }

    /// The place of the first element that is not `before`, as all of those behind it are not: the
    /// end, if all are. O(log n).
    pub(crate) fn partition(&self, before: impl Fn(&T) -> bool) -> Place {
        let link = self.links.partition_point(|link| link.back().is_some_and(&before));
        let slot = self.links.get(link).map_or(0, |link| link.partition_point(&before));
        Place { link, slot }
    }

    /// The place behind.
    pub(crate) fn next(&self, at: Place) -> Place {
        match self.links.get(at.link) {
            Some(link) if at.slot + 1 < link.len() => Place { slot: at.slot + 1, ..at },
            _ => Place { link: at.link + 1, slot: 0 },
        }
    }

    /// None at the end.
    pub(crate) fn get(&self, at: Place) -> Option<&T> {
        self.links.get(at.link)?.get(at.slot)
    }

    pub(crate) fn get_mut(&mut self, at: Place) -> Option<&mut T> {
        self.links.get_mut(at.link)?.get_mut(at.slot)
    }

    /// Puts `element` before the one at `at`, or at the end. Returns its place.
    pub(crate) fn insert(&mut self, mut at: Place, element: T) -> Place {
        let Some(link) = self.links.get_mut(at.link) else {
            self.push_back(element);
            let link = self.links.len() - 1;
            return Place { link, slot: self.links[link].len() - 1 };
        };
        if link.len() == MOST {
            let rest = link.split_off(MOST / 2);
            self.links.insert(at.link + 1, rest);
            if at.slot > MOST / 2 {
                at = Place { link: at.link + 1, slot: at.slot - MOST / 2 };
            }
        }
        self.links[at.link].insert(at.slot, element);
        self.len += 1;
        at
    }

    /// Takes the element at `at` out: the one behind it is there then, or at the next link's
    /// beginning.
    pub(crate) fn remove(&mut self, at: Place) -> Option<T> {
        let link = self.links.get_mut(at.link)?;
        let element = link.remove(at.slot)?;
        self.len -= 1;
        if link.is_empty() && self.links.len() > 1 {
            self.links.remove(at.link);
        }
        Some(element)
    }

    /// The elements from the place on.
    pub(crate) fn iter_from(&self, at: Place) -> impl Iterator<Item = &T> {
        let links = self.links.iter().enumerate().skip(at.link);
        links.flat_map(move |(number, link)| {
            link.iter().skip(if number == at.link { at.slot } else { 0 })
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.links.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.links.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Push,
        Pop,
        /// Before the element that so many parts of a thousand lie before.
        Insert(usize),
        Remove(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => Just(Op::Push),
            2 => Just(Op::Pop),
            6 => (0usize..=1000).prop_map(Op::Insert),
            2 => (0usize..=1000).prop_map(Op::Remove),
        ]
    }

    /// A number that belongs before the element at `at`, or behind all.
    fn between(twin: &VecDeque<u64>, at: usize) -> Option<u64> {
        let low = if at == 0 { 0 } else { twin[at - 1] };
        let high = twin.get(at).copied().unwrap_or(low + (1 << 40));
        (high - low > 1).then(|| low + (high - low) / 2)
    }

    fn check(chain: &Chain<u64>, twin: &VecDeque<u64>) {
        assert_eq!(chain.len(), twin.len());
        assert_eq!((chain.front(), chain.back()), (twin.front(), twin.back()));
        assert!(chain.iter().eq(twin.iter()));
        let links = chain.links.iter();
        let few = usize::from(links.len() > 1);
        assert!(links.into_iter().all(|link| (few..=MOST).contains(&link.len())));
        let (mut at, mut walked) = (chain.first(), 0);
        while chain.get(at).is_some() {
            (at, walked) = (chain.next(at), walked + 1);
        }
        assert_eq!(walked, twin.len());
    }

    proptest! {
        #[test]
        fn it_is_a_deque(ops in proptest::collection::vec(op(), 0..1500)) {
            let (mut chain, mut twin) = (Chain::new(), VecDeque::new());
            for op in ops {
                match op {
                    Op::Push => {
                        if let Some(next) = between(&twin, twin.len()) {
                            chain.push_back(next);
                            twin.push_back(next);
                        }
                    }
                    Op::Pop => assert_eq!(chain.pop_front(), twin.pop_front()),
                    Op::Insert(part) => {
                        let index = twin.len() * part / 1000;
                        let Some(new) = between(&twin, index) else { continue };
                        let at = chain.partition(|&element| element < new);
                        let at = chain.insert(at, new);
                        twin.insert(index, new);
                        assert_eq!(chain.get(at), Some(&new));
                        assert!(chain.iter_from(at).eq(twin.range(index..)));
                    }
                    Op::Remove(part) => {
                        let index = twin.len() * part / 1000;
                        let Some(&old) = twin.get(index) else { continue };
                        let at = chain.partition(|&element| element < old);
                        assert_eq!(chain.remove(at), twin.remove(index));
                    }
                }
                check(&chain, &twin);
            }
        }
    }

    #[test]
    fn what_flows_through_allocates_two_links() {
        let mut chain = Chain::new();
        for number in 0..10_000 {
            chain.push_back(number);
            if number >= 10 {
                assert_eq!(chain.pop_front(), Some(number - 10));
            }
        }
        assert!(chain.allocated() <= 4 * MOST * size_of::<u64>(), "{}", chain.allocated());
    }
}
