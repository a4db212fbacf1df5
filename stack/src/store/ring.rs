//! A byte ring that begins without memory, grows with its text, and can give the memory back.
//!
//! ```text
//!          head            tail                high            cap
//!   --------|---- text -----|--- holes and -----|---- free -----|
//!           |<---- len ---->|   text ahead      |               |
//! ```
//!
//! Text that arrives out of order is written ahead of the tail, to its final place, once; when
//! the hole before it fills, the tail moves over it. Which bytes ahead are text and which are a
//! hole, the ring does not know: that is the assembler's part.

use core::fmt;
use std::ops::Range;

/// The least memory a ring holds, when it holds any: a request or a reply fits.
pub(crate) const LEAST_MEMORY: usize = 1 << 10;

/// What small memory holds before anything is written; nobody reads it.
const FILLER: u8 = 0xa5;

/// The highest limit of a ring: the largest window of TCP (RFC 7323 §2.3).
pub(crate) const GREATEST_CAP: usize = 1 << 30;

/// Bytes in, bytes out, at most `cap` of them held between.
///
/// Memory is zero or a power of two, doubled as needed, up to the power of two that holds `cap`.
/// Growth copies what is held; every other operation costs the bytes it moves, and no more.
#[derive(Clone)]
pub(crate) struct Ring {
    /// Zero or a power of two long, so that positions wrap with a mask.
    memory: Box<[u8]>,
    /// Where the first byte of the text lies in `memory`.
    head: usize,
    /// Bytes of text, counted from the head.
    len: usize,
    /// How far anything has been written, counted from the head; at least `len`.
    high: usize,
    /// The limit of `high`.
    cap: usize,
}

impl fmt::Debug for Ring {
    /// How much it holds, not what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ring { len, high, cap, .. } = self;
        write!(f, "Ring {{ {len} of {cap}, {high} written, {} allocated }}", self.allocated())
    }
}

impl Ring {
    /// An empty ring for at most `cap` bytes (and at most `GREATEST_CAP`); it holds no memory.
    pub(crate) fn new(cap: usize) -> Self {
        Ring { memory: Box::default(), head: 0, len: 0, high: 0, cap: cap.min(GREATEST_CAP) }
    }

    /// Bytes of text held, in order and ready to be read.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to read. Text written ahead may be held all the same.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most bytes that may be held, text ahead included.
    pub(crate) fn cap(&self) -> usize {
        self.cap
    }

    /// Bytes of memory held.
    pub(crate) fn allocated(&self) -> usize {
        self.memory.len()
    }

    /// Bytes that can be appended at the tail: the room behind a receive window.
    pub(crate) fn free(&self) -> usize {
        self.cap - self.len
    }

    /// Moves the limit; never below the bytes held, text ahead included, nor above
    /// `GREATEST_CAP`. It changes no memory: that follows when text comes, or goes.
    pub(crate) fn set_cap(&mut self, cap: usize) {
        self.cap = cap.clamp(self.high, GREATEST_CAP);
    }

    /// Bytes of memory that holding `end` bytes, counted from the head, would add: zero when
    /// they fit. For the ledger, before the write.
    pub(crate) fn growth_for(&self, end: usize) -> usize {
        self.memory_for(end).saturating_sub(self.memory.len())
    }

    /// Appends to the text; returns how many bytes found room.
    #[cfg(test)]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let written = copy_in(bytes, self.lend(bytes.len()));
        self.fill(written);
        written
    }

    /// Lends the room behind the text, at most `count` bytes, in the two pieces in which it lies;
    /// what is written there becomes text with [`Ring::fill`].
    pub(crate) fn lend(&mut self, count: usize) -> [&mut [u8]; 2] {
        let count = count.min(self.free());
        self.grow_for(self.len + count);
        let [first, second] = self.spans(self.len, count);
        let (low, high) = self.memory.split_at_mut(first.start);
        [&mut high[..first.len()], &mut low[second]]
    }

    /// The first `n` bytes of what [`Ring::lend`] lent are text.
    pub(crate) fn fill(&mut self, n: usize) {
        self.len += n.min(self.free());
        self.high = self.high.max(self.len);
    }

    /// Writes at `offset` bytes past the tail, which stays; returns how many bytes lay below the
    /// limit.
    pub(crate) fn write_ahead(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let start = self.len.saturating_add(offset);
        let count = bytes.len().min(self.cap.saturating_sub(start));
        if count == 0 {
            return 0;
        }
        self.grow_for(start + count);
        let [first, second] = self.spans(start, count);
        let (early, late) = bytes[..count].split_at(first.len());
        self.memory[first].copy_from_slice(early);
        self.memory[second].copy_from_slice(late);
        self.high = self.high.max(start + count);
        count
    }

    /// Moves the tail over `n` bytes written ahead, which become text.
    pub(crate) fn advance_tail(&mut self, n: usize) {
        debug_assert!(n <= self.high - self.len, "{n} bytes were never written");
        self.len = self.len.saturating_add(n).min(self.high);
    }

    /// The text from `offset` bytes past the head, at most `len` bytes of it, in the two pieces
    /// in which it lies: the second is empty unless the text wraps.
    pub(crate) fn peek(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        let offset = offset.min(self.len);
        self.spans(offset, len.min(self.len - offset)).map(|span| &self.memory[span])
    }

    /// Copies text from `offset` bytes past the head; returns how many bytes there were.
    pub(crate) fn copy_out(&self, offset: usize, out: &mut [u8]) -> usize {
        copy_out(self.peek(offset, out.len()), out)
    }

    /// Copies text from the head and consumes it; returns how many bytes there were.
    #[cfg(test)]
    pub(crate) fn read(&mut self, out: &mut [u8]) -> usize {
        let count = self.copy_out(0, out);
        self.consume(count);
        count
    }

    /// Drops `n` bytes at the head, or all the text when there is less. What was written ahead
    /// stays where it is.
    pub(crate) fn consume(&mut self, n: usize) {
        let n = n.min(self.len);
        self.len -= n;
        self.high -= n;
        // An empty ring starts over at the front: fewer wraps, and warmer memory.
        self.head = if self.high == 0 { 0 } else { self.wrap(self.head + n) };
    }

    /// Gives the memory back if nothing is held, neither text nor text ahead; returns its bytes.
    pub(crate) fn release_if_empty(&mut self) -> usize {
        if self.high > 0 {
            return 0;
        }
        std::mem::take(&mut self.memory).len()
    }

    /// The memory that `end` bytes want, though never more than the limit does.
    fn memory_for(&self, end: usize) -> usize {
        match end.min(self.cap) {
            0 => 0,
            end => end.next_power_of_two().max(LEAST_MEMORY),
        }
    }

    /// Sees to it that `end` bytes fit, and straightens what is held when it moves.
    fn grow_for(&mut self, end: usize) {
        let wanted = self.memory_for(end);
        if wanted <= self.memory.len() {
            return;
        }
        let mut memory = fresh(wanted);
        let [first, second] = self.spans(0, self.high);
        let (early, late) = memory[..self.high].split_at_mut(first.len());
        early.copy_from_slice(&self.memory[first]);
        late.copy_from_slice(&self.memory[second]);
        self.memory = memory;
        self.head = 0;
    }

    /// Where `len` bytes from `offset` past the head lie: up to the end of the memory, and on
    /// from its start. They fit in the memory.
    fn spans(&self, offset: usize, len: usize) -> [Range<usize>; 2] {
        let start = self.wrap(self.head + offset);
        let straight = len.min(self.memory.len() - start);
        [start..start + straight, 0..len - straight]
    }

    fn wrap(&self, position: usize) -> usize {
        position & self.memory.len().saturating_sub(1)
    }
}

/// Fresh memory. The largest blocks come zeroed at no cost until they are written. The least is
/// filled with something else, because asking for zeroes costs more than writing bytes (glibc's
/// `calloc` passes by the blocks that a thread has just freed).
fn fresh(len: usize) -> Box<[u8]> {
    let filler = if len <= LEAST_MEMORY { FILLER } else { 0 };
    vec![filler; len].into_boxed_slice()
}

/// Fills the two pieces of a room from `bytes`; returns how many there was room for.
pub(crate) fn copy_in(bytes: &[u8], [first, second]: [&mut [u8]; 2]) -> usize {
    let (early, late) = bytes.split_at(first.len().min(bytes.len()));
    let late = &late[..second.len().min(late.len())];
    first[..early.len()].copy_from_slice(early);
    second[..late.len()].copy_from_slice(late);
    early.len() + late.len()
}

/// Fills `out` from the two pieces of a text; returns how many bytes there were.
pub(crate) fn copy_out([first, second]: [&[u8]; 2], out: &mut [u8]) -> usize {
    let early = first.len().min(out.len());
    let (front, back) = out.split_at_mut(early);
    let late = second.len().min(back.len());
    front.copy_from_slice(&first[..early]);
    back[..late].copy_from_slice(&second[..late]);
    early + late
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::naive::{NaiveRing, distinct_bytes};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Push(usize),
        Ahead(usize, usize),
        Advance,
        Peek(usize, usize),
        Read(usize),
        Consume(usize),
        SetCap(usize),
        Release,
    }

    fn op() -> impl Strategy<Value = Op> {
        let size = || prop_oneof![0usize..40, 0usize..5_000];
        prop_oneof![
            4 => size().prop_map(Op::Push),
            3 => (size(), size()).prop_map(|(offset, len)| Op::Ahead(offset, len)),
            2 => Just(Op::Advance),
            2 => (size(), size()).prop_map(|(offset, len)| Op::Peek(offset, len)),
            3 => size().prop_map(Op::Read),
            2 => size().prop_map(Op::Consume),
            1 => size().prop_map(Op::SetCap),
            1 => Just(Op::Release),
        ]
    }

    /// Both rings, and a source of bytes which all look different.
    struct Pair {
        real: Ring,
        naive: NaiveRing,
        next: u32,
    }

    impl Pair {
        fn text(&mut self, len: usize) -> Vec<u8> {
            let start = self.next;
            self.next += len as u32;
            distinct_bytes(start..self.next)
        }

        fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
            match op {
                Op::Push(len) => {
                    let text = self.text(len);
                    self.write(0, len, |ring| ring.push(&text), |twin| twin.push(&text))?;
                }
                Op::Ahead(offset, len) => {
                    let text = self.text(len);
                    let real = |ring: &mut Ring| ring.write_ahead(offset, &text);
                    self.write(offset, len, real, |twin| twin.write_ahead(offset, &text))?;
                }
                Op::Advance => {
                    let count = self.naive.contiguous_ahead();
                    self.real.advance_tail(count);
                    self.naive.advance_tail(count);
                }
                Op::Peek(offset, len) => {
                    let naive = self.naive.peek(offset, len);
                    prop_assert_eq!(self.real.peek(offset, len).concat(), naive.clone());
                    let mut out = vec![0; len];
                    let count = self.real.copy_out(offset, &mut out);
                    prop_assert_eq!(&out[..count], naive);
                }
                Op::Read(len) => {
                    let mut out = vec![0; len];
                    let count = self.real.read(&mut out);
                    prop_assert_eq!(&out[..count], self.naive.peek(0, len));
                    self.naive.consume(len);
                }
                Op::Consume(len) => {
                    self.real.consume(len);
                    self.naive.consume(len);
                }
                Op::SetCap(cap) => {
                    self.real.set_cap(cap);
                    self.naive.set_cap(cap);
                }
                Op::Release => self.release()?,
            }
            Ok(())
        }

        /// A write takes what the twin takes, and the memory which was foretold.
        fn write(
            &mut self,
            offset: usize,
            len: usize,
            real: impl FnOnce(&mut Ring) -> usize,
            naive: impl FnOnce(&mut NaiveRing) -> usize,
        ) -> Result<(), TestCaseError> {
            let start = self.real.len() + offset;
            let len = len.min(self.real.cap().saturating_sub(start));
            let growth = if len == 0 { 0 } else { self.real.growth_for(start + len) };
            let before = self.real.allocated();
            prop_assert_eq!(real(&mut self.real), naive(&mut self.naive));
            prop_assert_eq!(self.real.allocated(), before + growth);
            Ok(())
        }

        fn release(&mut self) -> Result<(), TestCaseError> {
            let before = self.real.allocated();
            let expected = if self.naive.holds_nothing() { before } else { 0 };
            prop_assert_eq!(self.real.release_if_empty(), expected);
            prop_assert_eq!(self.real.allocated(), before - expected);
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn agrees_with_its_twin(
            cap in prop_oneof![0usize..64, 0usize..10_000],
            ops in prop::collection::vec(op(), 0..60),
        ) {
            let mut pair = Pair { real: Ring::new(cap), naive: NaiveRing::new(cap), next: 0 };
            let mut greatest_cap = cap;
            for op in ops {
                pair.apply(op)?;
                let Pair { real, naive, .. } = &pair;
                greatest_cap = greatest_cap.max(real.cap());
                prop_assert_eq!((real.len(), real.cap()), (naive.len(), naive.cap()));
                prop_assert_eq!(real.free(), real.cap() - real.len());
                prop_assert_eq!(real.is_empty(), naive.len() == 0);
                let most = greatest_cap.next_power_of_two().max(LEAST_MEMORY);
                prop_assert!(real.allocated() <= most);
            }
            let len = pair.real.len();
            prop_assert_eq!(pair.real.peek(0, len).concat(), pair.naive.peek(0, len));
        }
    }

    #[test]
    fn memory_comes_with_the_first_byte_and_goes_on_request() {
        let mut ring = Ring::new(100_000);
        assert_eq!((ring.allocated(), ring.growth_for(1)), (0, LEAST_MEMORY));
        assert_eq!(ring.push(&[7; 1_500]), 1_500);
        assert_eq!((ring.allocated(), ring.growth_for(2_048)), (2_048, 0));
        assert_eq!(ring.growth_for(usize::MAX), (1 << 17) - 2_048, "never beyond the limit");
        assert_eq!(ring.release_if_empty(), 0, "text is never lost");
        ring.consume(usize::MAX);
        assert_eq!((ring.release_if_empty(), ring.allocated()), (2_048, 0));
    }

    #[test]
    fn text_ahead_survives_growth_wrapping_and_release() {
        let mut ring = Ring::new(1 << 14);
        ring.push(&[0; 1_000]);
        ring.consume(999);
        assert_eq!(ring.write_ahead(10, b"wraps around the end of memory"), 30);
        ring.consume(1);
        assert_eq!((ring.is_empty(), ring.release_if_empty()), (true, 0));
        assert_eq!(ring.write_ahead(5_000, b"grows"), 5);
        assert_eq!(ring.push(b"0123456789"), 10);
        ring.advance_tail(30);
        assert_eq!(ring.peek(0, 99).concat(), b"0123456789wraps around the end of memory");
    }

    #[test]
    fn no_number_is_too_large() {
        let mut ring = Ring::new(usize::MAX);
        assert_eq!(ring.cap(), GREATEST_CAP);
        assert_eq!(ring.write_ahead(usize::MAX, b"far"), 0);
        assert_eq!(ring.write_ahead(GREATEST_CAP, b"far"), 0);
        assert_eq!(ring.allocated(), 0);
        assert_eq!(ring.push(b"near"), 4);
        assert_eq!(ring.peek(usize::MAX, usize::MAX).concat(), b"");
        assert_eq!(ring.peek(2, usize::MAX).concat(), b"ar");
        ring.set_cap(0);
        assert_eq!((ring.cap(), ring.push(b"more")), (4, 0));
    }
}
