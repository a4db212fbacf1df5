//! A link that misbehaves on purpose: one direction, seeded, without clock, thread or socket.
//!
//! A frame that is pushed meets, in this order: loss, duplication, corruption, the queue (tail
//! drop), the wire's rate, the delay with its jitter, and being held back. Each fault rolls its
//! own dice: which frames are lost depends on the seed and the settings of loss, and on no other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::link_config::{GilbertElliott, LinkConfig, LinkConfigError};
use crate::mark::mark;
use crate::random::Random;

/// Frames that a link holds at most, queued and under way: beyond it they are dropped as by a
/// full queue. It bounds a link without a rate, whose queue is always empty.
pub const MAX_FRAMES_IN_LINK: usize = 1 << 20;

/// One direction of an emulated link. Times are nanoseconds since an epoch of the caller's.
///
/// The same configuration, seed and calls give the same frames at the same times.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    dice: Dice,
    in_bad_state: bool,
    /// When each frame in the queue has left it, and its length.
    queue: VecDeque<(u64, usize)>,
    queue_bytes: usize,
    /// When the wire is free again.
    wire_free_ns: u64,
    /// No frame that is not held back arrives before this.
    last_arrival_ns: u64,
    now_ns: u64,
    flying: BinaryHeap<Reverse<Flying>>,
    next_order: u64,
    stats: LinkStats,
}

/// What happened to the frames. At all times `pushed + duplicated` equals
/// `popped + lost + dropped + held`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStats {
    /// Frames given to `push`.
    pub pushed: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Frames returned by `pop`.
    pub popped: u64,
    /// Frames lost at random, alone or in bursts.
    pub lost: u64,
    /// Frames that found the queue full.
    pub dropped: u64,
    /// Frames with a flipped bit that entered the queue.
    pub corrupted: u64,
    /// Frames held back.
    pub reordered: u64,
    /// Frames whose packets were marked (RFC 3168).
    pub marked: u64,
    /// Frames in the link now, queued or under way.
    pub held: u64,
}

impl LinkStats {
    /// What has happened since it was `earlier`. `held` is what the number of frames in the link
    /// has grown by, or 0 if it has shrunk.
    #[must_use]
    pub fn since(self, earlier: LinkStats) -> LinkStats {
        LinkStats {
            pushed: self.pushed - earlier.pushed,
            duplicated: self.duplicated - earlier.duplicated,
            popped: self.popped - earlier.popped,
            lost: self.lost - earlier.lost,
            dropped: self.dropped - earlier.dropped,
            corrupted: self.corrupted - earlier.corrupted,
            reordered: self.reordered - earlier.reordered,
            marked: self.marked - earlier.marked,
            held: self.held.saturating_sub(earlier.held),
        }
    }
}

/// A frame under way. Ordered by arrival; of those that arrive together, the first sent.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    arrival_ns: u64,
    order: u64,
    frame: Vec<u8>,
}

#[derive(Debug)]
struct Dice {
    loss: Random,
    burst: Random,
    duplicate: Random,
    corrupt: Random,
    jitter: Random,
    reorder: Random,
}

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice {
            loss: Random::new(seed, 0),
            burst: Random::new(seed, 1),
            duplicate: Random::new(seed, 2),
            corrupt: Random::new(seed, 3),
            jitter: Random::new(seed, 4),
            reorder: Random::new(seed, 5),
        }
    }
}

impl Link {
    /// An empty link.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: LinkConfig, seed: u64) -> Result<Link, LinkConfigError> {
        config.validate()?;
        Ok(Link {
            config,
            dice: Dice::new(seed),
            in_bad_state: false,
            queue: VecDeque::new(),
            queue_bytes: 0,
            wire_free_ns: 0,
            last_arrival_ns: 0,
            now_ns: 0,
            flying: BinaryHeap::new(),
            next_order: 0,
            stats: LinkStats::default(),
        })
    }

    /// Sends a frame. A `now_ns` before that of an earlier call counts as that one.
    pub fn push(&mut self, now_ns: u64, frame: &[u8]) {
        self.now_ns = self.now_ns.max(now_ns);
        self.stats.pushed += 1;
        let copies = 1 + u64::from(self.dice.duplicate.chance(self.config.duplicate));
        if self.is_lost() {
            self.stats.lost += 1;
            return;
        }
        self.stats.duplicated += copies - 1;
        for _ in 0..copies {
            self.enqueue(frame.to_vec());
        }
    }

    /// The next frame that has arrived by `now_ns`.
    pub fn pop(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        if self.next_ns()? > now_ns {
            return None;
        }
        let Reverse(flying) = self.flying.pop()?;
        self.stats.popped += 1;
        self.stats.held -= 1;
        Some(flying.frame)
    }

    /// When the next frame arrives, if there is one in the link.
    pub fn next_ns(&self) -> Option<u64> {
        self.flying.peek().map(|Reverse(flying)| flying.arrival_ns)
    }

    /// What happened so far.
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    fn is_lost(&mut self) -> bool {
        let alone = self.dice.loss.chance(self.config.loss);
        let in_burst = self.config.burst.is_some_and(|burst| self.is_lost_in_burst(burst));
        alone || in_burst
    }

    fn is_lost_in_burst(&mut self, burst: GilbertElliott) -> bool {
        let leave = if self.in_bad_state { burst.p_bad_to_good } else { burst.p_good_to_bad };
        self.in_bad_state ^= self.dice.burst.chance(leave);
        let loss = if self.in_bad_state { burst.loss_bad } else { burst.loss_good };
        self.dice.burst.chance(loss)
    }

    fn enqueue(&mut self, mut frame: Vec<u8>) {
        let is_corrupt = self.corrupt(&mut frame);
        self.release_queue();
        let has_room = self.queue.len() < self.config.queue.frames
            && self.queue_bytes.saturating_add(frame.len()) <= self.config.queue.bytes
            && self.flying.len() < MAX_FRAMES_IN_LINK;
        if !has_room {
            self.stats.dropped += 1;
            return;
        }
        let is_long = self.config.mark_above.is_some_and(|most| self.queue_bytes > most);
        self.stats.marked += u64::from(is_long && mark(&mut frame));
        self.stats.corrupted += u64::from(is_corrupt);
        let sent_ns = self.transmit(frame.len());
        let arrival_ns = self.arrival(sent_ns);
        let order = self.next_order;
        self.next_order += 1;
        self.stats.held += 1;
        self.flying.push(Reverse(Flying { arrival_ns, order, frame }));
    }

    /// Flips one bit, if the dice say so.
    fn corrupt(&mut self, frame: &mut [u8]) -> bool {
        if !self.dice.corrupt.chance(self.config.corrupt) || frame.is_empty() {
            return false;
        }
        let bit = self.dice.corrupt.up_to(frame.len() as u64 * 8 - 1);
        frame[(bit / 8) as usize] ^= 1 << (bit % 8);
        true
    }

    /// Takes out of the queue what has left it by now.
    fn release_queue(&mut self) {
        while let Some(&(_, length)) = self.queue.front().filter(|sent| sent.0 <= self.now_ns) {
            self.queue_bytes -= length;
            self.queue.pop_front();
        }
    }

    /// Puts a frame behind the others on the wire, and returns when its last bit has left.
    fn transmit(&mut self, length: usize) -> u64 {
        let Some(rate) = self.config.rate_bits_per_s else { return self.now_ns };
        let time_ns = (length as u128 * 8 * 1_000_000_000).div_ceil(rate.into());
        let time_ns = u64::try_from(time_ns).unwrap_or(u64::MAX);
        self.wire_free_ns = self.wire_free_ns.max(self.now_ns).saturating_add(time_ns);
        self.queue.push_back((self.wire_free_ns, length));
        self.queue_bytes += length;
        self.wire_free_ns
    }

    fn arrival(&mut self, sent_ns: u64) -> u64 {
        let jitter = nanoseconds(self.config.jitter);
        let delay = nanoseconds(self.config.delay) - jitter + self.dice.jitter.up_to(2 * jitter);
        let in_order = sent_ns.saturating_add(delay).max(self.last_arrival_ns);
        if let Some(reorder) = self.config.reorder
            && self.dice.reorder.chance(reorder.probability)
        {
            self.stats.reordered += 1;
            let least = nanoseconds(reorder.least).max(1);
            let extra = least + self.dice.reorder.up_to(nanoseconds(reorder.extra) - least);
            return in_order.saturating_add(extra);
        }
        self.last_arrival_ns = in_order;
        in_order
    }
}

/// At most an hour, by `LinkConfig::validate`, so it fits.
fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}
