//! Delivery-rate estimation (draft-cheng-iccrg-delivery-rate-estimation-02). An organ: every piece
//! sent takes a snapshot along; when it is delivered, what has been delivered since the snapshot,
//! over the time that took, is a sample of the path's rate.
//!
//! Both the sending and the acknowledging of that amount take time, and the longer of the two is
//! used (§2.2.4): acknowledgments that arrive in one burst do not make the path look faster.

use crate::time::Instant;
use core::time::Duration;

/// The state of delivery when something was sent; it travels with the record of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    /// Bytes delivered then. Modulo 2^32: differences are never near it.
    delivered: u32,
    /// Bytes found lost then, modulo 2^32.
    lost: u32,
    /// Bytes in flight, this piece included.
    in_flight: u32,
    /// The application had left the path idle.
    app_limited: bool,
    /// When the latest delivery was.
    delivered_at: Instant,
    /// When the sampling interval that this piece ends had begun to be sent.
    first_sent_at: Instant,
}

const _: () = assert!(size_of::<Snapshot>() <= 32);

/// What an acknowledgment says about the path (§3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateSample {
    /// Bytes delivered during `interval`.
    pub(crate) delivered: u32,
    pub(crate) interval: Duration,
    /// The rate may be the application's, not the path's.
    pub(crate) app_limited: bool,
    /// Bytes delivered on the connection when the newest delivered piece was sent.
    pub(crate) prior_delivered: u64,
    /// Bytes in flight when it was sent, itself included.
    pub(crate) in_flight: u32,
    /// Bytes found lost since it was sent.
    pub(crate) lost: u32,
}

impl RateSample {
    /// Bytes per second.
    pub(crate) fn rate(&self) -> u64 {
        let nanos = self.interval.as_nanos().max(1);
        (u128::from(self.delivered) * 1_000_000_000 / nanos) as u64
    }
}

/// A piece that was found lost, against what was known when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) bytes: u32,
    /// Bytes in flight when it was sent, itself included.
    pub(crate) in_flight: u32,
    /// Bytes found lost since it was sent, itself included.
    pub(crate) lost: u32,
    /// Everything delivered on the connection when it was found lost.
    pub(crate) delivered: u64,
    pub(crate) app_limited: bool,
}

/// Delivery on one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    delivered: u64,
    /// Everything found lost, modulo 2^32; what was found lost wrongly is among it.
    lost: u32,
    delivered_at: Instant,
    first_sent_at: Instant,
    /// Samples are the application's until this much is delivered; zero: they are the path's.
    app_limited_until: u64,
    /// The newest piece delivered since the last sample, and when it was sent.
    newest: Option<(Snapshot, Instant)>,
    latest: Latest,
}

/// The latest sample that says something about the path: not the application's, or higher than
/// what was known (as Linux's `tcpi_delivery_rate`).
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    delivered: u32,
    interval_us: u32,
    app_limited: bool,
}

impl Latest {
    /// Bytes per second.
    fn rate(&self) -> u64 {
        u64::from(self.delivered) * 1_000_000 / u64::from(self.interval_us.max(1))
    }

    /// Its rate is that of `other`, or higher.
    fn is_as_fast_as(&self, other: &Latest) -> bool {
        let (own, others) = (self.interval_us.max(1), other.interval_us.max(1));
        u64::from(self.delivered) * u64::from(others) >= u64::from(other.delivered) * u64::from(own)
    }
}

impl Rate {
    /// Everything delivered, bytes.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The latest rate of delivery, bytes a second, and whether it is the application's.
    pub(crate) fn latest(&self) -> (u64, bool) {
        (self.latest.rate(), self.latest.app_limited)
    }

    /// `bytes` are sent, new or again; `in_flight` were in flight before (§3.2).
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u32, in_flight: u32) -> Snapshot {
        if in_flight == 0 {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        Snapshot {
            delivered: self.delivered as u32,
            lost: self.lost,
            in_flight: in_flight.saturating_add(bytes),
            app_limited: self.app_limited_until > 0,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
        }
    }

    /// `bytes` of a piece sent at `sent_at` are newly delivered (§3.3).
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        bytes: u32,
        snapshot: &Snapshot,
        sent_at: Instant,
    ) {
        self.delivered += u64::from(bytes);
        self.delivered_at = now;
        if self.newest.is_none_or(|(_, at)| at <= sent_at) {
            self.newest = Some((*snapshot, sent_at));
            self.first_sent_at = sent_at;
        }
    }

    /// `bytes` of a piece are found lost.
    pub(crate) fn on_lost(&mut self, bytes: u32, snapshot: &Snapshot) -> Lost {
        self.lost = self.lost.wrapping_add(bytes);
        Lost {
            bytes,
            in_flight: snapshot.in_flight,
            lost: self.lost.wrapping_sub(snapshot.lost),
            delivered: self.delivered,
            app_limited: snapshot.app_limited,
        }
    }

    /// The sender has nothing more to send although the window is open: what is in flight is less
    /// than the path could carry (§3.4).
    pub(crate) fn on_app_limited(&mut self, in_flight: u32) {
        self.app_limited_until = (self.delivered + u64::from(in_flight)).max(1);
    }

    /// The sample of an acknowledgment, after all it delivered was reported. None when it delivered
    /// nothing, or faster than the path's least round trip: its pieces were sent again, and the
    /// acknowledgment is of the earlier copies (§3.3).
    pub(crate) fn sample(&mut self, min_rtt: Option<Duration>) -> Option<RateSample> {
        if self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        let (sent, sent_at) = self.newest.take()?;
        let nanos = |from: Instant, to: Instant| to.as_nanos().saturating_sub(from.as_nanos());
        let sending = nanos(sent.first_sent_at, sent_at);
        let acknowledging = nanos(sent.delivered_at, self.delivered_at);
        let interval = sending.max(acknowledging);
        if u128::from(interval) < min_rtt?.as_nanos() || interval == 0 {
            return None;
        }
        let delivered = (self.delivered as u32).wrapping_sub(sent.delivered);
        let interval_us = u32::try_from(interval / 1_000).unwrap_or(u32::MAX);
        let latest = Latest { delivered, interval_us, app_limited: sent.app_limited };
        if !latest.app_limited || latest.is_as_fast_as(&self.latest) {
            self.latest = latest;
        }
        Some(RateSample {
            delivered,
            interval: Duration::from_nanos(interval),
            app_limited: sent.app_limited,
            prior_delivered: self.delivered - u64::from(delivered),
            in_flight: sent.in_flight,
            lost: self.lost.wrapping_sub(sent.lost),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Instant = Instant::from_millis;
    const RTT: Option<Duration> = Some(Duration::from_millis(10));

    #[test]
    fn the_latest_rate_is_the_paths_where_it_is_known() {
        let mut rate = Rate::default();
        let mut deliver = |from: u64, bytes: u32, idle: bool| {
            if idle {
                rate.on_app_limited(0);
            }
            let sent = rate.on_sent(MS(from), bytes, 0);
            rate.on_delivered(MS(from + 10), bytes, &sent, MS(from));
            let _: Option<RateSample> = rate.sample(RTT);
            rate.latest()
        };
        assert_eq!(deliver(0, 1_000, false), (100_000, false));
        assert_eq!(deliver(20, 10, true), (100_000, false), "less, and the application's");
        assert_eq!(deliver(40, 2_000, true), (200_000, true), "more is possible");
        assert_eq!(deliver(60, 1_500, false), (150_000, false));
    }

    #[test]
    fn a_steady_stream_is_measured_at_its_rate() {
        let mut rate = Rate::default();
        // A piece each millisecond, each acknowledged 10 ms later: 1,000,000 bytes a second.
        let mut sent = Vec::new();
        for i in 0..50u64 {
            let in_flight = i.min(10) as u32 * 1000;
            sent.push(rate.on_sent(MS(i), 1000, in_flight));
            if i >= 10 {
                let at = i as usize - 10;
                rate.on_delivered(MS(i), 1000, &sent[at], MS(i - 10));
                let sample = rate.sample(RTT).unwrap();
                if i >= 30 {
                    assert_eq!(sample.rate(), 1_000_000, "{sample:?}");
                    assert_eq!((sample.delivered, sample.in_flight), (11_000, 11_000));
                    assert!(!sample.app_limited);
                }
            }
        }
        assert_eq!(rate.delivered(), 40_000);
    }

    #[test]
    fn acknowledgments_in_a_burst_do_not_raise_the_rate() {
        let mut rate = Rate::default();
        // Ten pieces sent over 10 ms; all acknowledged at once at 20 ms.
        let sent: Vec<Snapshot> =
            (0..10u64).map(|i| rate.on_sent(MS(i), 1000, i as u32 * 1000)).collect();
        for (i, snapshot) in sent.iter().enumerate() {
            rate.on_delivered(MS(20), 1000, snapshot, MS(i as u64));
        }
        let sample = rate.sample(RTT).unwrap();
        assert_eq!((sample.delivered, sample.interval), (10_000, Duration::from_millis(20)));
    }

    #[test]
    fn what_the_application_held_back_is_marked_until_it_is_delivered() {
        let mut rate = Rate::default();
        let first = rate.on_sent(MS(0), 1000, 0);
        rate.on_app_limited(1000);
        let second = rate.on_sent(MS(1), 1000, 1000);
        rate.on_delivered(MS(10), 1000, &first, MS(0));
        assert!(!rate.sample(RTT).unwrap().app_limited, "sent before");
        rate.on_delivered(MS(11), 1000, &second, MS(1));
        assert!(rate.sample(RTT).unwrap().app_limited);
        let third = rate.on_sent(MS(12), 1000, 0);
        rate.on_delivered(MS(22), 1000, &third, MS(12));
        assert!(!rate.sample(RTT).unwrap().app_limited, "the bubble has passed");
    }

    #[test]
    fn a_delivery_faster_than_the_path_is_no_sample() {
        let mut rate = Rate::default();
        let sent = rate.on_sent(MS(0), 1000, 0);
        rate.on_delivered(MS(3), 1000, &sent, MS(0));
        assert_eq!(rate.sample(RTT), None);
        assert_eq!(rate.sample(RTT), None, "nothing was delivered");
    }

    #[test]
    fn losses_are_counted_since_the_piece_was_sent() {
        let mut rate = Rate::default();
        let sent: Vec<Snapshot> =
            (0..3u64).map(|i| rate.on_sent(MS(i), 1000, i as u32 * 1000)).collect();
        assert_eq!(rate.on_lost(1000, &sent[0]).lost, 1000);
        let second = rate.on_lost(1000, &sent[1]);
        assert_eq!((second.bytes, second.in_flight, second.lost), (1000, 2000, 2000));
        rate.on_delivered(MS(20), 1000, &sent[2], MS(2));
        assert_eq!(rate.sample(RTT).unwrap().lost, 2000);
    }

    #[test]
    fn s4_counts_beyond_four_gibibytes() {
        let mut rate = Rate { delivered: u64::from(u32::MAX) - 500, ..Rate::default() };
        let sent = rate.on_sent(MS(0), 1000, 0);
        rate.on_delivered(MS(10), 1000, &sent, MS(0));
        let sample = rate.sample(RTT).unwrap();
        assert_eq!(sample.delivered, 1000);
        assert_eq!(sample.prior_delivered, u64::from(u32::MAX) - 500);
    }
}
