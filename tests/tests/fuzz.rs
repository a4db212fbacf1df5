//! Ten million frames that somebody made up, and every combination of lengths (THREATS P-1, P-2).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tests::fuzz::lattice::Lattice;
use tests::fuzz::target::Target;

/// A control bit that makes a listener answer.
const SYN: u8 = 2;

/// Frames that one stack has to bear before it is looked at and replaced.
const LIFE: u64 = 50_000;
const FRAMES: u64 = 10_000_000;

/// A life under fire. Returns the states that connections were seen in, and how many segments
/// were judged by what their connection had been told.
fn life(seed: u64, frames_told: usize) -> (BTreeMap<String, u64>, u64) {
    let mut target = Target::new(seed, frames_told);
    for step in 0..LIFE {
        target.step();
        if step.is_multiple_of(500) {
            target.audit();
        }
    }
    target.audit();
    target.serve_an_honest_peer();
    target.audit();
    let judged = target.judged_segments();
    (target.seen, judged)
}

#[test]
fn ten_million_frames_harm_nobody() {
    let (next, judged) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= FRAMES / LIFE {
                return seen;
            }
            let lived = std::panic::catch_unwind(|| life(seed, 0)).unwrap_or_else(|_| {
                eprintln!("seed {seed} again, with its last frames:");
                life(seed, 5_000);
                panic!("seed {seed} has failed, and does not fail again");
            });
            judged.fetch_add(lived.1, Ordering::Relaxed);
            for (state, count) in lived.0 {
                *seen.entry(state).or_insert(0) += count;
            }
        }
    };
    let seen = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for thread in threads {
            for (state, count) in thread.join().expect("a seed that is named above") {
                *all.entry(state).or_insert(0) += count;
            }
        }
        all
    });
    let judged = judged.into_inner();
    assert!(judged > 2_000_000, "{judged} segments were judged as part of a connection");
    // A fuzzer that never gets past the handshake proves nothing.
    let rare: Vec<_> = seen.iter().filter(|(_, count)| **count < 500).collect();
    // Listeners listen for both versions at once.
    assert!(seen.len() == 21 && rare.is_empty(), "hardly seen: {rare:?} of {seen:?}");
}

/// P-1: every frame length, longer than any link takes.
#[test]
fn every_frame_length() {
    for protocol in [1, 6, 17, 99] {
        let (mut lattice, mut sound) = (Lattice::new(protocol), 0);
        for len in 0..=65_550usize {
            let total = len.saturating_sub(14).min(65_535);
            lattice.give(len, 5, total as u16);
            // Everything else in the packet is ones: a datagram of 257 bytes, a segment with a data
            // offset of no words, an ICMP message with a wrong sum, a protocol that nobody knows.
            sound += u64::from(protocol == 17 && total >= 20 + 257);
        }
        assert_eq!(lattice.audit(), sound, "protocol {protocol}");
    }
}

/// P-2 for TCP: 2^24 combinations of frame length, total length, header length and data offset.
#[test]
fn the_lattice_of_tcp_lengths() {
    let sweep = |half: std::ops::Range<u8>| {
        let (mut lattice, mut sound) = (Lattice::new(6), 0);
        for words in half {
            for offset in 0..16u8 {
                // A header of less than five words is none: what would be behind it is in it.
                lattice.set_transport(words.max(5), 12, &[offset << 4, SYN]);
                for len in 0..256 {
                    for total in 0..256 {
                        lattice.give(len, words, total);
                        let headers = 4 * u16::from(words + offset);
                        let fits = headers <= total && 14 + usize::from(total) <= len;
                        sound += u64::from(words >= 5 && offset >= 5 && fits);
                    }
                }
            }
            lattice.set_transport(words.max(5), 12, &[1, 1]);
        }
        (lattice.audit(), sound)
    };
    std::thread::scope(|scope| {
        for swept in [scope.spawn(|| sweep(0..8)), scope.spawn(|| sweep(8..16))] {
            let (taken, sound) = swept.join().unwrap();
            assert!(taken == sound && sound > 0, "{taken} were taken, {sound} are sound");
        }
    });
}

/// P-2 for UDP: frame length, total length, and the datagram's own.
#[test]
fn the_lattice_of_udp_lengths() {
    let (mut lattice, mut sound) = (Lattice::new(17), 0);
    for length in (0..200u16).chain([0x7fff, 0x8000, 0xfffe, 0xffff]) {
        lattice.set_transport(5, 4, &length.to_be_bytes());
        for len in 0..200 {
            for total in 0..200 {
                lattice.give(len, 5, total);
                let fits = 14 + usize::from(total) <= len;
                sound += u64::from(length >= 8 && length.saturating_add(20) <= total && fits);
            }
        }
    }
    assert_eq!(lattice.audit(), sound);
}
