//! Text that waits to be sent and acknowledged: copied into a ring, or left in the memory of
//! whoever wrote it, which it shares.
//!
//! ```text
//!   head                                                tail
//!    |-- ring --|------ shared ------|- ring -|-- shared --|
//! ```
//!
//! Whatever is not shared is in the ring, in order and without gaps. Each shared piece knows its
//! own place in the text and how much before it is shared as well; the rest of a place is the
//! ring's. Where nothing is shared, all of this costs a look at one word.

use super::ring::Ring;
use bytes::Bytes;
use std::collections::VecDeque;

/// The least that is shared, bytes: what is shorter is copied sooner than it is kept track of.
pub(crate) const SHARED_LEAST: usize = 1 << 10;

/// A queue of bytes, at most as many as its ring may hold.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    ring: Ring,
    /// None until something is shared, and again when the memory is given back.
    shared: Option<Box<Shared>>,
}

/// The shared pieces. Positions count from where the head was when the first one came.
#[derive(Clone, Debug, Default)]
struct Shared {
    pieces: VecDeque<Piece>,
    /// Where the head is.
    head: u64,
    /// Bytes before the head that were shared.
    passed: u64,
}

#[derive(Clone, Debug)]
struct Piece {
    start: u64,
    /// Bytes before it that are, or were, shared.
    before: u64,
    bytes: Bytes,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Bytes up to its end that are, or were, shared.
    fn through(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }
}

impl Text {
    /// No text, and at most `cap` bytes of it.
    pub(crate) fn new(cap: usize) -> Text {
        Text { ring: Ring::new(cap), shared: None }
    }

    /// Bytes of text.
    pub(crate) fn len(&self) -> usize {
        self.ring.len() + self.shared_len()
    }

    /// The most bytes of text.
    pub(crate) fn cap(&self) -> usize {
        self.ring.cap()
    }

    /// Moves the limit, never below what is held.
    pub(crate) fn set_cap(&mut self, cap: usize) {
        self.ring.set_cap(cap.max(self.len()));
    }

    /// Bytes of room.
    pub(crate) fn free(&self) -> usize {
        self.cap().saturating_sub(self.len())
    }

    /// Bytes of memory held, with those that are shared.
    pub(crate) fn allocated(&self) -> usize {
        self.ring.allocated() + self.shared_len()
    }

    /// What is copied lies here: it may be lent and filled, as far as there is room for it.
    pub(crate) fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }

    /// Appends bytes that stay where they are; the caller sees to it that there is room.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        debug_assert!(bytes.len() <= self.free(), "{} bytes do not fit", bytes.len());
        let len = self.len() as u64;
        let shared = self.shared.get_or_insert_default();
        let (start, before) = (shared.head + len, shared.through());
        shared.pieces.push_back(Piece { start, before, bytes });
    }

    /// `len` bytes from `offset`, if they lie in no more than two places, the second empty if they
    /// lie in one. None if they lie in more.
    pub(crate) fn peek(&self, offset: usize, len: usize) -> Option<[&[u8]; 2]> {
        if self.sharing().is_none() {
            return Some(self.ring.peek(offset, len));
        }
        let len = len.min(self.len().saturating_sub(offset));
        let [first, wrapped] = self.run(offset, len);
        let got = first.len() + wrapped.len();
        if got == len {
            return Some([first, wrapped]);
        }
        let [second, rest] = self.run(offset + got, len - got);
        let in_two = wrapped.is_empty() && rest.is_empty() && got + second.len() == len;
        in_two.then_some([first, second])
    }

    /// `len` bytes from `offset`, run by run.
    pub(crate) fn runs(&self, offset: usize, len: usize) -> impl Iterator<Item = &[u8]> {
        let (mut offset, end) = (offset, (offset + len).min(self.len()));
        core::iter::from_fn(move || {
            let run = (offset < end).then(|| self.run(offset, end - offset))?;
            offset += run[0].len() + run[1].len();
            Some(run)
        })
        .flatten()
    }

    /// As much of `len` bytes from `offset`, which are there, as is all in the ring or in one
    /// shared piece.
    fn run(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        let Some(shared) = self.sharing() else { return self.ring.peek(offset, len) };
        let at = shared.head + offset as u64;
        let next = shared.pieces.partition_point(|piece| piece.end() <= at);
        let before = match shared.pieces.get(next) {
            Some(piece) if piece.start <= at => {
                let bytes = &piece.bytes[(at - piece.start) as usize..];
                return [&bytes[..len.min(bytes.len())], &[]];
            }
            Some(piece) => piece.before,
            None => shared.through(),
        };
        let until = shared.pieces.get(next).map_or(len, |piece| (piece.start - at) as usize);
        self.ring.peek(offset - (before - shared.passed) as usize, len.min(until))
    }

    /// Drops `n` bytes at the head, or all there are; returns how many of them were shared. Pieces
    /// that are over go to `gone`: what drops them is the program's, and may panic.
    pub(crate) fn consume(&mut self, n: usize, gone: &mut Vec<Bytes>) -> usize {
        let Some(shared) = &mut self.shared else {
            self.ring.consume(n);
            return 0;
        };
        let n = n.min(self.ring.len() + shared.len());
        let passed = shared.pass(n, gone);
        self.ring.consume(n - passed);
        passed
    }

    /// Gives the memory back if there is no text.
    pub(crate) fn release_if_empty(&mut self) {
        self.ring.release_if_empty();
        if self.sharing().is_none() {
            self.shared = None;
        }
    }

    /// Some of the text is shared.
    pub(crate) fn is_shared(&self) -> bool {
        self.sharing().is_some()
    }

    fn sharing(&self) -> Option<&Shared> {
        self.shared.as_deref().filter(|shared| !shared.pieces.is_empty())
    }

    fn shared_len(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.len())
    }
}

impl Shared {
    fn through(&self) -> u64 {
        self.pieces.back().map_or(self.passed, Piece::through)
    }

    fn len(&self) -> usize {
        (self.through() - self.passed) as usize
    }

    /// Moves the head over `n` bytes; returns how many of them were shared.
    fn pass(&mut self, n: usize, gone: &mut Vec<Bytes>) -> usize {
        self.head += n as u64;
        let before = self.passed;
        while let Some(first) = self.pieces.front().filter(|piece| piece.start < self.head) {
            self.passed = first.before + (self.head - first.start).min(first.bytes.len() as u64);
            if first.end() > self.head {
                break;
            }
            gone.extend(self.pieces.pop_front().map(|piece| piece.bytes));
        }
        (self.passed - before) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ring::copy_in;
    use crate::testing::naive::{NaiveRing, distinct_bytes};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Copy(usize),
        Share(usize),
        Peek(usize, usize),
        Consume(usize),
        SetCap(usize),
        Release,
    }

    fn op() -> impl Strategy<Value = Op> {
        let size = || prop_oneof![0usize..40, 0usize..3_000];
        prop_oneof![
            3 => size().prop_map(Op::Copy),
            4 => size().prop_map(Op::Share),
            4 => (size(), size()).prop_map(|(offset, len)| Op::Peek(offset, len)),
            4 => size().prop_map(Op::Consume),
            1 => (0usize..20_000).prop_map(Op::SetCap),
            1 => Just(Op::Release),
        ]
    }

    /// Both texts, and a source of bytes which all look different.
    struct Pair {
        real: Text,
        naive: NaiveRing,
        next: u32,
    }

    impl Pair {
        /// The next bytes, as many as there is room for.
        fn fresh(&mut self, len: usize) -> Vec<u8> {
            let start = self.next;
            self.next += len.min(self.real.free()) as u32;
            distinct_bytes(start..self.next)
        }

        fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
            match op {
                Op::Copy(len) => {
                    let bytes = self.fresh(len);
                    let ring = self.real.ring();
                    let written = copy_in(&bytes, ring.lend(bytes.len()));
                    ring.fill(written);
                    prop_assert_eq!(written, self.naive.push(&bytes));
                }
                Op::Share(len) => {
                    let bytes = self.fresh(len);
                    prop_assert_eq!(self.naive.push(&bytes), bytes.len());
                    if !bytes.is_empty() {
                        self.real.share(bytes.into());
                    }
                }
                Op::Peek(offset, len) => self.peek(offset, len)?,
                Op::Consume(len) => {
                    let before = self.real.shared_len();
                    let passed = self.real.consume(len, &mut Vec::new());
                    prop_assert_eq!(before - self.real.shared_len(), passed);
                    self.naive.consume(len);
                }
                Op::SetCap(cap) => {
                    self.real.set_cap(cap);
                    self.naive.set_cap(cap);
                }
                Op::Release => {
                    self.real.release_if_empty();
                    prop_assert!(self.real.len() > 0 || self.real.allocated() == 0);
                }
            }
            Ok(())
        }

        /// What lies in two places is found there; what does not is found run by run.
        fn peek(&self, offset: usize, len: usize) -> Result<(), TestCaseError> {
            let expected = self.naive.peek(offset, len);
            let runs: Vec<&[u8]> =
                self.real.runs(offset, len).filter(|run| !run.is_empty()).collect();
            prop_assert_eq!(runs.concat(), expected.clone());
            match self.real.peek(offset, len) {
                Some(parts) => prop_assert_eq!(parts.concat(), expected),
                None => prop_assert!(runs.len() > 2),
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn agrees_with_its_twin(
            cap in 0usize..20_000,
            ops in prop::collection::vec(op(), 0..60),
        ) {
            let mut pair = Pair { real: Text::new(cap), naive: NaiveRing::new(cap), next: 0 };
            for op in ops {
                pair.apply(op)?;
                let Pair { real, naive, .. } = &pair;
                prop_assert_eq!((real.len(), real.cap()), (naive.len(), naive.cap()));
                prop_assert_eq!(real.free(), real.cap() - real.len());
                pair.peek(0, naive.len())?;
            }
        }
    }

    #[test]
    fn what_is_shared_is_let_go_when_it_is_consumed() {
        let (mut text, bytes) = (Text::new(1 << 16), Bytes::from(vec![7; 10_000]));
        text.share(bytes.slice(..6_000));
        text.share(bytes.slice(6_000..));
        assert_eq!((text.len(), text.allocated(), bytes.is_unique()), (10_000, 10_000, false));
        let mut gone = Vec::new();
        assert_eq!((text.consume(5_999, &mut gone), text.allocated()), (5_999, 4_001));
        assert_eq!(text.peek(0, 4_001).unwrap().map(<[u8]>::len), [1, 4_000]);
        assert_eq!((gone.len(), text.consume(usize::MAX, &mut gone)), (0, 4_001));
        assert_eq!(gone.iter().map(Bytes::len).collect::<Vec<_>>(), [6_000, 4_000]);
        drop(gone);
        assert!(bytes.is_unique());
    }
}
