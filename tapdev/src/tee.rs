//! A device that records what passes through it.

use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::Capture;
use crate::cut::{self, PARTS_MAX};
use crate::debt::{Checksum, Debt, Offloads, Placed};
use crate::device::{Device, Wake};
use crate::pcapng::Direction;

/// Records both directions of a device in a [`Capture`], of its own or of several devices, which is
/// also flushed whenever the device is waited on. When it cannot be written, the traffic goes on.
///
/// Every frame is recorded with its checksum finished, also one that is sent or received without;
/// a super-frame is recorded as the one long packet that it is.
#[derive(Debug)]
pub struct Tee<D: Device> {
    device: D,
    capture: Arc<Capture>,
    /// The device's number in the capture.
    interface: u32,
}

impl<D: Device> Tee<D> {
    /// Records `device` into a new file at `path`; what was there is overwritten.
    ///
    /// # Errors
    /// Those of creating and writing the file.
    pub fn create(device: D, interface_name: &str, path: &Path) -> io::Result<Tee<D>> {
        Ok(Tee::onto(device, Arc::new(Capture::create(path, &[interface_name])?), 0))
    }

    /// Records `device` into `file`, which needs no buffer of its own.
    ///
    /// # Errors
    /// Those of writing the capture's head.
    pub fn new(
        device: D,
        interface_name: &str,
        file: impl Write + Send + 'static,
    ) -> io::Result<Tee<D>> {
        Ok(Tee::onto(device, Arc::new(Capture::new(file, &[interface_name])?), 0))
    }

    /// Records `device` as the interface of that number into a capture that others share.
    pub fn onto(device: D, capture: Arc<Capture>, interface: u32) -> Tee<D> {
        Tee { device, capture, interface }
    }

    /// The device that is recorded.
    pub fn device(&self) -> &D {
        &self.device
    }
}

impl<D: Device> Device for Tee<D> {
    fn mtu(&self) -> usize {
        self.device.mtu()
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let length = self.device.recv(buf)?;
        let frame = [IoSlice::new(&buf[..length])];
        self.capture.packet(self.interface, Direction::In, &frame, None);
        Ok(length)
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.send_with_debt(parts, Debt::NONE)
    }

    fn negotiate(&self, wanted: Offloads) -> Offloads {
        self.device.negotiate(wanted)
    }

    fn buffer_len(&self) -> usize {
        self.device.buffer_len()
    }

    fn recv_with_debt(&self, buf: &mut [u8]) -> io::Result<Placed> {
        let mut received = self.device.recv_with_debt(buf)?;
        let frame = &mut buf[received.range()];
        if let Checksum::Partial { start, offset } = received.debt.checksum
            && cut::finish_checksum(frame, start, offset)
        {
            received.debt.checksum = Checksum::Verified;
        }
        self.capture.packet(self.interface, Direction::In, &[IoSlice::new(frame)], None);
        Ok(received)
    }

    fn send_with_debt(&self, parts: &[IoSlice<'_>], debt: Debt) -> io::Result<()> {
        // The lock is held while sending, so that no answer is recorded before its question.
        let mut recording = self.capture.lock();
        let sent = self.device.send_with_debt(parts, debt);
        if sent.is_err() {
            recording.refused(self.interface);
            return sent;
        }
        let head = match debt.checksum {
            Checksum::Partial { start, offset } => cut::finished_head(parts, start, offset),
            Checksum::Complete | Checksum::Verified => None,
        };
        let mut finished = [IoSlice::new(&[]); PARTS_MAX];
        match (&head, finished.get_mut(..parts.len())) {
            (Some(head), Some(finished)) => {
                finished.copy_from_slice(parts);
                finished[0] = IoSlice::new(head);
                recording.packet(self.interface, Direction::Out, finished, None);
            }
            _ => recording.packet(self.interface, Direction::Out, parts, None),
        }
        sent
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        self.capture.flush();
        self.device.wait(timeout)
    }

    fn revive(&self) -> io::Result<()> {
        self.device.revive()
    }

    fn wake(&self) {
        self.device.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::pair::pair;

    /// A file that holds so many bytes.
    #[derive(Clone)]
    struct Disk(Arc<Mutex<Vec<u8>>>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut file = self.0.lock().unwrap();
            if file.len() + bytes.len() > self.1 {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            file.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const FRAME: [u8; 60] = [7; 60];

    #[test]
    fn both_directions_are_recorded_and_flushed_before_a_wait() {
        let (a, b) = pair(1500, 10);
        let disk = Disk(Arc::default(), usize::MAX);
        let tee = Tee::new(a, "pair", disk.clone()).unwrap();
        let count = || disk.0.lock().unwrap().windows(60).filter(|part| *part == FRAME).count();
        b.send(&[IoSlice::new(&FRAME)]).unwrap();
        tee.recv(&mut [0; 100]).unwrap();
        tee.send(&[IoSlice::new(&FRAME)]).unwrap();
        assert_eq!(count(), 0);
        let _ = tee.wait(Some(Duration::ZERO)).unwrap();
        assert_eq!(count(), 2);
    }

    #[test]
    fn several_devices_are_interfaces_of_one_capture() {
        let disk = Disk(Arc::default(), usize::MAX);
        let capture = Arc::new(Capture::new(disk.clone(), &["first", "second"]).unwrap());
        let (a, _a) = pair(1500, 10);
        let (b, _b) = pair(1500, 10);
        let first = Tee::onto(a, Arc::clone(&capture), 0);
        let second = Tee::onto(b, capture, 1);
        second.send(&[IoSlice::new(&FRAME)]).unwrap();
        // A wait on any of them flushes all.
        let _ = first.wait(Some(Duration::ZERO)).unwrap();
        let file = disk.0.lock().unwrap();
        let at = file.windows(60).position(|part| part == FRAME).unwrap();
        // Enhanced Packet Block: the interface's number is 20 bytes before the packet's.
        assert_eq!(file[at - 20..at - 16], 1u32.to_le_bytes());
    }

    #[test]
    fn a_full_disk_ends_the_capture_and_not_the_traffic() {
        let (a, b) = pair(1500, 10_000);
        let tee = Tee::new(a, "pair", Disk(Arc::default(), 100_000)).unwrap();
        for _ in 0..5000 {
            tee.send(&[IoSlice::new(&FRAME)]).unwrap();
        }
        drop(tee);
        let mut received = 0;
        while b.recv(&mut [0; 100]).is_ok() {
            received += 1;
        }
        assert_eq!(received, 5000);
    }
}
