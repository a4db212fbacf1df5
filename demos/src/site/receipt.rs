//! The answer to an upload: how much came, its checksum, and how long it took.

use sha2::{Digest, Sha256};

use crate::human;
use crate::outside::Stopwatch;

/// What has been received so far.
pub struct Receipt {
    clock: Stopwatch,
    digest: Sha256,
    total: u64,
}

impl Receipt {
    /// Nothing yet.
    pub fn begin() -> Receipt {
        Receipt { clock: Stopwatch::start(), digest: Sha256::new(), total: 0 }
    }

    /// There was more.
    pub fn add(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.total += bytes.len() as u64;
    }

    /// How much it is by now, bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// All of it, for `target`, in JSON.
    pub fn sign(self, target: &str) -> String {
        let sum: String = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let (total, time) = (self.total, self.clock.elapsed());
        log::info!("{target}: {} at {}", human::bytes(total), human::rate(total, time));
        let seconds = time.as_secs_f64();
        format!("{{\"bytes\":{total},\"sha256\":\"{sum}\",\"seconds\":{seconds:.6}}}\n")
    }
}
