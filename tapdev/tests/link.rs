//! The emulated link: what it promises for every configuration, and that its numbers are right.

use std::time::Duration;

use proptest::prelude::*;
use tapdev::{GilbertElliott, Link, LinkConfig, QueueLimit, Reorder};

const MS: u64 = 1_000_000;

fn link(config: LinkConfig) -> Link {
    Link::new(config, 1).unwrap()
}

/// Everything in the link, with the times of arrival.
fn drain(link: &mut Link) -> Vec<(u64, Vec<u8>)> {
    let mut arrived = Vec::new();
    while let Some(at) = link.next_ns() {
        assert!(at == 0 || link.pop(at - 1).is_none(), "a frame came before its time");
        arrived.push((at, link.pop(at).unwrap()));
    }
    arrived
}

fn is_conserved(link: &Link) -> bool {
    let s = link.stats();
    s.pushed + s.duplicated == s.popped + s.lost + s.dropped + s.held
}

fn probability() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..=1.0, Just(1.0)]
}

prop_compose! {
    fn burst()(a in probability(), b in probability(), c in probability(), d in probability())
        -> GilbertElliott
    {
        GilbertElliott { p_good_to_bad: a, p_bad_to_good: b, loss_good: c, loss_bad: d }
    }
}

prop_compose! {
    fn any_config()(
        delay_us in 0_u64..50_000,
        jitter_share in 0.0..=1.0,
        (loss, duplicate, corrupt, held_back) in
            (probability(), probability(), probability(), probability()),
        burst in prop::option::of(burst()),
        rate in prop::option::of(1_000_u64..1_000_000_000),
        least_share in 0.0..=1.0,
        extra_us in prop::option::of(1_u64..100_000),
        frames in 1_usize..50,
        bytes in 1_usize..20_000,
    ) -> LinkConfig {
        let delay = Duration::from_micros(delay_us);
        LinkConfig {
            delay,
            jitter: delay.mul_f64(jitter_share),
            loss,
            burst,
            reorder: extra_us.map(|us| {
                let extra = Duration::from_micros(us);
                Reorder { probability: held_back, least: extra.mul_f64(least_share), extra }
            }),
            duplicate,
            corrupt,
            rate_bits_per_s: rate,
            queue: QueueLimit { frames, bytes },
            mark_above: None,
        }
    }
}

/// Frames as (time since the one before, length).
fn traffic() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec((0..2 * MS, 14_usize..1514), 0..200)
}

/// Pushes traffic whose frames carry their number, popping now and then, and returns what came.
fn run(link: &mut Link, traffic: &[(u64, usize)]) -> Vec<(u64, Vec<u8>)> {
    let mut now = 0;
    let mut arrived = Vec::new();
    for (number, &(gap, length)) in traffic.iter().enumerate() {
        now += gap;
        let mut frame = vec![0; length];
        frame[..8].copy_from_slice(&(number as u64).to_be_bytes());
        link.push(now, &frame);
        if number % 3 == 0 {
            arrived.extend(link.pop(now).map(|frame| (now, frame)));
        }
        assert!(is_conserved(link));
    }
    arrived.extend(drain(link));
    arrived
}

fn number(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[..8].try_into().unwrap())
}

proptest! {
    #[test]
    fn frames_are_conserved_and_the_run_repeats(
        config in any_config(),
        seed: u64,
        traffic in traffic(),
    ) {
        let mut first = Link::new(config.clone(), seed).unwrap();
        let mut second = Link::new(config, seed).unwrap();
        let arrived = run(&mut first, &traffic);
        prop_assert_eq!(&arrived, &run(&mut second, &traffic));
        prop_assert_eq!(first.stats(), second.stats());
        prop_assert_eq!(first.stats().held, 0);
        prop_assert_eq!(first.stats().popped, arrived.len() as u64);
    }

    #[test]
    fn without_reordering_order_is_kept(
        config in any_config(),
        seed: u64,
        traffic in traffic(),
    ) {
        let config = LinkConfig { reorder: None, corrupt: 0.0, ..config };
        let arrived = run(&mut Link::new(config, seed).unwrap(), &traffic);
        prop_assert!(arrived.is_sorted_by_key(|(_, frame)| number(frame)));
    }

    #[test]
    fn the_rate_is_never_exceeded(
        rate in 100_000_u64..100_000_000,
        traffic in traffic(),
    ) {
        let config = LinkConfig { rate_bits_per_s: Some(rate), ..Default::default() };
        let mut link = link(config);
        for &(gap, length) in &traffic {
            link.push(gap, &vec![0; length]);
        }
        let mut bits = 0_u128;
        for (at, frame) in drain(&mut link) {
            bits += frame.len() as u128 * 8;
            prop_assert!(bits * 1_000_000_000 <= u128::from(at) * u128::from(rate));
        }
    }

    #[test]
    fn the_queue_keeps_to_its_limits(
        frames in 1_usize..20,
        bytes in 100_usize..5000,
        traffic in traffic(),
    ) {
        // At one bit a second nothing leaves in the time of the test.
        let queue = QueueLimit { frames, bytes };
        let mut link =
            link(LinkConfig { rate_bits_per_s: Some(1), queue, ..Default::default() });
        let (mut count, mut sum) = (0, 0);
        for &(_, length) in &traffic {
            if count < frames && sum + length <= bytes {
                count += 1;
                sum += length;
            }
            link.push(0, &vec![0; length]);
        }
        prop_assert_eq!(link.stats().held, count as u64);
    }

    #[test]
    fn one_fault_does_not_change_another(config in any_config(), seed: u64) {
        // Which frames are lost depends on the loss alone.
        let traffic = [(MS, 100); 100];
        let lossy = LinkConfig { loss: config.loss, burst: config.burst, ..Default::default() };
        let mut all = Link::new(config, seed).unwrap();
        let mut only_loss = Link::new(lossy, seed).unwrap();
        run(&mut all, &traffic);
        run(&mut only_loss, &traffic);
        prop_assert_eq!(all.stats().lost, only_loss.stats().lost);
    }
}

#[test]
fn delay_and_rate_add_up() {
    let mut link = link(LinkConfig {
        delay: Duration::from_millis(10),
        rate_bits_per_s: Some(8_000_000),
        ..Default::default()
    });
    // 1,000 bytes at 1 byte per microsecond: 1 ms each, one after the other.
    link.push(0, &[0; 1000]);
    link.push(0, &[1; 1000]);
    link.push(5 * MS, &[2; 1000]);
    let times: Vec<u64> = drain(&mut link).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [11 * MS, 12 * MS, 16 * MS]);
}

#[test]
fn jitter_stays_within_its_bounds_and_uses_them() {
    let config = LinkConfig {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(4),
        ..Default::default()
    };
    let mut link = link(config);
    let mut delays = Vec::new();
    for i in 0..1000 {
        let sent = i * 100 * MS;
        link.push(sent, &[0; 14]);
        delays.push(drain(&mut link)[0].0 - sent);
    }
    let (min, max) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
    assert!((6 * MS..6 * MS + MS / 4).contains(&min), "{min}");
    assert!((14 * MS - MS / 4..=14 * MS).contains(&max), "{max}");
}

#[test]
fn loss_is_as_frequent_as_asked() {
    let mut link = link(LinkConfig { loss: 0.1, ..Default::default() });
    let sent = 100_000_u64;
    for _ in 0..sent {
        link.push(0, &[0; 14]);
    }
    // Mean 10,000, standard deviation 95: six of them either way.
    assert!(link.stats().lost.abs_diff(sent / 10) < 570, "{:?}", link.stats());
}

#[test]
fn bursts_have_their_length_and_share() {
    let burst =
        GilbertElliott { p_good_to_bad: 0.01, p_bad_to_good: 0.1, loss_good: 0.0, loss_bad: 1.0 };
    let mut link = link(LinkConfig { burst: Some(burst), ..Default::default() });
    let (mut bursts, mut before) = (0_u64, false);
    for _ in 0..200_000 {
        let lost_before = link.stats().lost;
        link.push(0, &[0; 14]);
        let lost = link.stats().lost > lost_before;
        bursts += u64::from(lost && !before);
        before = lost;
    }
    let lost = link.stats().lost as f64;
    let share = lost / 200_000.0;
    let length = lost / bursts as f64;
    // Stationary share of the bad state: 0.01 / (0.01 + 0.1).
    assert!((share - 0.0909).abs() < 0.01, "{share}");
    assert!((length - 10.0).abs() < 1.0, "{length}");
}

fn held_back(probability: f64, least_ms: u64, extra_ms: u64) -> Reorder {
    let [least, extra] = [least_ms, extra_ms].map(Duration::from_millis);
    Reorder { probability, least, extra }
}

#[test]
fn a_frame_is_held_back_for_a_time_within_the_bounds() {
    let mut link = link(LinkConfig { reorder: Some(held_back(1.0, 3, 20)), ..Default::default() });
    for _ in 0..10_000 {
        link.push(0, &[0; 14]);
    }
    let times: Vec<u64> = drain(&mut link).into_iter().map(|(at, _)| at).collect();
    assert!(times[0] >= 3 * MS && times[0] < 4 * MS, "{}", times[0]);
    assert!(times[9999] <= 20 * MS && times[9999] > 19 * MS, "{}", times[9999]);
}

#[test]
fn a_frame_held_back_is_overtaken() {
    let mut link = link(LinkConfig {
        delay: Duration::from_millis(1),
        reorder: Some(held_back(0.2, 0, 5)),
        ..Default::default()
    });
    let arrived = run(&mut link, &[(MS, 64); 200]);
    let numbers: Vec<u64> = arrived.iter().map(|(_, frame)| number(frame)).collect();
    assert!(!numbers.is_sorted());
    assert!((20..60).contains(&link.stats().reordered), "{:?}", link.stats());
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..200).collect::<Vec<_>>());
}

#[test]
fn corruption_flips_exactly_one_bit_of_one_copy() {
    let mut link = link(LinkConfig { corrupt: 1.0, duplicate: 1.0, ..Default::default() });
    for _ in 0..100 {
        link.push(0, &[0; 60]);
    }
    let stats = link.stats();
    assert_eq!((stats.duplicated, stats.corrupted), (100, 200));
    for (_, frame) in drain(&mut link) {
        assert_eq!(frame.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    }
}

#[test]
fn time_never_runs_backwards() {
    let mut link = link(LinkConfig::default());
    link.push(10 * MS, &[1; 14]);
    link.push(0, &[2; 14]);
    assert_eq!(drain(&mut link).into_iter().map(|(at, _)| at).collect::<Vec<_>>(), [10 * MS; 2]);
}

/// A packet that knows ECN and finds more than the threshold waiting is marked; the others, and
/// those that know no ECN, pass as they are.
#[test]
fn a_long_queue_marks_who_knows_ecn() {
    let rate_bits_per_s = Some(8_000_000);
    let config = LinkConfig { rate_bits_per_s, mark_above: Some(2_000), ..LinkConfig::default() };
    let mut link = Link::new(config, 1).unwrap();
    let frame = |ecn: u8| {
        let mut frame = vec![0; 1_000];
        frame[12..16].copy_from_slice(&[8, 0, 0x45, ecn]);
        frame
    };
    for ecn in [2, 2, 2, 2, 0, 1] {
        link.push(0, &frame(ecn));
    }
    let arrived = std::iter::from_fn(|| link.pop(u64::MAX)).map(|frame| frame[15]);
    assert_eq!(arrived.collect::<Vec<_>>(), [2, 2, 2, 3, 0, 3]);
    assert_eq!(link.stats().marked, 2);
}
