//! Pacing: when the next text may leave, so that a window does not go out in one burst. An organ:
//! it is told what was sent and at which rate, and says how long to wait.
//!
//! Text goes out in quanta of about a millisecond, a timer and a drain for each; a quantum is a
//! number, whether segments or super-frames make it up.

use crate::time::Instant;
use core::time::Duration;

/// A second of the rate holds so many quanta.
const QUANTA_PER_SECOND: u64 = 1000;
/// The least quantum, segments: peers acknowledge every second one.
const LEAST_QUANTUM: u32 = 2;

/// Where a connection stands in its pace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// When all that was sent has had its time.
    due: Instant,
    /// Octets of the present quantum that may leave at once.
    left: u32,
}

/// What a window says about a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    /// None before the first sample.
    pub(crate) srtt: Option<Duration>,
    pub(crate) mss: u32,
}

impl Window {
    /// A window for each round trip, in bytes a second: twice as fast while it doubles, then a
    /// fifth faster, so that it is the window that holds back and can grow (as Linux).
    fn rate(self) -> Option<u64> {
        let percent = if self.cwnd < self.ssthresh / 2 { 200 } else { 120 };
        self.a_round_trip(self.cwnd, percent)
    }

    /// One segment for each round trip. Samples from a path that was dead for long say next to
    /// nothing a second, and a rate that low would keep itself so: where it waits longer than its
    /// round trip, a sender learns nothing of the path by waiting.
    fn least_rate(self) -> Option<u64> {
        self.a_round_trip(self.mss, 100)
    }

    /// `percent` of `octets` each round trip, in bytes a second.
    fn a_round_trip(self, octets: u32, percent: u128) -> Option<u64> {
        let nanos = self.srtt?.as_nanos().max(1);
        let scaled = u128::from(octets) * percent * 10_000_000 / nanos;
        Some(u64::try_from(scaled).unwrap_or(u64::MAX).max(1))
    }
}

/// The rate in force, bytes a second: a controller that lives on rates says its own; of others
/// `window` is asked, if there is a greatest rate at all.
pub(crate) fn rate(controller: Option<u64>, window: Window, most: Option<u64>) -> Option<u64> {
    let controller = controller.map(|rate| rate.max(window.least_rate().unwrap_or(rate)));
    let Some(most) = most else { return controller };
    let own = controller.or_else(|| window.rate());
    Some(own.map_or(most, |own| own.min(most)))
}

/// Octets that leave at once.
pub(crate) fn quantum(rate: u64, mss: u32) -> u32 {
    let quantum = u32::try_from(rate / QUANTA_PER_SECOND).unwrap_or(u32::MAX);
    quantum.max(LEAST_QUANTUM * mss)
}

impl Pace {
    pub(crate) const fn new() -> Pace {
        Pace { due: Instant::ZERO, left: 0 }
    }

    /// When the next may leave, if not now.
    pub(crate) fn wait(&self, now: Instant) -> Option<Instant> {
        (self.left == 0 && self.due > now).then_some(self.due)
    }

    /// `octets` left at `rate`. Whoever is late, for timers have ticks, is given up to half a
    /// quantum's time back, and no more: idling earns no burst.
    pub(crate) fn on_sent(&mut self, now: Instant, octets: u32, rate: u64, mss: u32) {
        if self.left == 0 {
            self.left = quantum(rate, mss);
            self.due = self.due.latest(now - span(self.left, rate) / 2);
        }
        self.left = self.left.saturating_sub(octets);
        self.due = self.due + span(octets, rate);
    }
}

/// How long `octets` take at `rate`.
fn span(octets: u32, rate: u64) -> Duration {
    Duration::from_nanos(u64::from(octets) * 1_000_000_000 / rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    /// Octets sent in `span` by somebody who always has more, and is woken `late` after each due
    /// time.
    fn sent_in(span: Duration, rate: u64, late: Duration) -> u64 {
        let (mut pace, mut now, mut sent) = (Pace::new(), Instant::from_secs(1), 0);
        let end = now + span;
        while now < end {
            match pace.wait(now) {
                Some(at) => now = at + late,
                None => {
                    pace.on_sent(now, MSS, rate, MSS);
                    sent += u64::from(MSS);
                }
            }
        }
        sent
    }

    #[test]
    fn the_rate_is_kept_although_timers_are_late() {
        let second = Duration::from_secs(1);
        for rate in [1_000, 1_000_000, 12_500_000, 1_250_000_000] {
            for late in [0, 66, 400] {
                let sent = sent_in(second, rate, Duration::from_micros(late));
                let most = u64::from(2 * quantum(rate, MSS));
                assert!(sent >= rate - rate / 500 && sent <= rate + most, "{sent} of {rate}");
            }
        }
    }

    #[test]
    fn a_quantum_leaves_at_once_and_idling_earns_no_burst() {
        let rate = 10_000_000;
        assert_eq!(quantum(rate, MSS), 10_000);
        assert_eq!(quantum(1_000_000, MSS), 2000);
        let mut pace = Pace::new();
        let now = Instant::from_secs(100);
        let mut burst = 0;
        while pace.wait(now).is_none() {
            pace.on_sent(now, MSS, rate, MSS);
            burst += 1;
        }
        assert_eq!(burst, 10);
        assert_eq!(pace.wait(now), Some(now + Duration::from_micros(500)), "half is given back");
    }

    #[test]
    fn a_window_leaves_in_less_than_a_round_trip() {
        let srtt = Some(Duration::from_millis(100));
        let window = |ssthresh| Window { cwnd: 100_000, ssthresh, srtt, mss: 500 };
        assert_eq!(rate(None, window(u32::MAX), None), None, "nobody asked");
        let fast = Some(u64::MAX);
        assert_eq!(rate(None, window(u32::MAX), fast), Some(2_000_000));
        assert_eq!(rate(None, window(100_000), fast), Some(1_200_000));
        assert_eq!(rate(None, window(100_000), Some(5_000)), Some(5_000));
        assert_eq!(rate(Some(7_000), window(100_000), None), Some(7_000));
        assert_eq!(rate(Some(7_000), window(100_000), Some(5_000)), Some(5_000));
        let unknown = Window { srtt: None, ..window(u32::MAX) };
        assert_eq!(rate(None, unknown, Some(5_000)), Some(5_000));
    }

    #[test]
    fn no_controller_is_slower_than_a_segment_a_round_trip() {
        let srtt = Some(Duration::from_millis(100));
        let window = Window { cwnd: 100_000, ssthresh: 100_000, srtt, mss: 500 };
        assert_eq!(rate(Some(1), window, None), Some(5_000));
        assert_eq!(rate(Some(1), window, Some(200)), Some(200), "the application's own limit");
        assert_eq!(rate(Some(1), Window { srtt: None, ..window }, None), Some(1));
    }
}
