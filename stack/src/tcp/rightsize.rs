//! How large buffers have to be: as large as what is read, or may be sent, in two round trips
//! (dynamic right-sizing, as in Linux). An organ: it sees reads and round-trip times, and answers
//! with sizes.

use crate::time::Instant;
use core::time::Duration;

/// Below, an echo in whole milliseconds says less than the handshake.
const COARSE: Duration = Duration::from_millis(4);
/// A round is at least so long: reads within it are one.
const LEAST_ROUND: Duration = Duration::from_micros(100);
/// What is added for the segments that come while the window is on its way.
const SLACK_SEGMENTS: u64 = 16;

/// What the application reads in a round trip. Small, for idle connections hold one too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RightSize {
    /// The most read in a round so far, bytes.
    space: u32,
    /// Read in this round.
    read: u32,
    began: Instant,
    /// The smallest echo of this round, and of the one before; microseconds.
    echo_us: u32,
    last_echo_us: u32,
}

/// However short the path, so much is never too much, bytes: it fits into the 1000 frames that a
/// TAP holds before it drops.
const SHORT_PATH: u64 = 1 << 20;
/// How much more than the path itself holds a buffer may be: three doublings ahead of slow start.
const PATHS: u64 = 6;

/// No echo was seen.
const NONE: u32 = u32::MAX;

impl RightSize {
    /// `window` is what the peer can send at once, bytes.
    pub(crate) const fn new(now: Instant, window: u32) -> RightSize {
        RightSize { space: window, read: 0, began: now, echo_us: NONE, last_echo_us: NONE }
    }

    /// Text arrived whose timestamp echoes what was sent so long ago: a round trip, or more.
    pub(crate) fn on_echo(&mut self, elapsed: Duration) {
        let micros = u32::try_from(elapsed.as_micros()).unwrap_or(NONE);
        self.echo_us = self.echo_us.min(micros);
    }

    /// The most read in a round trip, bytes (Linux's `tcpi_rcv_space`).
    pub(crate) fn space(&self) -> u32 {
        self.space
    }

    /// The round-trip time as the receiver sees it; `srtt` is what the sender's side knows.
    pub(crate) fn round_trip(&self, srtt: Option<Duration>) -> Option<Duration> {
        let micros = self.echo_us.min(self.last_echo_us);
        let echo = (micros != NONE).then(|| Duration::from_micros(micros.into()));
        match (srtt, echo) {
            (Some(srtt), Some(echo)) if echo < COARSE => Some(srtt),
            _ => echo.or(srtt),
        }
    }

    /// The application read `n` bytes. At the end of a round in which it read more than in any
    /// before: the buffer that does not hold the sender up, who may double his rate each round.
    /// `srtt` and `least` are the smoothed and the least round-trip time of the sender's side.
    pub(crate) fn on_read(
        &mut self,
        now: Instant,
        n: usize,
        (srtt, least): (Option<Duration>, Option<Duration>),
        mss: u16,
    ) -> Option<usize> {
        self.read = self.read.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        let round = self.round_trip(srtt)?.max(LEAST_ROUND);
        let elapsed = now - self.began;
        if elapsed < round {
            return None;
        }
        let read = core::mem::take(&mut self.read);
        self.began = now;
        self.last_echo_us = core::mem::replace(&mut self.echo_us, NONE);
        if read <= self.space {
            return None;
        }
        let (read, space) = (u64::from(read), u64::from(self.space.max(1)));
        let twice = 2 * read + SLACK_SEGMENTS * u64::from(mss);
        // As much ahead as it has grown, but no sender does more than double.
        let grown = (read - space).min(space);
        let ahead = (u128::from(twice) * u128::from(grown) / u128::from(space)) as u64;
        self.space = read as u32;
        // A round longer than the path takes is spent in a queue: a larger buffer would only make
        // that longer, and overflow it at last.
        let path = least.map_or(read, |least| {
            let share = least.min(elapsed).as_nanos() * u128::from(read) / elapsed.as_nanos();
            share as u64
        });
        Some((twice + 2 * ahead).min((PATHS * path).max(SHORT_PATH)) as usize)
    }
}

/// The send buffer for a window of so many bytes: what is in flight, and as much again for the
/// application to be ahead.
pub(crate) fn send_buffer(window: u32) -> usize {
    2 * window as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    fn after(rounds: u64) -> Instant {
        Instant::from_millis(1_000 + 100 * rounds)
    }

    #[test]
    fn the_buffer_stays_ahead_of_a_sender_in_slow_start() {
        let mut size = RightSize::new(after(0), 14_600);
        let (mut buffer, mut window) = (131_072usize, 14_600usize);
        for round in 1..12 {
            assert!(window <= buffer, "round {round}: {window} above {buffer}");
            let wanted = size.on_read(after(round), window, (Some(RTT), Some(RTT)), 1460);
            buffer = buffer.max(wanted.unwrap_or(0));
            window *= 2;
        }
    }

    #[test]
    fn a_slow_reader_gets_no_more() {
        let mut size = RightSize::new(after(0), 14_600);
        for round in 1..100 {
            assert_eq!(size.on_read(after(round), 14_600, (Some(RTT), Some(RTT)), 1460), None);
        }
        assert_eq!(size.space(), 14_600);
    }

    #[test]
    fn reads_within_a_round_count_together() {
        let mut size = RightSize::new(after(0), 10_000);
        for _ in 0..20 {
            assert_eq!(size.on_read(after(0), 1_000, (Some(RTT), Some(RTT)), 1_000), None);
        }
        // 2 * 20,000 + 16,000 doubled for the growth, twice: the window may double again.
        assert_eq!(size.on_read(after(1), 0, (Some(RTT), Some(RTT)), 1_000), Some(56_000 * 3));
    }

    #[test]
    fn echoes_follow_a_path_that_changes_and_short_ones_are_coarse() {
        let mut size = RightSize::new(after(0), 10_000);
        assert_eq!(size.round_trip(Some(RTT)), Some(RTT));
        size.on_echo(Duration::from_millis(300));
        assert_eq!(size.round_trip(Some(RTT)), Some(Duration::from_millis(300)));
        let mut near = RightSize::new(after(0), 10_000);
        near.on_echo(Duration::from_millis(1));
        assert_eq!(near.round_trip(Some(LEAST_ROUND)), Some(LEAST_ROUND));
        assert_eq!(near.round_trip(None), Some(Duration::from_millis(1)));
        assert_eq!(RightSize::new(after(0), 1).round_trip(None), None);
    }

    #[test]
    fn s5_no_number_is_too_large() {
        for space in [0, 1, 1 << 31, u32::MAX - 1] {
            let mut size = RightSize::new(Instant::ZERO, space);
            let times = (Some(RTT), Some(RTT));
            assert!(size.on_read(after(9), usize::MAX, times, u16::MAX).is_some(), "{space}");
            assert_eq!(size.space(), u32::MAX);
        }
    }

    #[test]
    fn a_queue_is_no_part_of_the_path() {
        let least = Some(Duration::from_millis(1));
        let mut size = RightSize::new(after(0), 14_600);
        // 100 ms of which the path is one: 50,000 of 5,000,000 bytes are on it.
        let wanted = size.on_read(after(1), 5_000_000, (Some(RTT), least), 1460);
        assert_eq!(wanted, Some(SHORT_PATH as usize));
        let mut size = RightSize::new(after(0), 14_600);
        let wanted = size.on_read(after(1), 5_000_000, (Some(RTT), Some(RTT)), 1460);
        assert!(wanted > Some(10_000_000), "{wanted:?}");
    }
}
