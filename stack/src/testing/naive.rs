//! Slow, obvious twins of everything clever in `store/`, of the assembler, and of what keeps
//! account of a flight.
//!
//! Each does by brute force what the real one does by index, bit or link. A property beside the
//! real one runs both over the same list of operations and compares whatever can be seen.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Twin of the arena: a map whose keys are numbered in order and never used twice.
#[derive(Debug)]
pub struct NaiveArena<T> {
    objects: BTreeMap<u64, T>,
    named: u64,
    limit: usize,
}

impl<T: Copy> NaiveArena<T> {
    /// An empty map of at most `limit` objects.
    pub fn new(limit: usize) -> Self {
        NaiveArena { objects: BTreeMap::new(), named: 0, limit }
    }

    /// Takes the object in under a fresh key, or hands it back at the limit.
    pub fn insert(&mut self, object: T) -> Result<u64, T> {
        if self.objects.len() == self.limit {
            return Err(object);
        }
        self.named += 1;
        self.objects.insert(self.named, object);
        Ok(self.named)
    }

    /// Takes the object out.
    pub fn remove(&mut self, key: u64) -> Option<T> {
        self.objects.remove(&key)
    }

    /// Puts another object in this one's place, under the same key.
    pub fn replace(&mut self, key: u64, object: T) -> Option<T> {
        self.objects.get_mut(&key).map(|held| std::mem::replace(held, object))
    }

    /// The object of this key.
    pub fn get(&self, key: u64) -> Option<&T> {
        self.objects.get(&key)
    }

    /// Living objects.
    #[expect(clippy::len_without_is_empty, reason = "a twin has what its property asks for")]
    pub fn len(&self) -> usize {
        self.objects.len()
    }
}

/// Twin of the queue: a deque of keys, searched from end to end.
#[derive(Debug, Default)]
pub struct NaiveQueue {
    waiting: VecDeque<u64>,
}

impl NaiveQueue {
    /// Appends the key, unless it waits already.
    pub fn push(&mut self, key: u64) -> bool {
        let fresh = !self.waiting.contains(&key);
        if fresh {
            self.waiting.push_back(key);
        }
        fresh
    }

    /// Takes the oldest key.
    pub fn pop(&mut self) -> Option<u64> {
        self.waiting.pop_front()
    }

    /// Takes this key out. False when it does not wait.
    pub fn remove(&mut self, key: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|held| *held != key);
        self.waiting.len() < before
    }

    /// The oldest key.
    pub fn front(&self) -> Option<u64> {
        self.waiting.front().copied()
    }

    /// Keys waiting.
    #[expect(clippy::len_without_is_empty, reason = "a twin has what its property asks for")]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// Twin of the timer wheel: a map from token to deadline, read from end to end.
#[derive(Debug)]
pub struct NaiveWheel {
    tick_ns: u64,
    deadlines: BTreeMap<u64, Option<u64>>,
}

impl NaiveWheel {
    /// No timers yet; deadlines will be rounded up to multiples of `tick_ns`.
    pub fn new(tick_ns: u64) -> Self {
        NaiveWheel { tick_ns, deadlines: BTreeMap::new() }
    }

    /// Adds a timer, disarmed.
    pub fn insert(&mut self, token: u64) {
        self.deadlines.insert(token, None);
    }

    /// Sets the deadline. One that no multiple of the tick in a `u64` reaches never comes.
    pub fn arm(&mut self, token: u64, at_ns: u64) {
        self.deadlines.insert(token, at_ns.checked_next_multiple_of(self.tick_ns));
    }

    /// Takes the deadline back.
    pub fn disarm(&mut self, token: u64) {
        self.deadlines.insert(token, None);
    }

    /// Whether the timer has a deadline.
    pub fn is_armed(&self, token: u64) -> bool {
        self.deadlines.get(&token).copied().flatten().is_some()
    }

    /// All tokens due, ascending; they are disarmed.
    pub fn pop_all_due(&mut self, now_ns: u64) -> Vec<u64> {
        let is_due = |deadline: &Option<u64>| deadline.is_some_and(|at| at <= now_ns);
        let due = self.deadlines.iter_mut().filter(|(_, deadline)| is_due(deadline));
        due.map(|(token, deadline)| (*deadline = None, *token).1).collect()
    }

    /// The earliest deadline, rounded up.
    pub fn next_ns(&self) -> Option<u64> {
        self.deadlines.values().flatten().min().copied()
    }
}

/// The bytes of these numbers: each looks different from those around it.
pub fn distinct_bytes(numbers: Range<u32>) -> Vec<u8> {
    numbers.map(|n| (n.wrapping_mul(0x9E37_79B1) >> 24) as u8).collect()
}

/// Twin of the byte ring: a deque of text, and a map of single bytes ahead of its tail.
#[derive(Debug)]
pub struct NaiveRing {
    text: VecDeque<u8>,
    /// By distance from the tail.
    ahead: BTreeMap<usize, u8>,
    cap: usize,
}

impl NaiveRing {
    /// An empty ring for at most `cap` bytes.
    pub fn new(cap: usize) -> Self {
        NaiveRing { text: VecDeque::new(), ahead: BTreeMap::new(), cap }
    }

    /// Appends to the text what fits, over whatever was written ahead there.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let written = self.write_ahead(0, bytes);
        self.advance_tail(written);
        written
    }

    /// Writes past the tail what fits.
    pub fn write_ahead(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let room = (self.cap - self.text.len()).saturating_sub(offset);
        let written = bytes.len().min(room);
        self.ahead.extend((offset..).zip(bytes[..written].iter().copied()));
        written
    }

    /// Bytes ahead before the first hole.
    pub fn contiguous_ahead(&self) -> usize {
        (0..).take_while(|at| self.ahead.contains_key(at)).count()
    }

    /// Makes `n` bytes ahead, which must be there, text.
    pub fn advance_tail(&mut self, n: usize) {
        self.text.extend((0..n).map(|at| self.ahead[&at]));
        let rest = self.ahead.split_off(&n);
        self.ahead = rest.into_iter().map(|(at, byte)| (at - n, byte)).collect();
    }

    /// Text from `offset`, at most `len` bytes.
    pub fn peek(&self, offset: usize, len: usize) -> Vec<u8> {
        self.text.iter().skip(offset).take(len).copied().collect()
    }

    /// Drops `n` bytes of text, or all.
    pub fn consume(&mut self, n: usize) {
        self.text.drain(..n.min(self.text.len()));
    }

    /// Moves the limit, never below what is held.
    pub fn set_cap(&mut self, cap: usize) {
        let ahead = self.ahead.keys().next_back().map_or(0, |last| last + 1);
        self.cap = cap.max(self.text.len() + ahead);
    }

    /// The limit.
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// Bytes of text.
    #[expect(clippy::len_without_is_empty, reason = "a twin has what its property asks for")]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is neither text nor anything ahead.
    pub fn holds_nothing(&self) -> bool {
        self.text.is_empty() && self.ahead.is_empty()
    }
}

/// Twin of the assembler: for each byte ahead, the number of its latest arrival.
#[derive(Debug)]
pub struct NaiveAssembler {
    arrived: VecDeque<Option<u64>>,
    arrivals: u64,
    limit: usize,
}

impl NaiveAssembler {
    /// Nothing has arrived; at most `limit` ranges may.
    pub fn new(limit: usize) -> Self {
        NaiveAssembler { arrived: VecDeque::new(), arrivals: 0, limit }
    }

    /// Notes text; false, and nothing changed, when it would make too many ranges.
    pub fn add(&mut self, offset: u32, len: u32) -> bool {
        let before = self.arrived.clone();
        let (start, end) = (offset as usize, (offset + len) as usize);
        self.arrived.resize(self.arrived.len().max(end), None);
        self.arrivals += 1;
        self.arrived.range_mut(start..end).for_each(|byte| *byte = Some(self.arrivals));
        let fits = self.ranges().len() <= self.limit;
        if !fits {
            self.arrived = before;
        }
        fits
    }

    /// Drops `n` bytes, then all that follow without a hole; returns how many followed.
    pub fn advance(&mut self, n: u32) -> u32 {
        self.arrived.drain(..(n as usize).min(self.arrived.len()));
        let contiguous = self.arrived.iter().take_while(|byte| byte.is_some()).count();
        self.arrived.drain(..contiguous);
        contiguous as u32
    }

    /// Runs of bytes that have arrived: start, and the end behind the last.
    pub fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (at, _) in (0..).zip(&self.arrived).filter(|(_, byte)| byte.is_some()) {
            match ranges.last_mut() {
                Some(last) if last.1 == at => last.1 += 1,
                _ => ranges.push((at, at + 1)),
            }
        }
        ranges
    }

    /// The ranges with the latest arrivals, latest first.
    pub fn sack_ranges(&self, blocks: usize) -> Vec<(u32, u32)> {
        let mut ranges = self.ranges();
        let latest = |range: &(u32, u32)| {
            self.arrived.range(range.0 as usize..range.1 as usize).max().copied()
        };
        ranges.sort_by_key(|range| std::cmp::Reverse(latest(range)));
        ranges.truncate(blocks);
        ranges
    }
}

/// Twin of CUBIC: RFC 9438 §4.2 to §4.7 as they stand, in floating-point segments and seconds.
#[derive(Clone, Debug)]
pub struct NaiveCubic {
    /// The congestion window, segments.
    pub cwnd: f64,
    /// The slow-start threshold, segments.
    pub ssthresh: f64,
    w_max: f64,
    prior: f64,
    /// t_epoch, K and W_est.
    epoch: Option<(f64, f64, f64)>,
}

impl NaiveCubic {
    const C: f64 = 0.4;
    const BETA: f64 = 0.7;

    /// In congestion avoidance with this window, after no loss.
    pub fn new(cwnd: f64) -> NaiveCubic {
        NaiveCubic { cwnd, ssthresh: cwnd, w_max: cwnd, prior: cwnd, epoch: None }
    }

    /// A loss was found.
    pub fn on_loss(&mut self) {
        let convergence = if self.cwnd < self.w_max { (1.0 + Self::BETA) / 2.0 } else { 1.0 };
        self.w_max = self.cwnd * convergence;
        self.prior = self.cwnd;
        self.ssthresh = (self.cwnd * Self::BETA).max(2.0);
        self.cwnd = self.ssthresh;
        self.epoch = None;
    }

    /// An acknowledgment of `segments` at `now` seconds, on a path of `rtt` seconds.
    pub fn on_ack(&mut self, now: f64, segments: f64, rtt: f64) {
        let (w_max, cwnd) = (self.w_max, self.cwnd);
        let begin = || (now, ((w_max - cwnd).max(0.0) / Self::C).cbrt(), cwnd);
        let (start, k, w_est) = self.epoch.get_or_insert_with(begin);
        let alpha =
            if *w_est >= self.prior { 1.0 } else { 3.0 * (1.0 - Self::BETA) / (1.0 + Self::BETA) };
        *w_est += alpha * segments / cwnd;
        let curve = |t: f64| Self::C * (t - *k).powi(3) + w_max;
        let t = now - *start;
        self.cwnd = if curve(t) < *w_est {
            cwnd.max(*w_est)
        } else {
            let target = curve(t + rtt).clamp(cwnd, 1.5 * cwnd);
            cwnd + (target - cwnd) / cwnd * segments
        };
    }
}

/// Twin of the scoreboard: a bit for each octet above a fixed base.
#[derive(Debug)]
pub struct NaiveScoreboard {
    reported: Vec<bool>,
    una: u32,
}

impl NaiveScoreboard {
    /// Nothing reported of `octets`.
    pub fn new(octets: u32) -> Self {
        NaiveScoreboard { reported: vec![false; octets as usize], una: 0 }
    }

    /// Reports `[left, right)`; returns the octets that were news.
    pub fn add(&mut self, left: u32, right: u32) -> Vec<u32> {
        let news: Vec<u32> = (left..right).filter(|&i| !self.reported[i as usize]).collect();
        for &i in &news {
            self.reported[i as usize] = true;
        }
        news
    }

    /// Forgets what lies before `una`.
    pub fn advance(&mut self, una: u32) {
        self.una = self.una.max(una);
    }

    /// The ranges reported, ascending.
    pub fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for i in (self.una..self.reported.len() as u32).filter(|&i| self.reported[i as usize]) {
            match ranges.last_mut() {
                Some(last) if last.1 == i => last.1 += 1,
                _ => ranges.push((i, i + 1)),
            }
        }
        ranges
    }
}

/// What the twin of the flight knows of an octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NaiveFate {
    /// On its way.
    Flying,
    /// Believed lost.
    Lost,
    /// Reported as received.
    Sacked,
}

/// An octet of the twin of the flight.
#[derive(Clone, Copy, Debug)]
struct Octet {
    fate: NaiveFate,
    order: u64,
    sent_at: u64,
}

/// Twin of the flight: what is outstanding, octet by octet; every question looks at all of them.
#[derive(Debug, Default)]
pub struct NaiveFlight {
    octets: VecDeque<Octet>,
    order: u64,
}

impl NaiveFlight {
    /// So many octets go out for the first time.
    pub fn send(&mut self, now: u64, len: u32) {
        self.order += 1;
        let octet = Octet { fate: NaiveFate::Flying, order: self.order, sent_at: now };
        self.octets.extend((0..len).map(|_| octet));
    }

    /// The first `n` are acknowledged; returns how many of them were not reported before.
    pub fn ack(&mut self, n: u32) -> u32 {
        let gone = self.octets.drain(..n as usize);
        gone.filter(|octet| octet.fate != NaiveFate::Sacked).count() as u32
    }

    /// Octets from `left` to `right` are reported; returns how many of them are news.
    pub fn sack(&mut self, left: u32, right: u32) -> u32 {
        self.change(left, right, |octet| octet.fate != NaiveFate::Sacked, NaiveFate::Sacked)
    }

    /// What was sent before the transmission `order`, and at least `patience` ago, is lost.
    pub fn detect(&mut self, now: u64, order: u64, patience: u64) -> u32 {
        let due = |octet: &Octet| octet.order < order && octet.sent_at + patience <= now;
        let is_lost = |octet: &Octet| octet.fate == NaiveFate::Flying && due(octet);
        self.change(0, self.len(), is_lost, NaiveFate::Lost)
    }

    /// The first octets up to `right` are lost, if they fly.
    pub fn lose(&mut self, right: u32) -> u32 {
        self.change(0, right, |octet| octet.fate == NaiveFate::Flying, NaiveFate::Lost)
    }

    /// Nothing is lost after all.
    pub fn unlose(&mut self) {
        self.change(0, self.len(), |octet| octet.fate == NaiveFate::Lost, NaiveFate::Flying);
    }

    /// What was reported is lost.
    pub fn forget(&mut self) -> u32 {
        self.change(0, self.len(), |octet| octet.fate == NaiveFate::Sacked, NaiveFate::Lost)
    }

    /// The first that are lost, at most `most`.
    pub fn first_lost(&self, most: u32) -> Option<(u32, u32)> {
        let is_lost = |octet: &Octet| octet.fate == NaiveFate::Lost;
        let start = self.octets.iter().position(is_lost)?;
        let run = self.octets.range(start..).take_while(|octet| is_lost(octet)).count();
        Some((start as u32, start as u32 + most.min(run as u32)))
    }

    /// Octets from `left` to `right` go out again.
    pub fn resend(&mut self, now: u64, left: u32, right: u32) {
        self.order += 1;
        for octet in self.octets.range_mut(left as usize..right as usize) {
            if octet.fate == NaiveFate::Lost {
                octet.fate = NaiveFate::Flying;
            }
            (octet.order, octet.sent_at) = (self.order, now);
        }
    }

    /// Octets with this fate.
    pub fn count(&self, fate: NaiveFate) -> u32 {
        self.octets.iter().filter(|octet| octet.fate == fate).count() as u32
    }

    /// The fate of the first octet.
    pub fn first(&self) -> Option<NaiveFate> {
        self.octets.front().map(|octet| octet.fate)
    }

    /// Transmissions so far.
    pub fn order(&self) -> u64 {
        self.order
    }

    /// Octets outstanding.
    #[expect(clippy::len_without_is_empty, reason = "a twin has what its property asks for")]
    pub fn len(&self) -> u32 {
        self.octets.len() as u32
    }

    fn change(
        &mut self,
        left: u32,
        right: u32,
        is_meant: impl Fn(&Octet) -> bool,
        fate: NaiveFate,
    ) -> u32 {
        let octets = self.octets.range_mut(left as usize..right as usize);
        octets.filter(|octet| is_meant(octet)).map(|octet| octet.fate = fate).count() as u32
    }
}
