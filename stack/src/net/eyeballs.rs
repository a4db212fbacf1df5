//! Happy Eyeballs (RFC 8305): which of a name's addresses to connect to, and when, so that a path
//! that does not work costs a quarter of a second and not a time-out.

use std::collections::VecDeque;

use core::net::IpAddr;
use core::time::Duration;

use crate::net::dns::Family;
use crate::time::Instant;

/// How long the addresses of IPv4 wait for those of IPv6 (§3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long an attempt is alone (§5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The race between a name's addresses.
#[derive(Debug)]
pub(crate) struct Race {
    v6: Kin,
    v4: Kin,
    /// The family of the last attempt.
    last: Option<Family>,
    /// No attempt before that.
    not_before: Instant,
    running: usize,
}

/// The addresses of one family.
#[derive(Debug, Default)]
struct Kin {
    /// They are known, or known not to be.
    is_known: bool,
    waiting: VecDeque<IpAddr>,
}

/// What to do in a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Begin to connect to this address.
    Start(IpAddr),
    /// Wait for what happens, at most until then.
    Wait(Instant),
    /// Everything was tried, and nothing is left to wait for.
    Lost,
}

impl Race {
    pub(crate) fn new() -> Race {
        Race {
            v6: Kin::default(),
            v4: Kin::default(),
            last: None,
            not_before: Instant::ZERO,
            running: 0,
        }
    }

    /// The addresses of a family have been found: none, perhaps.
    pub(crate) fn on_resolved(&mut self, now: Instant, family: Family, found: &[IpAddr]) {
        let (kin, is_other_known) = match family {
            Family::V6 => (&mut self.v6, self.v4.is_known),
            Family::V4 => (&mut self.v4, self.v6.is_known),
        };
        kin.is_known = true;
        kin.waiting.extend(found);
        if self.last.is_some() {
            return;
        }
        let waits = family == Family::V4 && !is_other_known && !found.is_empty();
        self.not_before = if waits { now + RESOLUTION_DELAY } else { now };
    }

    /// An attempt has failed: the next one need not wait.
    pub(crate) fn on_failed(&mut self, now: Instant) {
        self.running = self.running.saturating_sub(1);
        self.not_before = self.not_before.min(now);
    }

    /// What to do now.
    pub(crate) fn step(&mut self, now: Instant) -> Move {
        let is_empty = self.v6.waiting.is_empty() && self.v4.waiting.is_empty();
        if is_empty {
            let is_over = self.v6.is_known && self.v4.is_known && self.running == 0;
            return if is_over { Move::Lost } else { Move::Wait(Instant::FAR_FUTURE) };
        }
        if now < self.not_before {
            return Move::Wait(self.not_before);
        }
        // §4: the families take turns, IPv6 begins.
        let next = match self.last {
            Some(Family::V6) => [Family::V4, Family::V6],
            _ => [Family::V6, Family::V4],
        };
        let found = next.into_iter().find_map(|family| {
            let kin = if family == Family::V6 { &mut self.v6 } else { &mut self.v4 };
            Some((family, kin.waiting.pop_front()?))
        });
        let Some((family, address)) = found else { return Move::Wait(Instant::FAR_FUTURE) };
        self.last = Some(family);
        self.running += 1;
        self.not_before = now + ATTEMPT_DELAY;
        Move::Start(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn all(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Who starts when, if nothing comes of it, from `since` on.
    fn starts(race: &mut Race, since: u64) -> Vec<(u64, String)> {
        let (mut now, mut seen) = (at(since), Vec::new());
        loop {
            match race.step(now) {
                Move::Start(address) => seen.push((now.as_millis(), address.to_string())),
                Move::Wait(Instant::FAR_FUTURE) | Move::Lost => return seen,
                Move::Wait(until) => now = until,
            }
        }
    }

    #[test]
    fn rfc8305_4_5_families_take_turns_a_quarter_of_a_second_apart() {
        let mut race = Race::new();
        race.on_resolved(at(0), Family::V6, &all(&["2001:db8::1", "2001:db8::2", "2001:db8::3"]));
        race.on_resolved(at(0), Family::V4, &all(&["192.0.2.1", "192.0.2.2"]));
        let seen = starts(&mut race, 0);
        let expected = [
            (0, "2001:db8::1"),
            (250, "192.0.2.1"),
            (500, "2001:db8::2"),
            (750, "192.0.2.2"),
            (1000, "2001:db8::3"),
        ];
        assert_eq!(seen, expected.map(|(time, name)| (time, name.to_owned())));
    }

    #[test]
    fn rfc8305_3_ipv4_waits_a_moment_for_ipv6() {
        let mut race = Race::new();
        race.on_resolved(at(10), Family::V4, &all(&["192.0.2.1"]));
        assert_eq!(race.step(at(10)), Move::Wait(at(60)));
        race.on_resolved(at(30), Family::V6, &all(&["2001:db8::1"]));
        assert_eq!(race.step(at(30)), Move::Start("2001:db8::1".parse().unwrap()));
        let mut race = Race::new();
        race.on_resolved(at(10), Family::V4, &all(&["192.0.2.1"]));
        assert_eq!(starts(&mut race, 10), [(60, "192.0.2.1".to_owned())]);
        race.on_resolved(at(100), Family::V6, &all(&["2001:db8::1"]));
        assert_eq!(race.step(at(100)), Move::Wait(at(310)), "it joins a race that is on");
        assert_eq!(race.step(at(310)), Move::Start("2001:db8::1".parse().unwrap()));
        let mut race = Race::new();
        race.on_resolved(at(0), Family::V6, &[]);
        race.on_resolved(at(10), Family::V4, &all(&["192.0.2.1"]));
        assert_eq!(race.step(at(10)), Move::Start("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn rfc8305_5_a_failure_starts_the_next_at_once_and_all_failures_end_it() {
        let mut race = Race::new();
        assert_eq!(race.step(at(0)), Move::Wait(Instant::FAR_FUTURE));
        race.on_resolved(at(0), Family::V6, &all(&["2001:db8::1"]));
        race.on_resolved(at(0), Family::V4, &all(&["192.0.2.1"]));
        assert!(matches!(race.step(at(0)), Move::Start(_)));
        race.on_failed(at(5));
        assert!(matches!(race.step(at(5)), Move::Start(_)));
        assert_eq!(race.step(at(5)), Move::Wait(Instant::FAR_FUTURE));
        race.on_failed(at(9));
        assert_eq!(race.step(at(9)), Move::Lost);
    }
}
