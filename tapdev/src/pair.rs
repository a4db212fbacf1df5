//! Two devices in memory, connected to each other: a cable for tests, examples and simulations.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cut::{self, Layout};
use crate::debt::{Debt, Offloads, Placed};
use crate::device::{Device, FRAME_MAX, FRAME_OVERHEAD, Wake, check_frame, gone};

/// Makes two connected devices: what one sends, the other receives, in order.
///
/// `mtu` is what both report, in bytes. Each direction holds at most `capacity_frames` frames; as
/// with a TAP's `txqueuelen` (1,000 by default), a frame that finds its queue full is dropped and
/// counted, and its sender sees no error.
///
/// An end that was told to, by [`Device::negotiate`], is given super-frames and unfinished
/// checksums as the other end sends them; for another one they are cut and finished on the way.
pub fn pair(mtu: usize, capacity_frames: usize) -> (PairEnd, PairEnd) {
    let left = Arc::new(Inbox::new(capacity_frames));
    let right = Arc::new(Inbox::new(capacity_frames));
    let near = PairEnd { mtu, inbox: Arc::clone(&left), peer: Arc::clone(&right) };
    let far = PairEnd { mtu, inbox: right, peer: left };
    (near, far)
}

/// One end of a [`pair`]. When the other end is dropped, what it sent can still be received; then
/// every call is an error of [`Fault::Gone`](crate::Fault::Gone).
#[derive(Debug)]
pub struct PairEnd {
    mtu: usize,
    inbox: Arc<Inbox>,
    peer: Arc<Inbox>,
}

impl PairEnd {
    /// Frames sent by this end that found the other end's queue full.
    pub fn dropped(&self) -> u64 {
        self.peer.lock().dropped
    }
}

/// What one end has yet to read. Whoever changes it signals `changed`.
#[derive(Debug)]
struct Inbox {
    capacity: usize,
    state: Mutex<InboxState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct InboxState {
    frames: VecDeque<(Vec<u8>, Debt)>,
    /// What the end that reads takes beside plain frames.
    taken: Offloads,
    dropped: u64,
    woken: bool,
    /// One of the two ends is gone: nothing more will come.
    closed: bool,
}

impl Inbox {
    fn new(capacity: usize) -> Inbox {
        Inbox { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    /// No code panics while it holds this lock, so a poisoned one is still consistent.
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame for whoever reads here; it is lost if there is no room.
    fn put(&self, parts: &[IoSlice<'_>], debt: Debt) -> io::Result<()> {
        let mut frame = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            frame.extend_from_slice(part);
        }
        let mut state = self.lock();
        if state.closed {
            return Err(gone());
        }
        if state.frames.len() >= self.capacity {
            state.dropped += 1;
            return Ok(());
        }
        state.frames.push_back((frame, debt));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

impl InboxState {
    fn is_quiet(&self) -> bool {
        self.frames.is_empty() && !self.woken && !self.closed
    }

    fn take_wake(&mut self) -> io::Result<Wake> {
        if std::mem::take(&mut self.woken) {
            Ok(Wake::Woken)
        } else if !self.frames.is_empty() {
            Ok(Wake::Readable)
        } else if self.closed {
            Err(gone())
        } else {
            Ok(Wake::TimedOut)
        }
    }
}

impl Device for PairEnd {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let Placed { length, debt, .. } = self.recv_with_debt(buf)?;
            if let Some(length) = cut::plain(&mut buf[..length], debt) {
                return Ok(length);
            }
            self.inbox.lock().dropped += 1;
        }
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.send_with_debt(parts, Debt::NONE)
    }

    fn negotiate(&self, wanted: Offloads) -> Offloads {
        self.inbox.lock().taken = wanted;
        wanted
    }

    fn buffer_len(&self) -> usize {
        let super_frames = self.inbox.lock().taken.super_frames();
        if super_frames { FRAME_MAX } else { self.mtu + FRAME_OVERHEAD }
    }

    fn recv_with_debt(&self, buf: &mut [u8]) -> io::Result<Placed> {
        let mut state = self.inbox.lock();
        let Some((frame, debt)) = state.frames.pop_front() else {
            return Err(if state.closed { gone() } else { io::ErrorKind::WouldBlock.into() });
        };
        drop(state);
        let length = frame.len().min(buf.len());
        buf[..length].copy_from_slice(&frame[..length]);
        Ok(Placed { start: 0, length, debt })
    }

    fn send_with_debt(&self, parts: &[IoSlice<'_>], debt: Debt) -> io::Result<()> {
        check_frame(parts)?;
        let is_udp = || Layout::of(&parts[0]).is_some_and(Layout::is_udp);
        let taken = self.peer.lock().taken;
        if !debt.is_owed() || taken.take(debt, is_udp()) {
            return self.peer.put(parts, debt);
        }
        cut::pay(parts, debt, self)
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        let state = self.inbox.lock();
        let quiet = |state: &mut InboxState| state.is_quiet();
        let mut state = match timeout {
            None => {
                let waited = self.inbox.changed.wait_while(state, quiet);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
            Some(timeout) => {
                let waited = self.inbox.changed.wait_timeout_while(state, timeout, quiet);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.take_wake()
    }

    fn wake(&self) {
        self.inbox.lock().woken = true;
        self.inbox.changed.notify_all();
    }
}

impl Drop for PairEnd {
    fn drop(&mut self) {
        self.inbox.close();
        self.peer.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debt::Checksum;
    use crate::device::{Fault, classify};

    const SHORT: Option<Duration> = Some(Duration::from_millis(1));

    fn send(end: &PairEnd, tag: u8) {
        end.send(&[IoSlice::new(&[tag; 14]), IoSlice::new(b"body")]).unwrap();
    }

    #[test]
    fn frames_arrive_whole_and_in_order() {
        let (a, b) = pair(1500, 4);
        send(&a, 1);
        send(&a, 2);
        let mut buf = [0; 64];
        for tag in 1..=2 {
            assert_eq!(b.wait(None).unwrap(), Wake::Readable);
            assert_eq!(b.recv(&mut buf).unwrap(), 18);
            assert_eq!(buf[..14], [tag; 14]);
            assert_eq!(&buf[14..18], b"body");
        }
        assert_eq!(b.recv(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(b.wait(SHORT).unwrap(), Wake::TimedOut);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (a, b) = pair(1500, 2);
        for tag in 0..5 {
            send(&a, tag);
        }
        assert_eq!(a.dropped(), 3);
        assert_eq!(b.dropped(), 0);
        let mut buf = [0; 64];
        b.recv(&mut buf).unwrap();
        send(&a, 9);
        assert_eq!(a.dropped(), 3);
    }

    #[test]
    fn consuming_a_wake_up_leaves_the_frame_readable() {
        let (a, b) = pair(1500, 2);
        send(&a, 1);
        b.wake();
        b.wake();
        assert_eq!(b.wait(SHORT).unwrap(), Wake::Woken);
        assert_eq!(b.wait(SHORT).unwrap(), Wake::Readable);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the wake-up must come from another thread")]
    fn another_thread_ends_a_wait() {
        let (a, b) = pair(1500, 2);
        let b = Arc::new(b);
        let waker = Arc::clone(&b);
        let thread = std::thread::spawn(move || waker.wake());
        assert_eq!(b.wait(None).unwrap(), Wake::Woken);
        thread.join().unwrap();
        drop(a);
    }

    /// A super-frame of 300 bytes of text for three packets.
    fn send_super_frame(end: &PairEnd) {
        let mut head = [0; 54];
        (head[12], head[14], head[23], head[46]) = (8, 0x45, 6, 0x50);
        let checksum = Checksum::Partial { start: 34, offset: 16 };
        let debt = Debt { checksum, segment: Some(100) };
        end.send_with_debt(&[IoSlice::new(&head), IoSlice::new(&[7; 300])], debt).unwrap();
    }

    #[test]
    fn super_frames_are_for_those_who_take_them() {
        let (a, b) = pair(1500, 10);
        let mut buf = [0; 400];
        send_super_frame(&a);
        for _ in 0..3 {
            let plain = Placed { start: 0, length: 154, debt: Debt::NONE };
            assert_eq!(b.recv_with_debt(&mut buf).unwrap(), plain);
        }
        assert_eq!(b.recv(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(b.buffer_len(), 1518);
        assert_eq!(b.negotiate(Offloads::ALL), Offloads::ALL);
        assert_eq!(b.buffer_len(), FRAME_MAX);
        send_super_frame(&a);
        let got = b.recv_with_debt(&mut buf).unwrap();
        assert_eq!((got.length, got.debt.segment), (354, Some(100)));
        // Who takes them and does not look for them must not mistake them for packets.
        send_super_frame(&a);
        assert_eq!(b.recv(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(a.dropped(), 1);
        b.negotiate(Offloads { tcp: false, ..Offloads::ALL });
        send_super_frame(&a);
        assert_eq!(b.recv(&mut buf).unwrap(), 154);
    }

    #[test]
    fn a_dropped_end_is_gone_after_its_last_frame() {
        let (a, b) = pair(1500, 2);
        send(&a, 1);
        drop(a);
        let mut buf = [0; 64];
        assert_eq!(b.wait(None).unwrap(), Wake::Readable);
        assert_eq!(b.recv(&mut buf).unwrap(), 18);
        assert_eq!(classify(&b.wait(None).unwrap_err()), Fault::Gone);
        assert_eq!(classify(&b.recv(&mut buf).unwrap_err()), Fault::Gone);
        assert_eq!(classify(&b.send(&[IoSlice::new(&[0; 14])]).unwrap_err()), Fault::Gone);
    }

    #[test]
    fn a_frame_without_a_header_is_refused_and_a_short_buffer_truncates() {
        let (a, b) = pair(1500, 2);
        let error = a.send(&[IoSlice::new(&[0; 13])]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        send(&a, 7);
        assert_eq!(b.recv(&mut [0; 10]).unwrap(), 10);
    }
}
