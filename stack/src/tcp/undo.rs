//! Whether a loss was one (RFC 3522 and 4015 by timestamps, RFC 3708 by duplicate reports): the
//! ledger of one episode of recovery. An organ.
//!
//! Two ways lead to the verdict that nothing was lost. Either everything that was believed lost
//! has been delivered by its first copy; or every retransmission has been reported as a duplicate.

use crate::time::Instant;

/// The ledger of the current episode, or of the last one, while late proof may still come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo {
    /// There is something to undo.
    armed: bool,
    /// Octets believed lost.
    marked: u64,
    /// Of those, octets that their first copy delivered.
    found: u64,
    /// Octets sent again and not reported as duplicates.
    resent: u64,
    /// Some were reported as duplicates.
    reported: bool,
    /// When the first was sent again: what was sent before is no retransmission of this episode.
    first_resent_at: Option<Instant>,
}

impl Undo {
    pub(crate) const fn new() -> Undo {
        Undo {
            armed: false,
            marked: 0,
            found: 0,
            resent: 0,
            reported: false,
            first_resent_at: None,
        }
    }

    /// An episode begins, and the window shrinks; `lost` octets are marked already, and `resent`
    /// are on their way that were sent again before: a report of those proves nothing of this
    /// episode.
    pub(crate) fn begin(&mut self, lost: u32, resent: u32) {
        let (marked, resent) = (u64::from(lost), u64::from(resent));
        *self = Undo { armed: true, marked, resent, ..Undo::new() };
    }

    /// The window has been restored, or never will be.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
    }

    /// There is something to undo.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed
    }

    /// `octets` are believed lost.
    pub(crate) fn on_marked(&mut self, octets: u32) {
        self.marked += u64::from(octets);
    }

    /// `octets` that were believed lost in this episode have been delivered by an earlier copy.
    pub(crate) fn on_found(&mut self, octets: u32) {
        self.found += u64::from(octets);
    }

    /// `octets` were sent again.
    pub(crate) fn on_resent(&mut self, now: Instant, octets: u32) {
        self.first_resent_at.get_or_insert(now);
        self.resent += u64::from(octets);
    }

    /// When the first retransmission of the episode was sent (Eifel's RetransmitTS).
    pub(crate) fn first_resent_at(&self) -> Option<Instant> {
        self.first_resent_at
    }

    /// `octets` were reported as received twice.
    pub(crate) fn on_duplicate(&mut self, octets: u32) {
        self.reported = true;
        self.resent = self.resent.saturating_sub(u64::from(octets));
    }

    /// Everything that was believed lost has been found.
    pub(crate) fn is_all_found(&self) -> bool {
        self.armed && self.marked > 0 && self.found >= self.marked
    }

    /// Every retransmission was for nothing, and nothing waits to be sent again (`lost` octets).
    pub(crate) fn is_all_duplicate(&self, lost: u32) -> bool {
        self.armed && self.reported && self.resent == 0 && lost == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3522_one_real_loss_is_enough() {
        let mut undo = Undo::new();
        assert!(!undo.is_all_found());
        undo.begin(2000, 0);
        undo.on_marked(1000);
        undo.on_found(2000);
        assert!(!undo.is_all_found());
        undo.on_found(1000);
        assert!(undo.is_all_found());
        undo.disarm();
        assert!(!undo.is_all_found());
    }

    #[test]
    fn rfc_3708_every_retransmission_has_to_be_a_duplicate() {
        let mut undo = Undo::new();
        undo.begin(2000, 0);
        assert!(!undo.is_all_duplicate(0), "nothing was reported");
        undo.on_resent(Instant::ZERO, 2000);
        undo.on_duplicate(1000);
        assert!(!undo.is_all_duplicate(0));
        undo.on_duplicate(1000);
        assert!(!undo.is_all_duplicate(1000), "one still waits");
        assert!(undo.is_all_duplicate(0));
    }

    #[test]
    fn rfc_3708_what_was_sent_again_before_has_to_be_a_duplicate_too() {
        let mut undo = Undo::new();
        undo.begin(1000, 1000);
        undo.on_resent(Instant::ZERO, 1000);
        undo.on_duplicate(1000);
        assert!(!undo.is_all_duplicate(0), "it may have been the earlier one");
        undo.on_duplicate(1000);
        assert!(undo.is_all_duplicate(0));
    }
}
