//! A device that records what passes through it.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::device::{Device, Wake};
use crate::pcapng::{Direction, PcapngWriter};

/// Bytes of whole blocks that are kept back at most, so that a busy device costs few writes.
const BATCH_BYTES: usize = 64 << 10;

/// How long a block is kept back at most while traffic goes on, nanoseconds.
const BATCH_NS: u64 = 100_000_000;

/// Records both directions of a device in pcapng, with the wall clock's times.
///
/// What is recorded reaches the file when the device is waited on, every 64 KiB or 0.1 s of
/// traffic, and on drop, always in whole blocks: a capture that ends with a Ctrl-C can be read.
/// When the file cannot be written (a full disk), that is logged once, recording stops, and the
/// traffic goes on.
pub struct Tee<D: Device> {
    device: D,
    recorder: Mutex<Option<Recorder>>,
}

struct Recorder {
    writer: PcapngWriter<Batch>,
    /// Frames received, and frames that the device refused to send.
    received: u64,
    refused: u64,
}

/// Whole blocks on their way to the file.
struct Batch {
    file: Box<dyn Write + Send>,
    bytes: Vec<u8>,
    /// When the oldest block came.
    since_ns: u64,
}

impl<D: Device> Tee<D> {
    /// Records `device` into a new file at `path`; what was there is overwritten.
    ///
    /// # Errors
    /// Those of creating and writing the file.
    pub fn create(device: D, interface_name: &str, path: &Path) -> io::Result<Tee<D>> {
        Tee::new(device, interface_name, File::create(path)?)
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
        let batch = Batch { file: Box::new(file), bytes: Vec::new(), since_ns: 0 };
        let mut writer = PcapngWriter::new(batch, interface_name)?;
        writer.flush()?;
        let recorder = Recorder { writer, received: 0, refused: 0 };
        Ok(Tee { device, recorder: Mutex::new(Some(recorder)) })
    }

    /// The device that is recorded.
    pub fn device(&self) -> &D {
        &self.device
    }

    fn lock(&self) -> MutexGuard<'_, Option<Recorder>> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something with the recorder, and gives it up at the first error.
fn record(slot: &mut Option<Recorder>, work: impl FnOnce(&mut Recorder) -> io::Result<()>) {
    let Some(recorder) = slot else { return };
    if let Err(error) = work(recorder) {
        log::error!("the packet capture ends here: {error}");
        *slot = None;
    }
}

impl Recorder {
    fn packet(&mut self, direction: Direction, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let now_ns = wall_clock_ns();
        self.writer.packet(now_ns, direction, parts, None)?;
        self.writer.get_mut().flush_if_due(now_ns)
    }
}

impl Batch {
    fn flush_if_due(&mut self, now_ns: u64) -> io::Result<()> {
        if self.since_ns == 0 {
            self.since_ns = now_ns;
        }
        let is_old = now_ns.abs_diff(self.since_ns) >= BATCH_NS;
        if is_old || self.bytes.len() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }
}

impl Write for Batch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.bytes)?;
        self.bytes.clear();
        self.since_ns = 0;
        self.file.flush()
    }
}

impl<D: Device> Device for Tee<D> {
    fn mtu(&self) -> usize {
        self.device.mtu()
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let length = self.device.recv(buf)?;
        record(&mut self.lock(), |recorder| {
            recorder.received += 1;
            recorder.packet(Direction::In, &[IoSlice::new(&buf[..length])])
        });
        Ok(length)
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        // The lock is held while sending, so that no answer is recorded before its question.
        let mut slot = self.lock();
        let sent = self.device.send(parts);
        record(&mut slot, |recorder| match sent {
            Ok(()) => recorder.packet(Direction::Out, parts),
            Err(_) => {
                recorder.refused += 1;
                Ok(())
            }
        });
        sent
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        record(&mut self.lock(), |recorder| recorder.writer.flush());
        self.device.wait(timeout)
    }

    fn wake(&self) {
        self.device.wake();
    }
}

impl<D: Device> Drop for Tee<D> {
    fn drop(&mut self) {
        record(&mut self.lock(), |recorder| {
            let (received, refused) = (recorder.received, recorder.refused);
            recorder.writer.statistics(wall_clock_ns(), received, refused)?;
            recorder.writer.flush()
        });
    }
}

impl<D: Device + fmt::Debug> fmt::Debug for Tee<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tee").field("device", &self.device).finish_non_exhaustive()
    }
}

/// Nanoseconds since 1970, until the year 2554.
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a capture carries the wall clock's times"
)]
fn wall_clock_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |time| time.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::pair::pair;

    /// A file with room for so many writes, on a disk that is then full.
    #[derive(Clone, Default)]
    struct Disk {
        bytes: Arc<Mutex<Vec<u8>>>,
        writes: Arc<AtomicUsize>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.writes.fetch_add(1, Ordering::Relaxed) >= self.room {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            self.bytes.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn disk(room: usize) -> Disk {
        Disk { room, ..Disk::default() }
    }

    /// The types of the blocks, which also shows that they are whole.
    fn blocks(file: &[u8]) -> Vec<u32> {
        let mut kinds = Vec::new();
        let mut rest = file;
        while let Some((kind, tail)) = rest.split_first_chunk() {
            kinds.push(u32::from_le_bytes(*kind));
            let length = u32::from_le_bytes(*tail.first_chunk().unwrap()) as usize;
            rest = &rest[length..];
        }
        kinds
    }

    const FRAME: [u8; 60] = [7; 60];

    #[test]
    fn both_directions_are_recorded_and_flushed_before_a_wait() {
        let (a, b) = pair(1500, 10);
        let disk = disk(usize::MAX);
        let tee = Tee::new(a, "pair", disk.clone()).unwrap();
        b.send(&[IoSlice::new(&FRAME)]).unwrap();
        tee.recv(&mut [0; 100]).unwrap();
        tee.send(&[IoSlice::new(&FRAME)]).unwrap();
        let _ = tee.wait(Some(Duration::ZERO)).unwrap();
        assert_eq!(blocks(&disk.bytes.lock().unwrap()), [0x0a0d_0d0a, 1, 6, 6]);
        drop(tee);
        assert_eq!(blocks(&disk.bytes.lock().unwrap()), [0x0a0d_0d0a, 1, 6, 6, 5]);
    }

    #[test]
    fn a_full_disk_ends_the_capture_and_not_the_traffic() {
        let (a, b) = pair(1500, 10_000);
        let disk = disk(2);
        let tee = Tee::new(a, "pair", disk.clone()).unwrap();
        for _ in 0..5000 {
            tee.send(&[IoSlice::new(&FRAME)]).unwrap();
        }
        assert!(tee.lock().is_none());
        // The head, one batch, and the one that failed: it was not tried again.
        assert_eq!(disk.writes.load(Ordering::Relaxed), 3);
        drop(tee);
        let mut received = 0;
        while b.recv(&mut [0; 100]).is_ok() {
            received += 1;
        }
        assert_eq!(received, 5000);
    }
}
