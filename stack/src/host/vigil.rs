//! Whether to look for frames for a while before going to sleep.

use std::time::Duration;

/// The most waits that begin with sleep after looking in vain.
const BACK_OFF_MAX: u16 = 1024;

/// Where the other end answers from a core of its own, its answer comes sooner than a sleeper could
/// be woken, and a sleep costs both ends more than looking does. Where it needs this core, or has
/// nothing to say, looking is in vain, and only keeps it waiting: the next look comes after 1, 2, 4
/// ... others waits, until one has found something.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    /// So many waits go by before the next look.
    skip: u16,
    /// How many went by before the last one.
    back_off: u16,
}

impl Vigil {
    /// How long to look this time, if `most` is what it may cost.
    pub(super) fn begin(&mut self, most: Duration) -> Duration {
        match self.skip.checked_sub(1) {
            Some(left) => {
                self.skip = left;
                Duration::ZERO
            }
            None => most,
        }
    }

    /// What came of it.
    pub(super) fn end(&mut self, has_found: bool) {
        self.back_off = if has_found { 0 } else { (2 * self.back_off).clamp(1, BACK_OFF_MAX) };
        self.skip = self.back_off;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_micros(50);

    /// How many of `waits` begin with a look, if `finds` is what comes of each.
    fn looks(vigil: &mut Vigil, waits: usize, finds: bool) -> usize {
        let mut count = 0;
        for _ in 0..waits {
            if vigil.begin(MOST) == MOST {
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
    fn who_may_not_look_never_does() {
        assert_eq!(Vigil::default().begin(Duration::ZERO), Duration::ZERO);
    }
}
