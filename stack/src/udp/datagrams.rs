//! A queue of datagrams whose bytes lie in one ring, so that none has an allocation of its own.

use std::collections::VecDeque;

/// Charged for each datagram beside its bytes, so that empty ones are not free.
pub(crate) const OVERHEAD: usize = 64;
/// An empty queue keeps a ring of at most so many bytes for the next datagram.
const KEEP: usize = 16 << 10;

/// Datagrams, each with an `M` that says where from or where to. First in, first out.
#[derive(Clone)]
pub(crate) struct Datagrams<M> {
    list: VecDeque<(M, usize)>,
    bytes: VecDeque<u8>,
}

impl<M> Default for Datagrams<M> {
    fn default() -> Self {
        Datagrams { list: VecDeque::new(), bytes: VecDeque::new() }
    }
}

impl<M> Datagrams<M> {
    /// What all of them are charged.
    pub(crate) fn charge(&self) -> usize {
        self.list.len().saturating_mul(OVERHEAD).saturating_add(self.bytes.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Appends a datagram if all then cost at most `limit`; its cost, or None.
    pub(crate) fn push(&mut self, meta: M, payload: &[u8], limit: usize) -> Option<usize>
    where
        M: Copy,
    {
        self.push_segments(meta, payload, payload.len(), limit)
    }

    /// As [`push`](Self::push), of datagrams of `size` bytes, the last of which may be shorter: all
    /// or none.
    pub(crate) fn push_segments(
        &mut self,
        meta: M,
        payload: &[u8],
        size: usize,
        limit: usize,
    ) -> Option<usize>
    where
        M: Copy,
    {
        let count = payload.len().div_ceil(size.max(1)).max(1);
        let cost = payload.len().saturating_add(count.saturating_mul(OVERHEAD));
        if self.charge().saturating_add(cost) > limit {
            return None;
        }
        let mut rest = payload.len();
        self.list.extend(
            core::iter::repeat_with(|| {
                let len = rest.min(size);
                rest -= len;
                (meta, len)
            })
            .take(count),
        );
        self.bytes.extend(payload);
        Some(cost)
    }

    /// The first datagram and its length.
    pub(crate) fn front(&self) -> Option<(&M, usize)> {
        self.list.front().map(|(meta, len)| (meta, *len))
    }

    /// Copies as much of the first datagram as fits; returns how much that was.
    pub(crate) fn peek(&self, out: &mut [u8]) -> Option<(&M, usize)> {
        let (meta, len) = self.front()?;
        let len = len.min(out.len());
        let (first, second) = self.bytes.as_slices();
        let cut = len.min(first.len());
        let (head, tail) = out.split_at_mut(cut);
        head.copy_from_slice(first.get(..cut)?);
        let rest = len - cut;
        tail.get_mut(..rest)?.copy_from_slice(second.get(..rest)?);
        Some((meta, len))
    }

    /// Takes the first datagram, as much of it as fits into `out`: the rest is lost.
    pub(crate) fn pop(&mut self, out: &mut [u8]) -> Option<(M, usize)> {
        let (_, copied) = self.peek(out)?;
        let (meta, len) = self.list.pop_front()?;
        self.bytes.drain(..len.min(self.bytes.len()));
        // Idle sockets shall cost little.
        if self.bytes.is_empty() && self.bytes.capacity() > KEEP {
            self.bytes = VecDeque::new();
        }
        Some((meta, copied))
    }

    /// Takes the first datagram whole; `out` holds nothing else afterwards.
    pub(crate) fn pop_into(&mut self, out: &mut Vec<u8>) -> Option<M> {
        out.clear();
        self.pop_onto(out)
    }

    /// Takes the first datagram whole, behind what `out` holds.
    pub(crate) fn pop_onto(&mut self, out: &mut Vec<u8>) -> Option<M> {
        let (_, len) = self.front()?;
        let start = out.len();
        out.resize(start + len, 0);
        self.pop(out.get_mut(start..)?).map(|(meta, _)| meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Push(Vec<u8>),
        Pop(usize),
        PopInto,
        Peek(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Op::Push),
            1 => (0usize..50).prop_map(Op::Pop),
            1 => Just(Op::PopInto),
            1 => (0usize..50).prop_map(Op::Peek),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_queue_of_vectors(ops in prop::collection::vec(op(), 0..100)) {
            let mut real = Datagrams::default();
            let mut naive = VecDeque::<(usize, Vec<u8>)>::new();
            let cut = |(n, payload): (usize, Vec<u8>), size: usize| {
                (n, payload[..size.min(payload.len())].to_vec())
            };
            for (n, op) in ops.into_iter().enumerate() {
                let mut out = vec![0xee; 64];
                match op {
                    Op::Push(payload) => {
                        let held: usize = naive.iter().map(|(_, p)| p.len() + 64).sum();
                        let cost = Some(payload.len() + 64).filter(|cost| held + cost <= 600);
                        prop_assert_eq!(real.push(n, &payload, 600), cost);
                        naive.extend(cost.map(|_| (n, payload)));
                    }
                    Op::Pop(size) => {
                        let wanted = naive.pop_front().map(|first| cut(first, size));
                        let got = real.pop(&mut out[..size]);
                        prop_assert_eq!(got.map(|(n, len)| (n, out[..len].to_vec())), wanted);
                    }
                    Op::PopInto => {
                        let got = real.pop_into(&mut out);
                        prop_assert_eq!(got.map(|n| (n, out)), naive.pop_front());
                    }
                    Op::Peek(size) => {
                        let wanted = naive.front().cloned().map(|first| cut(first, size));
                        let got = real.peek(&mut out[..size]).map(|(n, len)| (*n, len));
                        prop_assert_eq!(got.map(|(n, len)| (n, out[..len].to_vec())), wanted);
                    }
                }
                let held: usize = naive.iter().map(|(_, p)| p.len() + 64).sum();
                prop_assert_eq!((real.charge(), real.is_empty()), (held, naive.is_empty()));
                let front = naive.front().map(|(n, p)| (*n, p.len()));
                prop_assert_eq!(real.front().map(|(n, len)| (*n, len)), front);
            }
        }
    }

    #[test]
    fn an_emptied_queue_gives_its_memory_back() {
        let mut queue = Datagrams::default();
        assert!(queue.push((), &[0; 65_507], 70_000).is_some());
        queue.pop(&mut []);
        assert_eq!(queue.bytes.capacity(), 0);
    }
}
