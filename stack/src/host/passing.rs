//! Frames that came by the wrong queue.
//!
//! A host of several shards has a queue of the device for each, and whoever is at the other end
//! picks one without knowing whose a frame is: Linux remembers which queue last sent for a flow,
//! for some seconds, and goes by a hash of its own before and after that. The shard that is given
//! the frame puts it into the inbox of the one that has its connection ([`Part`]), under its own
//! lock, so that frames of one flow keep their order; then, with no lock in hand, it takes the
//! other's lock and hands in what is in that inbox. So nobody has to be woken who would not be for
//! a frame of the shard's own queue, and no thread waits for one lock while it holds another.

use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender};

use super::shard::{Engine, HostStats, Shard};
use crate::{Gso, Instant, InterfaceId, Part, RxChecksum, RxFrame, Whose};

/// The most frames in an inbox; one more is lost, as in the queue of a device.
const INBOX_MAX: usize = 256;

/// What a shard knows of the others.
pub(super) struct Passing {
    part: Part,
    inbox: Receiver<Passed>,
    /// By their numbers, this one's too.
    shards: Vec<Neighbor>,
}

struct Neighbor {
    inbox: Sender<Passed>,
    shard: Weak<Shard>,
    /// Something was put there, and nobody has handed it in yet.
    given: bool,
}

/// A frame on its way from shard to shard.
struct Passed {
    bytes: Vec<u8>,
    checksum: RxChecksum,
    gso: Option<Gso>,
}

/// Makes `shards`, each with its part, know of each other.
pub(super) fn introduce(shards: &[(Part, &Arc<Shard>)]) {
    let (inboxes, outlets): (Vec<_>, Vec<_>) =
        shards.iter().map(|_| crossbeam_channel::bounded(INBOX_MAX)).unzip();
    for ((part, shard), inbox) in shards.iter().zip(outlets) {
        let neighbor = |(inbox, (_, shard)): (&Sender<Passed>, &(Part, &Arc<Shard>))| Neighbor {
            inbox: inbox.clone(),
            shard: Arc::downgrade(shard),
            given: false,
        };
        let shards = inboxes.iter().zip(shards).map(neighbor).collect();
        shard.lock().passing = Some(Passing { part: *part, inbox, shards });
    }
}

impl Passing {
    /// True if the frame is for this shard; what is for others is in their inboxes.
    fn pass(&mut self, frame: RxFrame<'_>, stats: &mut HostStats) -> bool {
        let own = self.part.index();
        match self.part.whose(frame.bytes) {
            None => true,
            Some(Whose::One(index)) if index == own => true,
            Some(Whose::One(index)) => {
                self.give(index, frame, stats);
                false
            }
            Some(Whose::All) => {
                (0..self.shards.len())
                    .filter(|&index| index != own)
                    .for_each(|index| self.give(index, frame, stats));
                true
            }
        }
    }

    fn give(&mut self, index: usize, frame: RxFrame<'_>, stats: &mut HostStats) {
        let Some(neighbor) = self.shards.get_mut(index) else { return };
        let RxFrame { bytes, checksum, gso, .. } = frame;
        let passed = Passed { bytes: bytes.to_vec(), checksum, gso };
        match neighbor.inbox.try_send(passed) {
            Ok(()) => stats.passed += 1,
            Err(_) => stats.passed_lost += 1,
        }
        neighbor.given = true;
    }
}

impl Engine {
    /// Takes a frame in, or puts it where it belongs.
    pub(super) fn sort(&mut self, now: Instant, interface: InterfaceId, frame: RxFrame<'_>) {
        let passing = self.passing.as_mut();
        if passing.is_none_or(|passing| passing.pass(frame, &mut self.stats)) {
            self.stack.receive_on(now, interface, frame);
        }
    }

    /// The shards that were given something, to be handed in once the lock is released.
    pub(super) fn take_given(&mut self) -> Vec<Arc<Shard>> {
        // Most hosts have one shard.
        let Some(passing) = &mut self.passing else { return Vec::new() };
        let neighbors = passing.shards.iter_mut();
        neighbors
            .filter_map(|it| std::mem::take(&mut it.given).then(|| it.shard.upgrade()).flatten())
            .collect()
    }
}

impl Shard {
    /// Hands in what others have put into this shard's inbox. The calling thread holds no lock.
    pub(super) fn hand_in(&self) {
        let (mut guard, now) = self.enter();
        let engine = &mut *guard;
        for passed in engine.passing.iter().flat_map(|passing| passing.inbox.try_iter()) {
            let Passed { bytes, checksum, gso } = &passed;
            let frame = RxFrame { checksum: *checksum, gso: *gso, ..RxFrame::plain(bytes) };
            engine.stack.receive(now, frame);
        }
        engine.stack.advance(now);
        engine.dispatch();
        let (mut guard, _) = self.settle(guard, now);
        guard.rouse_for_changes();
        // What this shard has for others is handed in by the thread that put it there.
        self.unlock_and_wake(guard);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use super::*;
    use crate::host::Host;
    use crate::{Config, Mac, Seed};

    #[test]
    fn a_full_inbox_loses_frames_and_takes_more_once_it_is_empty() {
        let seed = Seed::from_number(1);
        let hosts = [1, 2].map(|last| {
            let (device, _) = tapdev::pair(1500, 10);
            Host::new(Config::new(Mac([2, 0, 0, 0, 0, last])), device).unwrap()
        });
        let parts = Part::all(&seed, NonZeroU8::new(2).unwrap());
        let shards: Vec<_> = parts.zip(hosts.iter().map(|host| &host.core.shard)).collect();
        introduce(&shards);
        let give = |count: usize| {
            let (mut guard, _) = hosts[0].core.shard.enter();
            let engine = &mut *guard;
            for _ in 0..count {
                let passing = engine.passing.as_mut().unwrap();
                passing.give(1, RxFrame::plain(&[0; 60]), &mut engine.stats);
            }
            hosts[0].core.shard.unlock(guard);
            let stats = hosts[0].stats();
            (stats.passed as usize, stats.passed_lost, hosts[1].counters().frames_in as usize)
        };
        assert_eq!(give(INBOX_MAX + 3), (INBOX_MAX, 3, INBOX_MAX));
        assert_eq!(give(2), (INBOX_MAX + 2, 3, INBOX_MAX + 2));
    }
}
