//! Whether, and how, to look for frames before going to sleep.

use std::thread::available_parallelism;
use std::time::Duration;

/// The most waits that begin with sleep after looking in vain.
const BACK_OFF_MAX: u16 = 1024;
/// So many do after others have kept the core.
const SHARED_BACK_OFF: u16 = 4096;
/// Who keeps the core so long has used up a slice of time, or the better part of one.
pub(super) const SLICE: Duration = Duration::from_millis(1);

/// How a thread that waits looks for frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// For so long at most; zero is never.
    pub(super) most: Duration,
    /// It yields the core before each look: the process has no other, and the other end may need
    /// it. That costs less than to sleep and be woken.
    pub(super) yields: bool,
}

impl Look {
    /// Looks for so long at most, as is best on this machine.
    pub(super) fn new(most: Duration) -> Look {
        let yields = available_parallelism().is_ok_and(|cores| cores.get() == 1);
        Look { most, yields }
    }
}

/// Where the other end answers from a core of its own, its answer comes sooner than a sleeper could
/// be woken, and a sleep costs both ends more than looking does. Where it needs this core, or has
/// nothing to say, looking is in vain, and only keeps it waiting: the next look comes after 1, 2, 4
/// ... other waits, until one has found something.
///
/// Who yields beside a busy process gets the core back when that has used up its slice, and a
/// sleeper as soon as there is a frame: there the next look is far off.
///
/// A thread may be bound to a core at any time, by others too: it asks after looking in vain.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    /// So many waits go by before the next look.
    skip: u16,
    /// How many went by before the last one.
    back_off: u16,
    /// The thread was bound to one core when it last asked.
    is_bound: bool,
}

impl Vigil {
    /// Whether to look this time.
    pub(super) fn begin(&mut self) -> bool {
        let left = self.skip.checked_sub(1);
        self.skip = left.unwrap_or_default();
        left.is_none()
    }

    /// What came of it.
    pub(super) fn end(&mut self, has_found: bool) {
        self.back_off = if has_found { 0 } else { (2 * self.back_off).clamp(1, BACK_OFF_MAX) };
        self.skip = self.back_off;
        if !has_found {
            self.is_bound = tapdev::is_bound_to_one_core();
        }
    }

    /// Whether the thread has no core but this one, and is to yield it before each look.
    pub(super) fn yields(&self, look: Look) -> bool {
        look.yields || self.is_bound
    }

    /// Others have had the core for a [`SLICE`].
    pub(super) fn give_way(&mut self) {
        self.skip = SHARED_BACK_OFF;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `waits` begin with a look, if `finds` is what comes of each.
    fn looks(vigil: &mut Vigil, waits: usize, finds: bool) -> usize {
        let mut count = 0;
        for _ in 0..waits {
            if vigil.begin() {
                vigil.end(finds);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn what_is_found_is_looked_for_and_what_is_not_ever_more_seldom() {
        let mut vigil = Vigil::default();
        assert_eq!(looks(&mut vigil, 100, true), 100);
        assert_eq!(looks(&mut vigil, 2000, false), 11, "1, 2, 4 ... 512 between");
        assert_eq!(looks(&mut vigil, 100 * 1025, false), 100);
        let mut waits = 0;
        while looks(&mut vigil, 1, true) == 0 {
            waits += 1;
        }
        assert!(waits <= 1024);
        assert_eq!(looks(&mut vigil, 100, true), 100, "one find is enough");
    }

    #[test]
    fn beside_a_busy_process_the_core_is_hardly_ever_yielded() {
        let mut vigil = Vigil::default();
        assert_eq!(looks(&mut vigil, 100, true), 100);
        vigil.give_way();
        assert_eq!(looks(&mut vigil, 4096, true), 0);
        assert_eq!(looks(&mut vigil, 100, true), 100, "one find is enough");
    }
}
