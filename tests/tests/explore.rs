//! State exploration: every state of two stacks over a bad channel, within so many misfortunes.

use std::sync::Mutex;
use std::thread;

use tests::explore::{Faults, Sabotage, Scenario, all, explore};

/// More than any of these scenarios has.
const VISITS_MAX: u64 = 10_000_000;

/// Explores the scenarios on all processors, and counts their states.
fn states(scenarios: impl Iterator<Item = Scenario> + Send) -> u64 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let scenarios = Mutex::new(scenarios);
    let work = || {
        let mut count = 0;
        loop {
            let next = scenarios.lock().unwrap().next();
            let Some(scenario) = next else { return count };
            let report = explore(&scenario, VISITS_MAX).unwrap_or_else(|fault| panic!("{fault}"));
            assert!(!report.cut, "{}: not everything was seen", scenario.name);
            count += report.states;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}

/// The scenario with the most states by far.
const LARGEST: &str = "both at once";

fn all_but_the_largest(faults: Faults) -> impl Iterator<Item = Scenario> {
    all(faults).into_iter().filter(|scenario| scenario.name != LARGEST)
}

/// Nothing goes wrong but the order of things: applications and frames.
#[test]
fn every_order_of_events() {
    let calm = Faults { drops: 0, duplicates: 0, overtakes: 0, delays: 0 };
    let count = states(all(calm).into_iter());
    assert!(count > 50_000, "{count} states");
}

/// And one misfortune in a run, of each kind.
#[test]
fn one_loss_or_duplicate_or_overtaking_or_delay() {
    let calm = Faults { drops: 0, duplicates: 0, overtakes: 0, delays: 0 };
    let kinds = [
        Faults { drops: 1, ..calm },
        Faults { duplicates: 1, ..calm },
        Faults { overtakes: 1, ..calm },
        Faults { delays: 1, ..calm },
    ];
    let count = states(kinds.into_iter().flat_map(all_but_the_largest));
    assert!(count > 50_000, "{count} states");
}

/// More than a million states.
#[test]
#[ignore = "takes some minutes; scripts/test runs it"]
fn a_million_states() {
    let one = Faults { drops: 1, duplicates: 0, overtakes: 0, delays: 0 };
    let two = Faults { duplicates: 1, ..one };
    let largest = all(one).into_iter().filter(|scenario| scenario.name == LARGEST);
    let count = states(largest.chain(all_but_the_largest(two)));
    assert!(count > 1_000_000, "{count} states");
}

/// The exploration finds what it looks for.
#[test]
fn every_sabotage_is_found_out() {
    let faults = Faults { drops: 1, duplicates: 1, overtakes: 0, delays: 0 };
    for (sabotage, found) in [
        (Sabotage::Deaf, "never comes to rest"),
        (Sabotage::WrongByte, "of the stream is wrong"),
        (Sabotage::Panics, "as was planted"),
        (Sabotage::Lazy, "nothing will ever happen"),
    ] {
        let mut scenario = all(faults).swap_remove(0);
        scenario.sabotage = Some(sabotage);
        let failure = explore(&scenario, VISITS_MAX).expect_err("it was not found");
        assert!(failure.what.contains(found), "{sabotage:?}: {failure}");
        assert!(failure.way.len() < 20, "a long way: {failure}");
    }
}
