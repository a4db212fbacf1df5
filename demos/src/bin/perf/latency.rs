//! Latency: how long a request and its reply take.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use demos::outside::Stopwatch;
use demos::program::Program;

use crate::bulk::connect;
use crate::{ClientOptions, port};

/// The most round trips that are kept.
const MAX_SAMPLES: usize = 4_000_000;

/// One request after the other on one connection.
pub(crate) fn request_reply(program: &Program, options: &ClientOptions) -> Result<()> {
    let mut stream = connect(program, options, port::ECHO)?;
    let size = options.size as usize;
    let (request, mut reply) = (vec![1; size], vec![0; size]);
    let mut samples = Vec::new();
    let clock = Stopwatch::start();
    while clock.elapsed() < options.secs && samples.len() < MAX_SAMPLES {
        let asked = Stopwatch::start();
        stream.write_all(&request).context("sending")?;
        stream.read_exact(&mut reply).context("receiving")?;
        samples.push(asked.elapsed());
    }
    let per_second = samples.len() as f64 / clock.elapsed().as_secs_f64();
    samples.sort_unstable();
    program.say(&format!(
        "{per_second:.0} round trips a second; median {:.1} us, 90 % {:.1} us, 99 % {:.1} us, \
         99.9 % {:.1} us",
        percentile(&samples, 0.5),
        percentile(&samples, 0.9),
        percentile(&samples, 0.99),
        percentile(&samples, 0.999)
    ));
    Ok(())
}

/// Microseconds.
fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_samples() {
        let samples: Vec<Duration> = (0..100).map(Duration::from_micros).collect();
        assert_eq!(percentile(&samples, 0.5), 50.0);
        assert_eq!(percentile(&samples, 0.999), 99.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
