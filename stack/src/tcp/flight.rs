//! What has been sent and not cumulatively acknowledged: a record for each transmission
//! (RFC 8985 §5.2, RFC 6675 §3), and sums over them. An organ: it knows ranges, times and what
//! became of them; what follows from that is decided in `loss`.
//!
//! ```text
//!   SND.UNA                                            SND.NXT
//!      |  lost  | sacked | sent again | sent | sacked | sent |
//!      `-- records, by sequence: the front goes with an acknowledgment
//! ```
//!
//! A record stands for whatever was sent at once, a segment or a super-frame, and is cut where
//! something happens to a part of it, which moves few others (`store::chain`). Nothing is scanned:
//! acknowledgments take records from the front; blocks find theirs by binary search, and only their
//! news is walked; losses come from the front of a queue in the order of transmission;
//! retransmissions from a heap of what is lost, by sequence. Queue and heap are lazy: what is no
//! longer so is skipped when it comes up.
//!
//! All of it is walked by what is rare: a time-out, its undo, a smaller path MTU or the loss of its
//! probe, a `TcpInfo` that is asked for, and the queue when most of it is stale.

use super::rate::Snapshot;
use super::scoreboard::{Range, Scoreboard};
use super::seq::Seq;
use crate::store::chain::{Chain, Place};
use crate::time::Instant;
use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Entries of the queue that may be stale although the flight is small.
const QUEUE_SLACK: usize = 64;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// On its way, as far as we know.
    Flying,
    /// Believed lost; not sent again yet.
    Lost,
    /// Reported as received (RFC 2018), not yet acknowledged.
    Sacked,
}

/// Something sent at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) start: Seq,
    pub(crate) end: Seq,
    pub(crate) fate: Fate,
    /// It has been sent more than once.
    pub(crate) resent: bool,
    /// The episode of recovery in which it was last believed lost; 0: never.
    pub(crate) episode: u16,
    /// The number of its last transmission: later is greater.
    pub(crate) order: u64,
    /// When it was last sent.
    pub(crate) sent_at: Instant,
    pub(crate) rate: Snapshot,
}

impl Record {
    /// Octets of sequence space.
    pub(crate) fn len(&self) -> u32 {
        self.end.since(self.start)
    }

    /// Sent before what `newest` names.
    fn was_sent_before(&self, newest: Newest) -> bool {
        Newest { order: self.order, end: self.end }.is_before(newest)
    }
}

/// The most recently sent record that has been delivered (RFC 8985 §5.3, RACK.segment).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) order: u64,
    pub(crate) end: Seq,
}

impl Newest {
    /// Sent before `other` (RFC 8985 §6.1: within one transmission by sequence).
    pub(crate) fn is_before(self, other: Newest) -> bool {
        self.order < other.order || (self.order == other.order && self.end.before(other.end))
    }
}

/// A transmission: its records are those in the range that still bear its number.
#[derive(Clone, Copy, Debug)]
struct Transmission {
    order: u64,
    start: Seq,
    end: Seq,
}

/// What is outstanding. No memory until something is, none at rest.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    records: Chain<Record>,
    /// By time. Every record that flies is in the range of the entry of its number.
    transmissions: VecDeque<Transmission>,
    /// Where records that are lost begin, as positions in the whole stream, least first.
    lost_at: BinaryHeap<Reverse<u64>>,
    sacked_ranges: Scoreboard,
    una: Seq,
    /// The position of SND.UNA in the whole stream.
    position: u64,
    order: u64,
    /// Octets flying, lost, and sacked: together, all that is outstanding.
    flying: u32,
    lost: u32,
    sacked: u32,
}

impl Flight {
    pub(crate) const fn new() -> Flight {
        Flight {
            records: Chain::new(),
            transmissions: VecDeque::new(),
            lost_at: BinaryHeap::new(),
            sacked_ranges: Scoreboard::new(),
            una: Seq(0),
            position: 0,
            order: 0,
            flying: 0,
            lost: 0,
            sacked: 0,
        }
    }

    /// Octets on their way: the "pipe" of RFC 6675 §4, and inflight of RFC 9937.
    pub(crate) fn flying(&self) -> u32 {
        self.flying
    }

    /// Octets believed lost and not sent again.
    pub(crate) fn lost(&self) -> u32 {
        self.lost
    }

    /// Octets sent again and on their way: counted when somebody asks.
    pub(crate) fn resent(&self) -> u32 {
        let again = self.records.iter().filter(|it| it.resent && it.fate == Fate::Flying);
        again.map(Record::len).sum()
    }

    /// Octets reported as received above SND.UNA.
    pub(crate) fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Records held.
    pub(crate) fn records(&self) -> usize {
        self.records.len()
    }

    /// Bytes of memory held.
    pub(crate) fn allocated(&self) -> usize {
        self.records.allocated()
            + self.transmissions.capacity() * size_of::<Transmission>()
            + self.lost_at.capacity() * size_of::<u64>()
    }

    /// `[start, end)` went out for the first time.
    pub(crate) fn on_sent(&mut self, now: Instant, start: Seq, end: Seq, rate: Snapshot) {
        if self.records.is_empty() {
            self.una = start;
        }
        let order = self.next_order(start, end);
        let (fate, sent_at) = (Fate::Flying, now);
        let record = Record { start, end, fate, resent: false, episode: 0, order, sent_at, rate };
        self.flying += record.len();
        self.records.push_back(record);
    }

    fn next_order(&mut self, start: Seq, end: Seq) -> u64 {
        self.order += 1;
        // Most entries are stale only when the front of the queue is long in flight: rare.
        if self.transmissions.len() > 2 * self.records.len() + QUEUE_SLACK {
            self.rebuild_queue();
        }
        self.transmissions.push_back(Transmission { order: self.order, start, end });
        self.order
    }

    /// The place of the first record that ends after `seq`.
    fn find(&self, seq: Seq) -> Place {
        self.records.partition(|record| record.end.at_or_before(seq))
    }

    /// SND.UNA moves to `una`: tells `on` of every record, or part of one, that was not known to
    /// be delivered. O(1) for each record that goes.
    pub(crate) fn on_ack(&mut self, una: Seq, mut on: impl FnMut(&Record)) {
        while let Some(front) = self.records.front_mut() {
            if front.start.at_or_after(una) {
                break;
            }
            let mut gone = *front;
            if front.end.after(una) {
                gone.end = una;
                front.start = una;
                if front.fate == Fate::Lost {
                    let at = self.position + u64::from(una.since(self.una));
                    self.lost_at.push(Reverse(at));
                }
            } else {
                self.records.pop_front();
            }
            *self.sum_of(gone.fate) -= gone.len();
            if gone.fate != Fate::Sacked {
                on(&gone);
            }
        }
        self.position += u64::from(una.since(self.una));
        self.una = una;
        self.sacked_ranges.advance(una);
        if self.records.is_empty() {
            self.transmissions.clear();
            self.lost_at.clear();
        }
    }

    /// The record that goes, where SND.UNA moves to `una` over one that was sent once, and nothing
    /// is lost or reported.
    pub(crate) fn only_acked(&self, una: Seq) -> Option<&Record> {
        let front = self.records.front()?;
        let plain = self.lost == 0 && self.sacked == 0 && !front.resent;
        (plain && front.end == una).then_some(front)
    }

    /// It goes: what `on_ack` and `detect` would do.
    pub(crate) fn on_plain_ack(&mut self) {
        let Some(record) = self.records.pop_front() else { return };
        self.flying -= record.len();
        self.position += u64::from(record.len());
        self.una = record.end;
        self.sacked_ranges.advance(self.una);
        if self.records.is_empty() {
            self.transmissions.clear();
            self.lost_at.clear();
        }
        // Of one transmission something may be left: its record had been cut.
        let gone = |it: &Transmission| {
            it.order < record.order || (it.order == record.order && it.end == record.end)
        };
        while self.transmissions.front().is_some_and(gone) {
            self.transmissions.pop_front();
        }
    }

    /// The peer reports `[left, right)`, within what is outstanding: tells `on` of every record
    /// that is news. Where it cuts a record and there are `records_max` already, the part of the
    /// record is not believed.
    pub(crate) fn on_sack(
        &mut self,
        block: Range,
        records_max: usize,
        mut on: impl FnMut(&Record),
    ) {
        let (mut left, right) = block;
        while let Some((from, to)) = self.sacked_ranges.first_news(left, right) {
            left = to;
            let first = self.cut(from, records_max);
            let mut place = self.find(first);
            let mut last = first;
            while let Some(record) = self.records.get(place) {
                if record.start.at_or_after(to) {
                    break;
                }
                if record.end.after(to) {
                    if self.records.len() >= records_max {
                        break;
                    }
                    place = self.split(place, to);
                }
                last = self.sack_at(place, &mut on).unwrap_or(last);
                place = self.records.next(place);
            }
            if last.after(first) {
                self.sacked_ranges.add(first, last);
            }
        }
    }

    /// Makes `at` a border between records, or finds the next one.
    fn cut(&mut self, at: Seq, records_max: usize) -> Seq {
        let place = self.find(at);
        match self.records.get(place) {
            Some(record) if record.start.before(at) => {
                if self.records.len() >= records_max {
                    return record.end;
                }
                self.split(place, at);
                at
            }
            _ => at,
        }
    }

    /// What lies there has been received. Returns its end.
    fn sack_at(&mut self, place: Place, on: &mut impl FnMut(&Record)) -> Option<Seq> {
        let record = self.records.get_mut(place)?;
        let was = *record;
        record.fate = Fate::Sacked;
        if was.fate != Fate::Sacked {
            *self.sum_of(was.fate) -= was.len();
            self.sacked += was.len();
            on(&was);
        }
        Some(was.end)
    }

    /// Cuts the record there in two at `at`, which lies inside it. Returns the first one's place.
    fn split(&mut self, place: Place, at: Seq) -> Place {
        let Some(record) = self.records.get_mut(place) else { return place };
        let mut first = *record;
        first.end = at;
        record.start = at;
        if first.fate == Fate::Lost {
            let position = self.position_of(at);
            self.lost_at.push(Reverse(position));
        }
        self.records.insert(place, first)
    }

    fn position_of(&self, seq: Seq) -> u64 {
        self.position + u64::from(seq.since(self.una))
    }

    fn sum_of(&mut self, fate: Fate) -> &mut u32 {
        match fate {
            Fate::Flying => &mut self.flying,
            Fate::Lost => &mut self.lost,
            Fate::Sacked => &mut self.sacked,
        }
    }

    /// RACK_detect_loss (RFC 8985 §6.2 step 5): what was sent before `newest`, and so long ago
    /// that `deadline` has passed, is lost. Tells `on` of each; returns when the next will be.
    /// Looks at the front of the queue only.
    pub(crate) fn detect(
        &mut self,
        now: Instant,
        newest: Newest,
        deadline: impl Fn(Instant) -> Instant,
        episode: u16,
        mut on: impl FnMut(&Record),
    ) -> Option<Instant> {
        while let Some(&front) = self.transmissions.front() {
            if front.order > newest.order {
                return None;
            }
            let mut place = self.find(front.start);
            while let Some(record) = self.records.get(place) {
                if record.start.at_or_after(front.end) {
                    break;
                }
                if record.order == front.order && record.fate == Fate::Flying {
                    let due = deadline(record.sent_at);
                    if !record.was_sent_before(newest) || due > now {
                        let waits = record.was_sent_before(newest);
                        let start = record.start;
                        self.transmissions[0].start = start;
                        return waits.then_some(due);
                    }
                    self.lose_at(place, episode, &mut on);
                }
                place = self.records.next(place);
            }
            self.transmissions.pop_front();
        }
        None
    }

    fn lose_at(&mut self, place: Place, episode: u16, on: &mut impl FnMut(&Record)) {
        let Some(record) = self.records.get_mut(place) else { return };
        record.fate = Fate::Lost;
        record.episode = episode;
        let record = *record;
        self.flying -= record.len();
        self.lost += record.len();
        self.lost_at.push(Reverse(self.position_of(record.start)));
        on(&record);
    }

    /// What flies and meets `lost` is lost: after a time-out, or a smaller path MTU. Walks all of
    /// the flight, for these are rare.
    pub(crate) fn lose(
        &mut self,
        episode: u16,
        is_lost: impl Fn(&Record) -> bool,
        mut on: impl FnMut(&Record),
    ) {
        let mut place = self.records.first();
        while let Some(record) = self.records.get(place) {
            if record.fate == Fate::Flying && is_lost(record) {
                self.lose_at(place, episode, &mut on);
            }
            place = self.records.next(place);
        }
    }

    /// The first octets up to `len`, if they fly, are lost: duplicate acknowledgments say so.
    pub(crate) fn lose_head(&mut self, len: u32, episode: u16, mut on: impl FnMut(&Record)) {
        let Some(&head) = self.records.front() else { return };
        if head.fate != Fate::Flying {
            return;
        }
        if head.len() > len {
            self.split(self.records.first(), head.start + len);
        }
        self.lose_at(self.records.first(), episode, &mut on);
    }

    /// Nothing is lost after all: what has not been sent again flies.
    pub(crate) fn unlose(&mut self) {
        for record in self.records.iter_mut() {
            if record.fate == Fate::Lost {
                record.fate = Fate::Flying;
                self.flying += record.len();
                self.lost -= record.len();
            }
        }
        self.lost_at.clear();
        self.rebuild_queue();
    }

    /// The queue of transmissions from the records that fly.
    fn rebuild_queue(&mut self) {
        let flying = self.records.iter().filter(|record| record.fate == Fate::Flying);
        let mut queue: Vec<Transmission> = flying
            .map(|record| Transmission {
                order: record.order,
                start: record.start,
                end: record.end,
            })
            .collect();
        // Stable: within one transmission the records stay by sequence.
        queue.sort_by_key(|transmission| transmission.order);
        self.transmissions = queue.into();
    }

    /// What is at SND.UNA has been reported as received: the peer has taken it back (RFC 2018 §8).
    pub(crate) fn has_reneged(&self) -> bool {
        self.records.front().is_some_and(|record| record.fate == Fate::Sacked)
    }

    /// No report is believed any more: what was sacked is lost.
    pub(crate) fn forget_sacks(&mut self, episode: u16, mut on: impl FnMut(&Record)) {
        self.sacked_ranges.clear();
        let mut place = self.records.first();
        while let Some(record) = self.records.get_mut(place) {
            if record.fate == Fate::Sacked {
                record.fate = Fate::Flying;
                let len = record.len();
                self.sacked -= len;
                self.flying += len;
                self.lose_at(place, episode, &mut on);
            }
            place = self.records.next(place);
        }
    }

    /// The first range that is lost, at most `most` octets of it: neighbours go together.
    pub(crate) fn first_lost(&mut self, most: u32) -> Option<Range> {
        if self.lost == 0 {
            self.lost_at.clear();
            return None;
        }
        while let Some(&Reverse(position)) = self.lost_at.peek() {
            if let Some(start) = self.is_lost_at(position) {
                return Some((start, self.lost_run(start, most)));
            }
            self.lost_at.pop();
        }
        None
    }

    fn is_lost_at(&self, position: u64) -> Option<Seq> {
        let ahead = position.checked_sub(self.position)?;
        let seq = self.una + ahead as u32;
        let record = self.records.get(self.find(seq))?;
        (record.fate == Fate::Lost && record.start == seq).then_some(seq)
    }

    fn lost_run(&self, start: Seq, most: u32) -> Seq {
        let limit = start + most;
        let mut end = start;
        for record in self.records.iter_from(self.find(start)) {
            if record.fate != Fate::Lost || end.at_or_after(limit) {
                break;
            }
            end = record.end;
        }
        if end.after(limit) { limit } else { end }
    }

    /// `[start, end)`, which is outstanding, went out again: a retransmission of something lost,
    /// or a tail loss probe.
    pub(crate) fn on_resent(&mut self, now: Instant, start: Seq, end: Seq, rate: Snapshot) {
        let order = self.next_order(start, end);
        let first = self.cut(start, usize::MAX);
        self.cut(end, usize::MAX);
        let mut place = self.find(first);
        while let Some(record) = self.records.get_mut(place) {
            if record.start.at_or_after(end) {
                break;
            }
            if record.fate == Fate::Lost {
                record.fate = Fate::Flying;
                self.lost -= record.len();
                self.flying += record.len();
            }
            (record.resent, record.order, record.sent_at) = (true, order, now);
            record.rate = rate;
            place = self.records.next(place);
        }
    }

    /// The last octets sent, at most `most` of one transmission, if they fly.
    pub(crate) fn tail(&self, most: u32) -> Option<Range> {
        let last = self.records.back()?;
        let start = last.end - most.min(last.len());
        (last.fate == Fate::Flying).then_some((start, last.end))
    }

    /// The record at SND.UNA.
    pub(crate) fn head(&self) -> Option<&Record> {
        self.records.front()
    }
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
