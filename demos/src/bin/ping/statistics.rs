//! What ping counts, and how iputils words it.

use std::fmt;
use std::time::Duration;

/// What was sent and what came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) duplicates: u64,
    pub(crate) errors: u64,
    /// Replies with another text than was sent.
    pub(crate) corrupted: u64,
    times: Times,
}

#[derive(Clone, Debug, Default)]
struct Times {
    count: u64,
    least: Duration,
    most: Duration,
    /// Sums of microseconds and of their squares.
    sum: f64,
    squares: f64,
}

impl Statistics {
    /// One more round trip was measured.
    pub(crate) fn measured(&mut self, time: Duration) {
        let times = &mut self.times;
        times.least = if times.count == 0 { time } else { times.least.min(time) };
        times.most = times.most.max(time);
        times.count += 1;
        let micros = time.as_secs_f64() * 1e6;
        times.sum += micros;
        times.squares += micros * micros;
    }

    /// The longest round trip so far.
    pub(crate) fn slowest(&self) -> Duration {
        self.times.most
    }

    /// The last lines of a ping to `target` that took `total`.
    pub(crate) fn report(&self, target: &str, total: Duration) -> String {
        format!(
            "--- {target} ping statistics ---\n{}time {}ms\n{}",
            Counts(self),
            total.as_millis(),
            self.times
        )
    }

    /// iputils: success means that at least one reply came.
    pub(crate) fn status(&self) -> u8 {
        u8::from(self.received == 0)
    }
}

struct Counts<'a>(&'a Statistics);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = self.0;
        write!(f, "{} packets transmitted, {} received, ", it.sent, it.received)?;
        for (count, word) in
            [(it.duplicates, "duplicates"), (it.corrupted, "corrupted"), (it.errors, "errors")]
        {
            if count > 0 {
                write!(f, "+{count} {word}, ")?;
            }
        }
        let lost = it.sent.saturating_sub(it.received) as f64 * 100.0 / it.sent.max(1) as f64;
        // As iputils: up to six digits, without noughts at the end.
        let text = format!("{lost:.4}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{text}% packet loss, ")
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return Ok(());
        }
        let mean = self.sum / self.count as f64;
        let deviation = (self.squares / self.count as f64 - mean * mean).max(0.0).sqrt();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        writeln!(
            f,
            "rtt min/avg/max/mdev = {:.3}/{:.3}/{:.3}/{:.3} ms",
            millis(self.least),
            mean / 1e3,
            millis(self.most),
            deviation / 1e3
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_worded_as_by_iputils() {
        let mut statistics = Statistics { sent: 3, received: 2, ..Statistics::default() };
        statistics.measured(Duration::from_micros(100));
        statistics.measured(Duration::from_micros(300));
        assert_eq!(
            statistics.report("192.0.2.1", Duration::from_millis(2003)),
            "--- 192.0.2.1 ping statistics ---\n\
             3 packets transmitted, 2 received, 33.3333% packet loss, time 2003ms\n\
             rtt min/avg/max/mdev = 0.100/0.200/0.300/0.100 ms\n"
        );
        assert_eq!(statistics.status(), 0);
    }

    #[test]
    fn without_a_reply_there_are_no_times_and_no_success() {
        let statistics = Statistics { sent: 2, errors: 2, ..Statistics::default() };
        let report = statistics.report("x", Duration::ZERO);
        assert!(
            report.ends_with("0 received, +2 errors, 100% packet loss, time 0ms\n"),
            "{report}"
        );
        assert_eq!(statistics.status(), 1);
    }
}
