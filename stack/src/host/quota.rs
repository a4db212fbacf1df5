//! How many frames a driver reads from its device in a row.

/// The most batches that stay small after a doubling in vain.
const PATIENCE_MAX: u8 = 8;

/// The most frames of a batch; it follows the traffic.
///
/// While frames come one by one (a request, then its reply), one read is enough, and a second one,
/// which would find nothing, is saved. A batch that finds its whole quota and has a successor at
/// once doubles it; one that finds less sets it to what it found.
///
/// A client on the same processor answers before our own call returns: there each frame has a
/// successor at once, and never two. So that not every second batch reads in vain, the next one to
/// double comes after 1, 2, 4 and then 8 others, until a doubling has found more.
#[derive(Debug)]
pub(super) struct Quota {
    most: usize,
    /// What it was before the present batch.
    before: usize,
    /// The last batch found its whole quota: there may be more at once.
    is_met: bool,
    patience: u8,
    /// How many batches have met the quota since one doubled it.
    waited: u8,
}

impl Quota {
    pub(super) fn new() -> Quota {
        Quota { most: 1, before: 1, is_met: false, patience: 0, waited: 0 }
    }

    /// The most frames of the present batch.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A batch has its first frame, after which there may be `limit` at most.
    pub(super) fn begin(&mut self, limit: usize) {
        self.before = self.most;
        if std::mem::take(&mut self.is_met) {
            if self.waited >= self.patience {
                self.most *= 2;
                self.waited = 0;
            } else {
                self.waited += 1;
            }
        }
        self.most = self.most.min(limit);
    }

    /// The batch has found as many as it may.
    pub(super) fn meet(&mut self) {
        self.is_met = true;
        if self.most > self.before {
            self.patience = 0;
        }
    }

    /// There were only `found`.
    pub(super) fn miss(&mut self, found: usize) {
        self.is_met = false;
        if found == 0 {
            return;
        }
        if self.most > self.before && found <= self.before {
            self.patience = (2 * self.patience).clamp(1, PATIENCE_MAX);
        }
        self.most = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a batch of `there` frames; how many it found, and how many reads that took.
    fn read(quota: &mut Quota, there: usize) -> (usize, usize) {
        let mut found = 0;
        while found < quota.most() {
            if found == there {
                quota.miss(found);
                return (found, found + 1);
            }
            found += 1;
            if found == 1 {
                quota.begin(64);
            }
        }
        quota.meet();
        (found, found)
    }

    #[test]
    fn one_by_one_takes_one_read_each() {
        let mut quota = Quota::new();
        for _ in 0..20 {
            assert_eq!((read(&mut quota, 1), read(&mut quota, 0)), ((1, 1), (0, 1)));
        }
    }

    #[test]
    fn it_doubles_while_there_is_more_up_to_the_limit() {
        let mut quota = Quota::new();
        let found: Vec<_> = (0..9).map(|_| read(&mut quota, 1000).0).collect();
        assert_eq!(found, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!((read(&mut quota, 9), read(&mut quota, 1000)), ((9, 10), (9, 9)));
    }

    #[test]
    fn a_successor_at_once_but_never_two_is_seldom_sought_in_vain() {
        let mut quota = Quota::new();
        let reads: Vec<_> = (0..40).map(|_| read(&mut quota, 1).1 - 1).collect();
        let vain: Vec<_> = (0..40).filter(|&at| reads[at] > 0).collect();
        assert_eq!(vain, [1, 4, 8, 14, 24, 34], "ever more seldom");
        let found = [(); 10].map(|()| read(&mut quota, 1000).0);
        assert_eq!(found, [1, 1, 1, 1, 2, 4, 8, 16, 32, 64], "more is found nevertheless");
    }

    #[test]
    fn a_doubling_that_found_more_ends_the_patience() {
        let mut quota = Quota::new();
        (0..30).for_each(|_| _ = read(&mut quota, 1));
        while read(&mut quota, 2).0 < 2 {}
        assert_eq!([(); 3].map(|()| read(&mut quota, 1000).0), [4, 8, 16]);
    }
}
