//! Frames on their way from the device to the engine: read without the lock, handed in with it.

use std::io;
use std::time::Duration;

use tapdev::{Checksum, Device, FRAME_OVERHEAD, Fault, Placed, ROW_ALIGN, Wake, classify};

use super::quota::Quota;
use super::vigil::Vigil;
use crate::{Gso, RxChecksum, RxFrame};

/// The most frames that are handed in under one hold of the lock.
pub(crate) const BATCH_MAX: usize = 64;

/// The most short frames in a batch. They are requests rather than bulk: the first of them should
/// not wait for its answer until ever more are read. Fewer than this wakes the other end more often
/// (8 took a tenth of the rate of 32 connections that ask and answer).
const SHORT_MAX: usize = 32;

/// A frame below this length is short, bytes.
pub(super) const SHORT: usize = 256;

/// The most frames in a batch that begins with one of `length` bytes.
const fn most_after(length: usize) -> usize {
    if length < SHORT { SHORT_MAX } else { BATCH_MAX }
}

/// The bytes of a batch with super-frames: what lies in it should still be in the processor's cache
/// when it is taken in.
const BATCH_BYTES: usize = 256 << 10;

/// One driver's receive buffers: room for [`BATCH_MAX`] ordinary frames, or some super-frames,
/// allocated once. Frames lie one behind the other, so that small ones touch few pages.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// The longest that is no super-frame, bytes.
    plain_max: usize,
    /// Where each frame lies, and what it owes: [`BATCH_MAX`] of them. Not in here, for a batch
    /// goes from hand to hand with the seat.
    frames: Box<[Placed]>,
    filled: usize,
    /// Where the next frame begins.
    end: usize,
    quota: Quota,
    pub(super) vigil: Vigil,
}

impl Batch {
    /// Buffers for the frames of `device`.
    pub(crate) fn new(device: &dyn Device) -> Batch {
        let (buffer_len, plain_max) = (device.buffer_len(), device.mtu() + FRAME_OVERHEAD);
        let ordinary = buffer_len.next_multiple_of(ROW_ALIGN) * BATCH_MAX;
        let bytes = ordinary.min(BATCH_BYTES.max(buffer_len));
        Batch {
            bytes: vec![0; bytes],
            plain_max,
            frames: vec![Placed::NOTHING; BATCH_MAX].into(),
            filled: 0,
            end: 0,
            quota: Quota::new(),
            vigil: Vigil::default(),
        }
    }

    /// Forgets the frames in it.
    pub(crate) fn clear(&mut self) {
        (self.filled, self.end) = (0, 0);
    }

    /// Replaces the frames in it by what the device has, without blocking. `Err` tells of a fault
    /// that ended the reading; the frames read before it are there nevertheless.
    pub(crate) fn fill(&mut self, device: &dyn Device) -> Result<(), Fault> {
        self.clear();
        let mut answer = self.read(device, 1);
        if answer.is_ok() && self.filled == 1 {
            self.quota.begin(most_after(self.frames[0].length));
            answer = self.read(device, self.quota.most());
        }
        match answer {
            Ok(()) => {
                self.quota.meet();
                Ok(())
            }
            Err(error) => {
                self.quota.miss(self.filled);
                fault_of(&error)
            }
        }
    }

    /// Reads on until there are `most` frames, or no room for another.
    fn read(&mut self, device: &dyn Device, most: usize) -> io::Result<()> {
        let places = &mut self.frames[self.filled..most];
        let (count, answer) = device.recv_row(&mut self.bytes[self.end..], places);
        let base = self.end;
        for placed in &mut places[..count] {
            placed.start += base;
            self.end = placed.range().end.next_multiple_of(ROW_ALIGN);
            if placed.debt.segment.is_none() {
                // What is longer than a packet may be loses its tail, as in a smaller buffer.
                placed.length = placed.length.min(self.plain_max);
            }
        }
        self.filled += count;
        answer
    }

    /// Waits until the device has something, somebody wakes it, or `limit` is over, and replaces
    /// the frames by what it has.
    pub(crate) fn await_frames(
        &mut self,
        device: &dyn Device,
        limit: Option<Duration>,
    ) -> Result<(), Fault> {
        match device.wait(limit) {
            Ok(Wake::Readable) => self.fill(device),
            Ok(Wake::Woken | Wake::TimedOut) => Ok(()),
            Err(error) => fault_of(&error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// The frames, in the order of their arrival.
    pub(crate) fn frames(&self) -> impl Iterator<Item = RxFrame<'_>> {
        self.frames[..self.filled].iter().map(|placed| RxFrame {
            bytes: &self.bytes[placed.range()],
            checksum: match placed.debt.checksum {
                Checksum::Complete => RxChecksum::Unverified,
                // What is unfinished never left this machine's memory.
                Checksum::Verified | Checksum::Partial { .. } => RxChecksum::Verified,
            },
            gso: placed.debt.segment.map(|segment| Gso { segment }),
        })
    }
}

/// To have nothing is no fault.
fn fault_of(error: &io::Error) -> Result<(), Fault> {
    match classify(error) {
        Fault::Again => Ok(()),
        fault => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IoSlice;
    use tapdev::{Debt, Offloads};

    #[test]
    fn the_quota_follows_the_traffic() {
        let (near, far) = tapdev::pair(1500, 1000);
        let mut batch = Batch::new(&far);
        let send = |count| (0..count).for_each(|_| near.send(&[IoSlice::new(&[9; 999])]).unwrap());
        let mut found = || {
            batch.fill(&far).unwrap();
            assert!(batch.frames().all(|frame| frame.bytes == [9; 999]));
            batch.len()
        };
        for _ in 0..3 {
            send(1);
            assert_eq!((found(), found()), (1, 0), "one by one: no second read");
        }
        send(200);
        let grown: Vec<_> = (0..8).map(|_| found()).collect();
        assert_eq!(grown, [1, 2, 4, 8, 16, 32, 64, 64]);
        assert_eq!(found(), 9);
        send(20);
        assert_eq!((found(), found()), (9, 11), "the quota followed down and grows again");
    }

    #[test]
    fn short_frames_come_in_small_batches() {
        let (near, far) = tapdev::pair(1500, 1000);
        let mut batch = Batch::new(&far);
        (0..100).for_each(|_| near.send(&[IoSlice::new(&[9; 60])]).unwrap());
        let mut found = || {
            batch.fill(&far).unwrap();
            batch.len()
        };
        let grown: Vec<_> = (0..6).map(|_| found()).collect();
        assert_eq!(grown, [1, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn super_frames_come_in_batches_that_fit_the_cache() {
        let (near, far) = tapdev::pair(1500, 1000);
        far.negotiate(Offloads::ALL);
        let mut batch = Batch::new(&far);
        let checksum = Checksum::Partial { start: 34, offset: 16 };
        let debt = Debt { checksum, segment: Some(1460) };
        let frame = vec![7; 60_000];
        let mut found = |length: usize, debt: Debt| {
            for _ in 0..300 {
                near.send_with_debt(&[IoSlice::new(&frame[..length])], debt).unwrap();
            }
            let mut most = 0;
            loop {
                batch.fill(&far).unwrap();
                if batch.is_empty() {
                    return most;
                }
                assert!(batch.frames().all(|got| got.bytes == &frame[..length.min(1518)]
                    || got.gso == Some(Gso { segment: 1460 }) && got.bytes == &frame[..length]));
                most = most.max(batch.len());
            }
        };
        assert_eq!(found(60_000, debt), 4);
        assert_eq!(found(60, Debt::NONE), SHORT_MAX);
        assert_eq!(found(1514, Debt::NONE), BATCH_MAX);
        assert_eq!(found(3000, Debt::NONE), BATCH_MAX, "too long for a packet: cut short");
    }

    #[test]
    fn a_dead_device_is_a_fault_after_its_last_frame() {
        let (near, far) = tapdev::pair(1500, 10);
        near.send(&[IoSlice::new(&[7; 20])]).unwrap();
        drop(near);
        let mut batch = Batch::new(&far);
        assert_eq!(batch.fill(&far), Ok(()));
        assert_eq!(batch.len(), 1);
        assert_eq!(batch.fill(&far), Err(Fault::Gone));
        assert!(batch.is_empty());
    }
}
