//! Runs a scene in many orders of its threads.

use std::sync::Arc;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, MaxSteps, Runner};

/// How often a scene runs under each of the two schedulers, unless [`ORDERS`] says it.
const RUNS: usize = 400;

/// The environment variable for more.
const ORDERS: &str = "TAPSTACK_ORDERS";

/// How many changes of priority PCT makes in a run.
const PCT_DEPTH: usize = 3;

/// A run that takes more steps than this does not end: the longest take some thousands.
const MAX_STEPS: usize = 50_000;

/// What a thread may have for a stack, bytes: shuttle's own choice is little for an engine.
const STACK_SIZE: usize = 1 << 18;

const SEED: u64 = 6;

pub(crate) fn check(scene: impl Fn() + Send + Sync + 'static) {
    let scene = Arc::new(scene);
    let again = Arc::clone(&scene);
    let runs = std::env::var(ORDERS).map_or(RUNS, |runs| runs.parse().expect(ORDERS));
    let mut config = Config::new();
    config.stack_size = STACK_SIZE;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    Runner::new(RandomScheduler::new_from_seed(SEED, runs), config.clone()).run(move || again());
    Runner::new(PctScheduler::new_from_seed(SEED, PCT_DEPTH, runs), config).run(move || scene());
}
