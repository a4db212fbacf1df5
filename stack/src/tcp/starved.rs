//! Connections that the memory ledger has refused: they wait in a queue, and are told to try again
//! when it has room (THREATS R-12). Nobody looks for them.

use super::layer::TcpLayer;
use crate::counters::Counters;
use crate::time::Instant;

/// The queue of connections that wait for memory.
pub(crate) const STARVED: usize = 3;

/// What must be free for each connection that is told to try again: a small window's worth.
const GRANT: usize = 4096;

impl TcpLayer {
    /// Somebody waits for memory, and there is some.
    pub(super) fn may_feed(&self) -> bool {
        !self.starved.is_empty() && self.memory.free() >= GRANT
    }

    /// Tells those who have waited longest to try again, as many as there is memory for. Who is
    /// refused once more waits anew, behind the others.
    pub(super) fn feed(&mut self, now: Instant, counters: &mut Counters) {
        let mut grants = self.memory.free() / GRANT;
        while grants > 0
            && let Some(key) = self.starved.pop(&mut self.live)
        {
            grants -= 1;
            let _: Option<()> = self.with(now, counters, key, |tcb, _| tcb.on_memory());
        }
    }
}
