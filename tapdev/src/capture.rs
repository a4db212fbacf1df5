//! A packet capture in a file, of one or several interfaces, that may be written by many threads.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pcapng::{Direction, PcapngWriter};

/// Bytes of whole blocks that are kept back at most, so that a busy device costs few writes.
const BATCH_BYTES: usize = 64 << 10;

/// How long a block is kept back at most while traffic goes on, nanoseconds.
const BATCH_NS: u64 = 100_000_000;

/// Records frames in pcapng, with the wall clock's times.
///
/// What is recorded reaches the file every 64 KiB or 0.1 s of traffic, at a [`flush`], and on
/// drop, always in whole blocks: a capture that is cut short can be read. When the file cannot be
/// written (a full disk), that is logged once, and nothing more is recorded.
///
/// [`flush`]: Capture::flush
pub struct Capture {
    recorder: Mutex<Option<Recorder>>,
}

pub(crate) struct Recorder {
    writer: PcapngWriter<Batch>,
    totals: Vec<Totals>,
}

/// Of one interface: frames received, and frames that it refused to send.
#[derive(Clone, Copy, Default)]
struct Totals {
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

impl Capture {
    /// Records into a new file at `path`; what was there is overwritten. The interfaces are
    /// numbered from 0 in the order of their names.
    ///
    /// # Errors
    /// Those of creating and writing the file.
    pub fn create(path: &Path, interface_names: &[&str]) -> io::Result<Capture> {
        Capture::new(File::create(path)?, interface_names)
    }

    /// Records into `file`, which needs no buffer of its own.
    ///
    /// # Errors
    /// Those of writing the capture's head.
    pub fn new(file: impl Write + Send + 'static, interface_names: &[&str]) -> io::Result<Capture> {
        let batch = Batch { file: Box::new(file), bytes: Vec::new(), since_ns: 0 };
        let mut writer = PcapngWriter::new(batch, interface_names)?;
        writer.flush()?;
        let totals = vec![Totals::default(); interface_names.len()];
        Ok(Capture { recorder: Mutex::new(Some(Recorder { writer, totals })) })
    }

    /// Records a frame that was received or sent on an interface, with a comment that Wireshark
    /// shows beside it. The number of an interface that was not named ends the capture.
    pub fn packet(
        &self,
        interface: u32,
        direction: Direction,
        parts: &[IoSlice<'_>],
        comment: Option<&str>,
    ) {
        self.lock().packet(interface, direction, parts, comment);
    }

    /// Writes what is kept back.
    pub fn flush(&self) {
        self.lock().record(|recorder| recorder.writer.flush());
    }

    /// Keeps other threads from recording in between.
    pub(crate) fn lock(&self) -> Recording<'_> {
        Recording(self.recorder.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A capture that belongs to this thread for the moment.
pub(crate) struct Recording<'a>(MutexGuard<'a, Option<Recorder>>);

impl Recording<'_> {
    pub(crate) fn packet(
        &mut self,
        interface: u32,
        direction: Direction,
        parts: &[IoSlice<'_>],
        comment: Option<&str>,
    ) {
        self.record(|recorder| {
            let now_ns = wall_clock_ns();
            recorder.writer.packet(interface, now_ns, direction, parts, comment)?;
            if direction == Direction::In {
                recorder.totals[interface as usize].received += 1;
            }
            recorder.writer.get_mut().flush_if_due(now_ns)
        });
    }

    /// Counts a frame that an interface did not take.
    pub(crate) fn refused(&mut self, interface: u32) {
        self.record(|recorder| {
            let totals = recorder.totals.get_mut(interface as usize);
            totals.ok_or(io::ErrorKind::InvalidInput)?.refused += 1;
            Ok(())
        });
    }

    /// Does something with the recorder, and gives it up at the first error.
    fn record(&mut self, work: impl FnOnce(&mut Recorder) -> io::Result<()>) {
        let Some(recorder) = self.0.as_mut() else { return };
        if let Err(error) = work(recorder) {
            log::error!("the packet capture ends here: {error}");
            *self.0 = None;
        }
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

impl Drop for Capture {
    fn drop(&mut self) {
        self.lock().record(|recorder| {
            for (interface, totals) in (0..).zip(&recorder.totals) {
                let (received, refused) = (totals.received, totals.refused);
                recorder.writer.statistics(interface, wall_clock_ns(), received, refused)?;
            }
            recorder.writer.flush()
        });
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
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
    fn what_is_recorded_is_there_after_a_flush_and_the_totals_at_the_end() {
        let disk = disk(usize::MAX);
        let capture = Capture::new(disk.clone(), &["a", "b"]).unwrap();
        capture.packet(0, Direction::In, &[IoSlice::new(&FRAME)], None);
        capture.packet(1, Direction::Out, &[IoSlice::new(&FRAME)], Some("late"));
        assert_eq!(blocks(&disk.bytes.lock().unwrap()), [0x0a0d_0d0a, 1, 1]);
        capture.flush();
        assert_eq!(blocks(&disk.bytes.lock().unwrap()), [0x0a0d_0d0a, 1, 1, 6, 6]);
        drop(capture);
        assert_eq!(blocks(&disk.bytes.lock().unwrap()), [0x0a0d_0d0a, 1, 1, 6, 6, 5, 5]);
    }

    #[test]
    fn a_full_disk_ends_the_capture_after_one_attempt() {
        let disk = disk(2);
        let capture = Capture::new(disk.clone(), &["a"]).unwrap();
        for _ in 0..5000 {
            capture.packet(0, Direction::Out, &[IoSlice::new(&FRAME)], None);
        }
        assert!(capture.lock().0.is_none());
        // The head, one batch, and the one that failed: it was not tried again.
        assert_eq!(disk.writes.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn an_interface_without_a_name_ends_the_capture() {
        let capture = Capture::new(disk(usize::MAX), &["a"]).unwrap();
        capture.packet(1, Direction::In, &[IoSlice::new(&FRAME)], None);
        assert!(capture.lock().0.is_none());
    }
}
