//! What every Ethernet device can do, and what its errors mean.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use crate::cut;
use crate::debt::{Debt, Offloads, Placed};
use crate::offload;

/// The shortest frame: two addresses and a type, bytes.
pub const ETHERNET_HEADER: usize = 14;

/// What a frame may carry beside its IP packet: the Ethernet header and one VLAN tag, bytes. A
/// receive buffer of `mtu() + FRAME_OVERHEAD` bytes holds every frame that keeps to the MTU.
pub const FRAME_OVERHEAD: usize = ETHERNET_HEADER + 4;

/// The longest super-frame: 64 KiB of IP packet, and what may stand before it, bytes.
pub(crate) const FRAME_MAX: usize = 65_535 + FRAME_OVERHEAD;

/// What stands before each frame of [`Device::send_row`] for the device to write to, bytes.
pub const HEADROOM: usize = offload::HEADER;

/// Where the frames of [`Device::recv_row`] begin: at multiples of so many bytes, a cache line.
pub const ROW_ALIGN: usize = 64;

/// An Ethernet device.
///
/// All methods take `&self`: one thread may sleep in [`wait`](Device::wait) while another sends.
/// Frames carry no preamble and no frame check sequence.
pub trait Device: Send + Sync {
    /// The largest IP packet that a frame may carry, bytes. The device does not police it.
    fn mtu(&self) -> usize;

    /// Reads one frame into `buf` without blocking, and returns its length in bytes.
    ///
    /// A frame longer than `buf` loses its tail, as it does in the kernel: give it
    /// `mtu() + FRAME_OVERHEAD` bytes.
    ///
    /// # Errors
    /// `WouldBlock` when there is no frame; what the others mean is said by [`classify`].
    fn recv(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Sends one frame, gathered from `parts`, without blocking: seven of them at most.
    ///
    /// # Errors
    /// The frame is not sent, and [`classify`] says why. A frame shorter than its Ethernet header
    /// is `InvalidInput`.
    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// Says what the caller takes beside plain frames, by
    /// [`recv_with_debt`](Device::recv_with_debt), from now on; returns what the device does of
    /// that, in both directions. A device that was never asked gives and takes plain frames.
    ///
    /// A device with no offloads of its own takes super-frames all the same, and gives none: they
    /// are cut in software, which is dear for the processor but not as dear as making each
    /// segment by itself.
    fn negotiate(&self, wanted: Offloads) -> Offloads {
        wanted.in_software()
    }

    /// The bytes that a buffer for [`recv_with_debt`](Device::recv_with_debt) must have.
    fn buffer_len(&self) -> usize {
        self.mtu() + FRAME_OVERHEAD
    }

    /// [`recv`](Device::recv) of a frame that may owe something.
    ///
    /// # Errors
    /// Those of `recv`.
    fn recv_with_debt(&self, buf: &mut [u8]) -> io::Result<Placed> {
        self.recv(buf).map(|length| Placed { start: 0, length, debt: Debt::NONE })
    }

    /// [`send`](Device::send) of a frame that may owe something; all its headers are in the first
    /// of its parts. What the device does not do itself is done for it, here.
    ///
    /// # Errors
    /// Those of `send`; of several packets, that of the last that failed.
    fn send_with_debt(&self, parts: &[IoSlice<'_>], debt: Debt) -> io::Result<()> {
        cut::pay(parts, debt, self)
    }

    /// [`recv_with_debt`](Device::recv_with_debt) of several frames. Each lies in `buf` behind the
    /// one before it, at the next multiple of [`ROW_ALIGN`] bytes, and has
    /// [`buffer_len`](Device::buffer_len) bytes of room. Returns how many there are: fewer than
    /// `row` has places, and no error, where `buf` is full, one was no frame, or there are more
    /// than the device reads at once (64 or more). A `buf` with room for less than one frame takes
    /// one without its tail.
    ///
    /// # Errors
    /// What ended the row, beside the frames before it: `WouldBlock` when there are no more.
    fn recv_row(&self, buf: &mut [u8], row: &mut [Placed]) -> (usize, io::Result<()>) {
        let (room, mut at) = (self.buffer_len().min(buf.len()), 0);
        for (index, placed) in row.iter_mut().enumerate() {
            let Some(place) = buf.get_mut(at..at + room) else { return (index, Ok(())) };
            match self.recv_with_debt(place) {
                Ok(got) => *placed = Placed { start: at + got.start, ..got },
                Err(error) => return (index, Err(error)),
            }
            at = placed.range().end.next_multiple_of(ROW_ALIGN);
        }
        (row.len(), Ok(()))
    }

    /// [`send_with_debt`](Device::send_with_debt) of several frames, which lie in `bytes`, each
    /// behind [`HEADROOM`] bytes that the device may write to. Returns how many were sent: the
    /// next one, if there is one, failed.
    ///
    /// # Errors
    /// Those of `send_with_debt`, beside how many were sent before.
    ///
    /// # Panics
    /// A frame does not lie within `bytes`.
    fn send_row(&self, bytes: &mut [u8], row: &[Placed]) -> (usize, io::Result<()>) {
        for (index, placed) in row.iter().enumerate() {
            let frame = [IoSlice::new(&bytes[placed.range()])];
            if let Err(error) = self.send_with_debt(&frame, placed.debt) {
                return (index, Err(error));
            }
        }
        (row.len(), Ok(()))
    }

    /// Sleeps until a frame may be readable, [`wake`](Device::wake) was called, or `timeout` has
    /// passed (`None`: for ever).
    ///
    /// Readiness is a level, a wake-up is an event: when both are there the answer is
    /// [`Wake::Woken`], which consumes the wake-up and leaves the frame, so that the next `wait`
    /// answers [`Wake::Readable`] at once. It is always right to call `recv` after `wait`.
    ///
    /// # Errors
    /// A device that is gone answers with an error of [`Fault::Gone`], every time: the caller
    /// must stop waiting for it until it is revived.
    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake>;

    /// Looks whether frames can pass again, after a fault of [`Fault::Down`] or [`Fault::Gone`];
    /// attaches anew to what was deleted and has been made again. A device that cannot know says
    /// yes: it is found out by using it.
    ///
    /// # Errors
    /// Not yet: [`classify`] says why.
    fn revive(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes a present or the next `wait` return. Callable from any thread and cheap; any number
    /// of calls before that `wait` returns count as one.
    fn wake(&self);
}

/// Why [`Device::wait`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Wake {
    /// A frame may be readable, and nobody called `wake`.
    Readable,
    /// Somebody called `wake`, or a signal arrived. A frame may be readable as well.
    Woken,
    /// The time-out passed.
    TimedOut,
}

/// What a driver should do about an error of [`Device::recv`], `send` or `wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Fault {
    /// Nothing there, or no room: wait and try again.
    Again,
    /// The interface is down: drop the frame, and ask [`Device::revive`] from time to time.
    Down,
    /// The interface or its descriptor does not exist any more: only [`Device::revive`] can help.
    Gone,
    /// The kernel had no memory for the frame: drop it and go on.
    Full,
    /// Anything else: this frame is lost, and a run of these deserves a log line.
    Other,
}

/// Sorts a device's error into what to do about it.
///
/// A TAP that is deleted reports readiness for ever, so a driver that shrugs at errors would spin
/// on it: it must stop at [`Fault::Gone`].
pub fn classify(error: &io::Error) -> Fault {
    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
        return Fault::Again;
    }
    match error.raw_os_error() {
        Some(libc::EIO) => Fault::Down,
        Some(libc::EBADFD | libc::EBADF | libc::ENODEV | libc::ENXIO) => Fault::Gone,
        Some(libc::ENOBUFS | libc::ENOMEM) => Fault::Full,
        _ => Fault::Other,
    }
}

/// The error of a device that is not there any more.
pub(crate) fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADFD)
}

/// The length of a frame in bytes. What is too short to be one is refused as a TAP refuses it.
pub(crate) fn check_frame(parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length < ETHERNET_HEADER {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(length)
}

/// Whatever owns a device is one.
macro_rules! owners {
    ($($owner:ident),*) => {$(
        impl<D: Device + ?Sized> Device for $owner<D> {
            fn mtu(&self) -> usize {
                (**self).mtu()
            }

            fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                (**self).recv(buf)
            }

            fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
                (**self).send(parts)
            }

            fn negotiate(&self, wanted: Offloads) -> Offloads {
                (**self).negotiate(wanted)
            }

            fn buffer_len(&self) -> usize {
                (**self).buffer_len()
            }

            fn recv_with_debt(&self, buf: &mut [u8]) -> io::Result<Placed> {
                (**self).recv_with_debt(buf)
            }

            fn send_with_debt(&self, parts: &[IoSlice<'_>], debt: Debt) -> io::Result<()> {
                (**self).send_with_debt(parts, debt)
            }

            fn recv_row(&self, buf: &mut [u8], row: &mut [Placed]) -> (usize, io::Result<()>) {
                (**self).recv_row(buf, row)
            }

            fn send_row(&self, bytes: &mut [u8], row: &[Placed]) -> (usize, io::Result<()>) {
                (**self).send_row(bytes, row)
            }

            fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
                (**self).wait(timeout)
            }

            fn revive(&self) -> io::Result<()> {
                (**self).revive()
            }

            fn wake(&self) {
                (**self).wake();
            }
        }
    )*};
}

owners!(Box, Arc);

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn errors_are_sorted_by_what_to_do_about_them() {
        let table = [
            (libc::EAGAIN, Fault::Again),
            (libc::EINTR, Fault::Again),
            (libc::EIO, Fault::Down),
            (libc::EBADFD, Fault::Gone),
            (libc::EBADF, Fault::Gone),
            (libc::ENODEV, Fault::Gone),
            (libc::ENOBUFS, Fault::Full),
            (libc::EINVAL, Fault::Other),
        ];
        for (errno, fault) in table {
            assert_eq!(classify(&io::Error::from_raw_os_error(errno)), fault, "errno {errno}");
        }
        assert_eq!(classify(&io::ErrorKind::WouldBlock.into()), Fault::Again);
    }

    /// A device as somebody outside may write one: it notes what it is to send.
    #[derive(Default)]
    pub(crate) struct Notebook {
        frames: Mutex<Vec<Vec<u8>>>,
        /// So many frames it takes, and refuses the next one.
        refuses_after: Mutex<Option<usize>>,
    }

    impl Notebook {
        pub(crate) fn refusing(after: usize) -> Notebook {
            Notebook { refuses_after: Mutex::new(Some(after)), ..Notebook::default() }
        }

        pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
            self.frames.lock().unwrap().clone()
        }
    }

    impl Device for Notebook {
        fn mtu(&self) -> usize {
            1500
        }

        fn recv(&self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
            let mut frames = self.frames.lock().unwrap();
            if self.refuses_after.lock().unwrap().take_if(|it| *it == frames.len()).is_some() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            frames.push(parts.iter().flat_map(|part| part.to_vec()).collect());
            Ok(())
        }

        fn wait(&self, _: Option<Duration>) -> io::Result<Wake> {
            Ok(Wake::TimedOut)
        }

        fn wake(&self) {}
    }

    #[test]
    fn a_device_without_offloads_is_cut_for() {
        let device = Notebook::default();
        let granted = device.negotiate(Offloads::ALL);
        assert_eq!(granted, Offloads { checksum: false, ..Offloads::ALL });
        assert_eq!(device.negotiate(Offloads::NONE), Offloads::NONE);
        let mut head = [0; 54];
        head[12..15].copy_from_slice(&[8, 0, 0x45]);
        head[23] = 6;
        head[46] = 0x50;
        let debt = Debt { segment: Some(1000), ..Debt::NONE };
        device.send_with_debt(&[IoSlice::new(&head), IoSlice::new(&[7; 2500])], debt).unwrap();
        let lengths: Vec<_> = device.frames().iter().map(Vec::len).collect();
        assert_eq!(lengths, [1054, 1054, 554]);
    }

    #[test]
    fn a_row_is_sent_up_to_the_first_that_is_refused() {
        let mut bytes: Vec<u8> = (0..200).collect();
        let place = |start| Placed { start, length: 20, debt: Debt::NONE };
        let row = [place(10), place(60), place(130)];
        let (device, frame) = (Notebook::refusing(1), |at: usize| (at..at + 20).map(|it| it as u8));
        let (sent, answer) = device.send_row(&mut bytes, &row);
        assert_eq!((sent, answer.unwrap_err().kind()), (1, io::ErrorKind::WouldBlock));
        let (sent, answer) = device.send_row(&mut bytes, &row[2..]);
        assert!(sent == 1 && answer.is_ok());
        assert_eq!(device.frames(), [10, 130].map(|at| frame(at).collect::<Vec<_>>()));
    }

    #[test]
    fn a_row_is_read_until_it_is_full_or_there_is_no_more() {
        let (near, far) = crate::pair(1500, 10);
        (1..=5).for_each(|fill| near.send(&[IoSlice::new(&[fill; 100])]).unwrap());
        let (mut buf, mut row) = (vec![0; 4096], [Placed::NOTHING; 3]);
        let (count, answer) = far.recv_row(&mut buf, &mut row);
        assert!(count == 3 && answer.is_ok());
        assert_eq!(row.map(|it| it.start), [0, 128, 256]);
        for (placed, fill) in row.iter().zip(1..) {
            assert_eq!(buf[placed.range()], [fill; 100]);
        }
        let (count, answer) = far.recv_row(&mut buf[..1600], &mut row);
        assert!(count == 1 && answer.is_ok(), "no room for a second one");
        let (count, answer) = far.recv_row(&mut buf[..30], &mut row);
        assert!(count == 1 && answer.is_ok());
        assert_eq!(buf[row[0].range()], [5; 30], "without its tail");
        let (count, answer) = far.recv_row(&mut buf, &mut row);
        assert_eq!((count, answer.unwrap_err().kind()), (0, io::ErrorKind::WouldBlock));
    }
}
