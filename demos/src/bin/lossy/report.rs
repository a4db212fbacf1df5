//! What happened to the frames, in words.

use std::fmt::Write;
use std::time::Duration;

use demos::human;
use tapdev::RelayStats;

/// One direction for a while: its name, its statistics, the bytes that came out, and the frames
/// that the kernel could not hand over because this program was too slow (`None`: not known).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) towards: char,
    pub(crate) stats: RelayStats,
    pub(crate) bytes: u64,
    pub(crate) missed: Option<u64>,
}

impl Account {
    /// One line: `to b: 1000 frames, 99.0 Mbit/s; lost 10 (1.00%), late 5`.
    pub(crate) fn line(&self, time: Duration) -> String {
        let link = &self.stats.link;
        let mut line = format!(
            "to {}: {} in, {} out, {}",
            self.towards,
            human::count(link.pushed, "frame"),
            link.popped,
            human::rate(self.bytes, time)
        );
        let share = |count: u64| count as f64 * 100.0 / link.pushed.max(1) as f64;
        let counts = [
            ("lost", link.lost),
            ("dropped by the full queue", link.dropped),
            ("late", link.reordered),
            ("twice", link.duplicated),
            ("damaged", link.corrupted),
            ("refused by the device", self.stats.refused),
        ];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            // Writing into a String cannot fail.
            let _ = write!(line, "; {what} {count} ({:.2}%)", share(count));
        }
        if let Some(missed) = self.missed.filter(|&missed| missed > 0) {
            let _ = write!(line, "; MISSED {missed}, which the TAP's queue had no room for");
        }
        line
    }

    /// What was added since `earlier`.
    pub(crate) fn since(&self, earlier: &Account) -> Account {
        Account {
            towards: self.towards,
            stats: RelayStats {
                link: self.stats.link.since(earlier.stats.link),
                refused: self.stats.refused - earlier.stats.refused,
            },
            bytes: self.bytes - earlier.bytes,
            missed: self.missed.zip(earlier.missed).map(|(now, then)| now - then),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapdev::LinkStats;

    #[test]
    fn only_what_happened_is_said() {
        let link = LinkStats { pushed: 1000, popped: 990, lost: 10, ..LinkStats::default() };
        let stats = RelayStats { link, refused: 0 };
        let account = Account { towards: 'b', stats, bytes: 125_000, missed: Some(0) };
        assert_eq!(
            account.line(Duration::from_secs(1)),
            "to b: 1000 frames in, 990 out, 1.0 Mbit/s; lost 10 (1.00%)"
        );
        let missed = Account { missed: Some(7), ..account };
        assert!(missed.line(Duration::from_secs(1)).contains("MISSED 7"));
        let nothing = missed.since(&missed).line(Duration::from_secs(1));
        assert_eq!(nothing, "to b: 0 frames in, 0 out, 0.0 kbit/s");
    }
}
