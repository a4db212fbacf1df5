//! The flight equals its twin, which knows every octet by itself.

use super::*;
use crate::tcp::rate::Rate;
use crate::testing::naive::{NaiveFate, NaiveFlight};
use core::time::Duration;
use proptest::prelude::*;

/// Octets outstanding at the most.
const MOST: u32 = 120;

#[derive(Clone, Debug)]
enum Op {
    Send(u32),
    Ack(u32),
    /// The first record and no more.
    AckFirst,
    Sack(u32, u32),
    /// Everything sent before a transmission so many back is lost, if it was so long ago.
    Detect(u64, u64),
    LoseOne,
    LoseAll,
    Unlose,
    Forget,
    Resend(u32),
    /// The last octets again, whether they are lost or not.
    Probe(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1u32..20).prop_map(Op::Send),
        4 => (0u32..30).prop_map(Op::Ack),
        4 => Just(Op::AckFirst),
        6 => (0u32..MOST, 1u32..20).prop_map(|(at, len)| Op::Sack(at, len)),
        4 => (0u64..6, 0u64..8).prop_map(|(back, patience)| Op::Detect(back, patience)),
        2 => Just(Op::LoseOne),
        1 => Just(Op::LoseAll),
        1 => Just(Op::Unlose),
        1 => Just(Op::Forget),
        6 => (1u32..20).prop_map(Op::Resend),
        1 => (1u32..9).prop_map(Op::Probe),
    ]
}

/// Both, and the time in milliseconds.
struct Pair {
    real: Flight,
    naive: NaiveFlight,
    rate: Rate,
    una: Seq,
    now: u64,
}

impl Pair {
    fn at(&self, offset: u32) -> Seq {
        self.una + offset
    }

    fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn apply(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let (now, len) = (self.instant(), self.naive.len());
        let mut octets = 0;
        let mut count = |record: &Record| octets += record.len();
        let expected = match *op {
            Op::Send(more) => {
                let more = more.min(MOST - len);
                if more > 0 {
                    let rate = self.rate.on_sent(now, more, self.real.flying());
                    self.real.on_sent(now, self.at(len), self.at(len + more), rate);
                    self.naive.send(self.now, more);
                }
                0
            }
            Op::Ack(n) => {
                let n = n.min(len);
                self.una = self.at(n);
                self.real.on_ack(self.una, count);
                self.naive.ack(n)
            }
            Op::AckFirst => {
                let n = self.real.head().map_or(0, Record::len);
                octets = self.ack_first(n);
                self.naive.ack(n)
            }
            Op::Sack(at, more) => {
                let (left, right) = (at.min(len), (at + more).min(len));
                if left < right {
                    self.real.on_sack((self.at(left), self.at(right)), usize::MAX, count);
                }
                self.naive.sack(left, right)
            }
            Op::Detect(back, patience) => {
                let order = self.naive.order().saturating_sub(back);
                let newest = Newest { order, end: self.una };
                let deadline = |at: Instant| at + Duration::from_millis(patience);
                self.real.detect(now, newest, deadline, 1, count);
                self.naive.detect(self.now, order, patience)
            }
            Op::LoseOne => {
                self.real.lose_head(1, 1, &mut count);
                self.naive.lose(len.min(1))
            }
            Op::LoseAll => {
                self.real.lose(1, |_| true, count);
                self.naive.lose(len)
            }
            Op::Unlose => {
                self.real.unlose();
                self.naive.unlose();
                0
            }
            Op::Forget => {
                self.real.forget_sacks(1, count);
                self.naive.forget()
            }
            Op::Resend(most) => {
                let range = self.naive.first_lost(most);
                self.resend(range);
                0
            }
            Op::Probe(most) => {
                self.resend((len > 0).then(|| (len - most.min(len), len)));
                0
            }
        };
        prop_assert_eq!(octets, expected);
        Ok(())
    }

    /// The short way, if there is one. Returns the octets delivered.
    fn ack_first(&mut self, len: u32) -> u32 {
        self.una = self.at(len);
        if self.real.only_acked(self.una).is_some() {
            self.real.on_plain_ack();
            return len;
        }
        let mut octets = 0;
        self.real.on_ack(self.una, |record| octets += record.len());
        octets
    }

    fn resend(&mut self, range: Option<(u32, u32)>) {
        let Some((left, right)) = range else { return };
        let rate = self.rate.on_sent(self.instant(), right - left, self.real.flying());
        self.real.on_resent(self.instant(), self.at(left), self.at(right), rate);
        self.naive.resend(self.now, left, right);
    }

    fn compare(&mut self, most: u32) -> Result<(), TestCaseError> {
        let fates = [NaiveFate::Flying, NaiveFate::Lost, NaiveFate::Sacked];
        let sums = [self.real.flying(), self.real.lost(), self.real.sacked()];
        prop_assert_eq!(sums, fates.map(|fate| self.naive.count(fate)));
        let lost = self.naive.first_lost(most).map(|(left, right)| (self.at(left), self.at(right)));
        prop_assert_eq!(self.real.first_lost(most), lost);
        prop_assert_eq!(self.real.has_reneged(), self.naive.first() == Some(NaiveFate::Sacked));
        Ok(())
    }
}

proptest! {
    /// Whatever is sent, acknowledged, reported, lost, sent again or taken back, in any order and
    /// at every edge of the sequence space.
    #[test]
    fn s1_the_flight_equals_its_twin(
        base in prop_oneof![Just(0u32), Just(u32::MAX - 60), Just(0x7fff_ffc0), any::<u32>()],
        ops in proptest::collection::vec((op(), 0u64..3, 1u32..30), 1..120),
    ) {
        let mut pair = Pair {
            real: Flight::new(),
            naive: NaiveFlight::default(),
            rate: Rate::default(),
            una: Seq(base),
            now: 1,
        };
        for (op, pause, most) in ops {
            pair.now += pause;
            pair.apply(&op)?;
            pair.compare(most)?;
        }
    }
}
