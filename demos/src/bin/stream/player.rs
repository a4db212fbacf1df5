//! The jitter buffer: packets come when they come, and are played at even times.
//!
//! Time is an argument, counted from anywhere.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use crate::rtp::{PACKET_TIME, Packet};

/// The most packets that wait: ten seconds. One more is not taken.
const MOST_WAITING: usize = 500;

/// What to do when a packet is not there at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Play silence in its place: sound that comes later is worth nothing.
    Skip,
    /// Be silent until it comes: what was sent is played, later and later.
    Wait,
}

/// Plays packets in their order, each at its time.
#[derive(Debug)]
pub(crate) struct Player {
    missing: Missing,
    /// How long the first packet waits, and with it all that are in time.
    delay: Duration,
    /// When the next packet is due; `None` before the first came.
    due: Option<Duration>,
    next: u64,
    waiting: BTreeMap<u64, Vec<i16>>,
    /// The number behind the last packet, once it is known.
    end: Option<u64>,
    is_silent: bool,
    pub(crate) report: Report,
}

/// What was played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Played {
    pub(crate) at: Duration,
    /// `None` for a packet that was skipped: silence of its length.
    pub(crate) samples: Option<Vec<i16>>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Interruptions of the sound.
    pub(crate) glitches: u64,
    /// How long they lasted together.
    pub(crate) silence: Duration,
    /// Packets that came after their time.
    pub(crate) late: u64,
    /// Packets that came twice, or for which there was no room.
    pub(crate) useless: u64,
}

impl Player {
    pub(crate) fn new(missing: Missing, delay: Duration) -> Player {
        Player {
            missing,
            delay,
            due: None,
            next: 0,
            waiting: BTreeMap::new(),
            end: None,
            is_silent: false,
            report: Report::default(),
        }
    }

    /// A packet came.
    pub(crate) fn arrive(&mut self, now: Duration, number: u64, packet: Packet) {
        // Whoever begins in the middle of a reordering plays from there.
        self.due.get_or_insert(now + self.delay);
        if packet.is_end {
            self.end = Some(number);
        } else if number < self.next {
            self.report.late += 1;
        } else if self.waiting.contains_key(&number)
            || self.waiting.len() >= MOST_WAITING && number != self.next
        {
            self.report.useless += 1;
        } else {
            self.waiting.insert(number, packet.samples);
        }
    }

    /// When something has to be played; `None` if that depends on what comes.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let is_stuck = self.missing == Missing::Wait && self.is_silent;
        self.due.filter(|_| !self.is_done() && !is_stuck)
    }

    /// Everything was played.
    pub(crate) fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// Plays what is due: to be called when something came, and when something is due.
    pub(crate) fn play(&mut self, now: Duration) -> Vec<Played> {
        let mut played = Vec::new();
        while let Some(due) = self.due.filter(|due| *due <= now && !self.is_done()) {
            let samples = self.waiting.remove(&self.next);
            let at = if samples.is_some() {
                // Whoever waited plays everything later by as much.
                let waited = mem::take(&mut self.is_silent) && self.missing == Missing::Wait;
                let at = if waited { now } else { due };
                self.report.silence += at - due;
                at
            } else {
                self.report.glitches += u64::from(!mem::replace(&mut self.is_silent, true));
                if self.missing == Missing::Wait {
                    break;
                }
                self.report.silence += PACKET_TIME;
                due
            };
            played.push(Played { at, samples });
            self.next += 1;
            self.due = Some(at + PACKET_TIME);
        }
        played
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{PACKET_SAMPLES, Session};

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn packet(is_end: bool) -> Packet {
        Packet { sequence: 0, timestamp: 0, source: 0, is_end, samples: vec![7; PACKET_SAMPLES] }
    }

    /// When packets are played that arrive at these times, by their numbers; the one of number
    /// `end` says that it is the end. `None` for what is skipped.
    fn played(missing: Missing, arrivals: &[(u64, u64)], end: u64) -> (Vec<Option<u64>>, Report) {
        let mut player = Player::new(missing, ms(50));
        let mut arrivals = arrivals.to_vec();
        arrivals.sort_by_key(|(_, at)| *at);
        let mut all = Vec::new();
        for (number, at) in arrivals {
            while let Some(due) = player.next_due().filter(|due| *due < ms(at)) {
                all.extend(player.play(due));
            }
            player.arrive(ms(at), number, packet(number == end));
            all.extend(player.play(ms(at)));
        }
        while let Some(due) = player.next_due() {
            all.extend(player.play(due));
        }
        let time = |it: &Played| it.samples.as_ref().map(|_| it.at.as_millis() as u64);
        (all.iter().map(time).collect(), player.report)
    }

    #[test]
    fn jitter_is_not_heard() {
        let arrivals = [(0, 0), (1, 60), (2, 60), (3, 61), (4, 130), (5, 131)];
        for missing in [Missing::Skip, Missing::Wait] {
            let (times, report) = played(missing, &arrivals, 5);
            assert_eq!(times, [50, 70, 90, 110, 130].map(Some), "{missing:?}");
            assert_eq!(report, Report::default(), "{missing:?}");
        }
    }

    #[test]
    fn reordered_packets_are_played_in_their_order() {
        for missing in [Missing::Skip, Missing::Wait] {
            let mut player = Player::new(missing, ms(50));
            for number in [0, 3, 1, 2] {
                let samples = vec![number as i16];
                player.arrive(ms(number), number, Packet { samples, ..packet(false) });
            }
            let heard = [50, 70, 90, 110].map(|at| player.play(ms(at)));
            let heard = heard.map(|played| played[0].samples.clone().unwrap()[0]);
            assert_eq!(heard, [0, 1, 2, 3], "{missing:?}");
            assert_eq!(player.report, Report::default());
        }
    }

    #[test]
    fn a_duplicate_is_played_once() {
        // Before its time, and after it.
        let arrivals = [(0, 0), (1, 20), (1, 30), (2, 40), (0, 60), (3, 61)];
        for missing in [Missing::Skip, Missing::Wait] {
            let (times, report) = played(missing, &arrivals, 3);
            assert_eq!(times, [50, 70, 90].map(Some), "{missing:?}");
            assert_eq!(report, Report { useless: 1, late: 1, ..Report::default() });
        }
    }

    #[test]
    fn what_is_lost_is_skipped_or_waited_for() {
        let arrivals = [(0, 0), (2, 40), (5, 100), (6, 120)];
        let (times, report) = played(Missing::Skip, &arrivals, 6);
        assert_eq!(times, [Some(50), None, Some(90), None, None, Some(150)]);
        assert_eq!(report, Report { glitches: 2, silence: ms(60), ..Report::default() });
        let (times, report) = played(Missing::Wait, &arrivals, 6);
        assert_eq!(times, [Some(50)]);
        assert_eq!(report, Report { glitches: 1, ..Report::default() });
    }

    #[test]
    fn what_is_late_is_skipped_or_makes_everything_late() {
        let arrivals = [(0, 0), (1, 20), (2, 135), (3, 136), (4, 137), (5, 140)];
        let (times, report) = played(Missing::Skip, &arrivals, 5);
        assert_eq!(times, [Some(50), Some(70), None, None, None]);
        assert_eq!((report.glitches, report.silence, report.late), (1, ms(60), 3));
        let (times, report) = played(Missing::Wait, &arrivals, 5);
        assert_eq!(times, [50, 70, 135, 155, 175].map(Some));
        assert_eq!((report.glitches, report.silence, report.late), (1, ms(45), 0));
    }

    #[test]
    fn no_more_waits_than_there_is_room() {
        let mut player = Player::new(Missing::Wait, ms(50));
        for number in 1..=MOST_WAITING as u64 + 5 {
            player.arrive(ms(0), number, packet(false));
        }
        assert_eq!((player.waiting.len(), player.report.useless), (MOST_WAITING, 5));
        // What was first comes at last, and the rest is played.
        assert_eq!(player.play(ms(50)), []);
        player.arrive(ms(60), 0, packet(false));
        assert_eq!(player.play(ms(60)).len(), 1);
        assert_eq!(player.play(ms(80)).len(), 1);
    }

    /// A sound whose numbers and timestamps come around comes out as it went in.
    #[test]
    fn a_stream_comes_around_without_being_heard() {
        let (mut session, mut player) = (Session::default(), Player::new(Missing::Skip, ms(50)));
        let mut heard = Vec::new();
        for number in 0..10_u32 {
            let now = PACKET_TIME * number;
            let packet = Packet {
                sequence: 65_530_u16.wrapping_add(number as u16),
                timestamp: (u32::MAX - 1000).wrapping_add(number * PACKET_SAMPLES as u32),
                is_end: number == 9,
                samples: vec![number as i16],
                source: 1,
            };
            let (number, packet) = session.accept(&packet.to_bytes()).unwrap();
            player.arrive(now, number, packet);
            heard.extend(player.play(now));
        }
        heard.extend(player.play(ms(1000)));
        let heard: Vec<i16> = heard.into_iter().flat_map(|it| it.samples.unwrap()).collect();
        assert_eq!(heard, (0..9).collect::<Vec<i16>>());
        assert_eq!(player.report, Report::default());
    }
}
