//! Frames on their way from the device to the engine: read without the lock, handed in with it.

use tapdev::{Device, FRAME_OVERHEAD, Fault, classify};

/// The most frames that are handed in under one hold of the lock.
pub(crate) const BATCH_MAX: usize = 64;

/// The most short frames in a batch. They are requests rather than bulk: the first of them should
/// not wait for its answer until ever more are read. Fewer than this wakes the other end more often
/// (8 took a tenth of the rate of 32 connections that ask and answer).
const SHORT_MAX: usize = 32;

/// A frame below this length is short, bytes.
const SHORT: usize = 256;

/// The most frames in a batch that begins with one of `length` bytes.
const fn most_after(length: usize) -> usize {
    if length < SHORT { SHORT_MAX } else { BATCH_MAX }
}

/// Frames start at multiples of this, a cache line.
const ALIGN: usize = 64;

/// One driver's receive buffers: room for [`BATCH_MAX`] frames, allocated once.
///
/// How many frames a `fill` reads follows the traffic. While frames come one by one (a request,
/// then its reply), one read is enough, and a second one, which would find nothing, is saved. A
/// batch that found its whole quota and has a successor at once doubles it; one that found less
/// sets it to what it found.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    stride: usize,
    lengths: [usize; BATCH_MAX],
    filled: usize,
    quota: usize,
    /// The last batch found its whole quota: there may be more at once.
    full: bool,
}

impl Batch {
    /// Buffers for frames of IP packets up to `mtu` bytes.
    pub(crate) fn new(mtu: usize) -> Batch {
        let stride = (mtu + FRAME_OVERHEAD).next_multiple_of(ALIGN);
        Batch {
            bytes: vec![0; stride * BATCH_MAX],
            stride,
            lengths: [0; BATCH_MAX],
            filled: 0,
            quota: 1,
            full: false,
        }
    }

    /// Forgets the frames in it.
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    /// Replaces the frames in it by what the device has, without blocking. `Err` tells of a fault
    /// that ended the reading; the frames read before it are there nevertheless.
    pub(crate) fn fill(&mut self, device: &dyn Device) -> Result<(), Fault> {
        self.filled = 0;
        let may_grow = std::mem::take(&mut self.full);
        while self.filled < self.quota {
            let at = self.filled * self.stride;
            match device.recv(&mut self.bytes[at..at + self.stride]) {
                Ok(length) => {
                    self.lengths[self.filled] = length;
                    self.filled += 1;
                }
                Err(error) => {
                    if self.filled > 0 {
                        self.quota = self.filled;
                    }
                    return match classify(&error) {
                        Fault::Again => Ok(()),
                        fault => Err(fault),
                    };
                }
            }
            if self.filled == 1 {
                let grown = if may_grow { self.quota * 2 } else { self.quota };
                self.quota = grown.min(most_after(self.lengths[0]));
            }
        }
        self.full = true;
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// The frames, in the order of their arrival.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let buffers = self.bytes.chunks_exact(self.stride);
        buffers.zip(&self.lengths[..self.filled]).map(|(buffer, &length)| &buffer[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IoSlice;

    #[test]
    fn the_quota_follows_the_traffic() {
        let (near, far) = tapdev::pair(1500, 1000);
        let mut batch = Batch::new(1500);
        let send = |count| (0..count).for_each(|_| near.send(&[IoSlice::new(&[9; 999])]).unwrap());
        let mut found = || {
            batch.fill(&far).unwrap();
            assert!(batch.frames().all(|frame| frame == [9; 999]));
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
        let mut batch = Batch::new(1500);
        (0..100).for_each(|_| near.send(&[IoSlice::new(&[9; 60])]).unwrap());
        let mut found = || {
            batch.fill(&far).unwrap();
            batch.len()
        };
        let grown: Vec<_> = (0..6).map(|_| found()).collect();
        assert_eq!(grown, [1, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn a_dead_device_is_a_fault_after_its_last_frame() {
        let (near, far) = tapdev::pair(1500, 10);
        near.send(&[IoSlice::new(&[7; 20])]).unwrap();
        drop(near);
        let mut batch = Batch::new(1500);
        assert_eq!(batch.fill(&far), Ok(()));
        assert_eq!(batch.len(), 1);
        assert_eq!(batch.fill(&far), Err(Fault::Gone));
        assert!(batch.is_empty());
    }
}
