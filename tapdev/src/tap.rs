//! A TAP: an Ethernet cable between this program and the kernel.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cut::{self, PARTS_MAX};
use crate::debt::{Debt, Offloads, Placed};
use crate::device::{Device, ETHERNET_HEADER, FRAME_MAX, FRAME_OVERHEAD, Wake, check_frame, gone};
use crate::interface::{Interface, is_valid_name};
use crate::offload::{self, Queue};
use crate::open_error::OpenError;
use crate::plain;
use crate::sys::{self, InterfaceRequest};
use crate::wait::Waiter;

/// The MTU of Ethernet, bytes: assumed of an inherited TAP that lives in another namespace.
const ETHERNET_MTU: usize = 1500;

/// What to open.
#[derive(Debug, Clone, Default)]
pub struct TapOptions {
    /// The interface: it is made if it does not exist, and then lives as long as the [`Tap`]. An
    /// empty name lets the kernel choose one.
    pub name: String,
    /// The MTU to give the interface, bytes (`None`: leave it as it is). Setting needs
    /// `CAP_NET_ADMIN`.
    pub mtu: Option<usize>,
    /// Plain mode: the kernel takes and gives plain frames only.
    pub plain: bool,
}

impl TapOptions {
    /// The TAP `name` with the MTU that it has, and the offloads that its user will ask for.
    pub fn named(name: &str) -> TapOptions {
        TapOptions { name: name.to_owned(), ..TapOptions::default() }
    }
}

/// A TAP. Dropping it detaches from the interface.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    waiter: Waiter,
    interface: Interface,
    mtu: usize,
    /// The mode: None is plain.
    offload: Option<Offload>,
    /// It was opened by name, and can be again.
    by_name: bool,
    queue: Queue,
}

/// What belongs to offload mode.
#[derive(Debug)]
struct Offload {
    wanted: Mutex<Offloads>,
    frame_max: AtomicUsize,
    malformed: AtomicU64,
    refused: AtomicU64,
}

impl Offload {
    /// [`Tap::placed`] behind a header.
    fn placed(&self, buf: &[u8], read: Placed) -> Option<Placed> {
        let header = buf[read.start..].first_chunk().copied().unwrap_or_default();
        let start = read.start + offload::HEADER;
        let length = read.length.saturating_sub(offload::HEADER);
        let debt = offload::decode(header, length);
        if debt.is_none() {
            self.malformed.fetch_add(1, Ordering::Relaxed);
        }
        debt.map(|debt| Placed { start, length, debt })
    }
}

/// What went wrong with a TAP's offloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OffloadFaults {
    /// Frames received and dropped, because what stood before them contradicted itself, or nobody
    /// had asked for such.
    pub malformed: u64,
    /// Frames whose debt the kernel refused, and that were finished and cut here.
    pub refused: u64,
}

impl Tap {
    /// Attaches to a TAP, or makes one.
    ///
    /// An interface that is down is not an error: ask [`Tap::link_state`].
    ///
    /// # Errors
    /// The cause and its remedy.
    pub fn open(options: TapOptions) -> Result<Tap, OpenError> {
        if !options.name.is_empty() && !is_valid_name(&options.name) {
            return Err(OpenError::InvalidName { name: options.name });
        }
        let offload = if options.plain { None } else { open_for_offload(&options.name)? };
        let is_plain = offload.is_none();
        let (fd, name) = offload.map_or_else(|| plain::open(&options.name), Ok)?;
        match Tap::prepare(fd, &name, options.mtu, is_plain) {
            Ok(tap) => Ok(Tap { by_name: true, ..tap }),
            Err((step, source)) => Err(OpenError::Step { name, step, source }),
        }
    }

    /// Attaches `count` times to a TAP of several queues, or makes one. What the kernel sends comes
    /// by one of them: flow by flow by the one that last sent for the flow, and by one that the
    /// kernel picks for a flow where none has for some three seconds.
    ///
    /// # Errors
    /// The cause and its remedy; there is no plain mode here.
    pub fn open_queues(options: &TapOptions, count: usize) -> Result<Vec<Tap>, OpenError> {
        let mut name = options.name.clone();
        if !name.is_empty() && !is_valid_name(&name) {
            return Err(OpenError::InvalidName { name });
        }
        let mut queues = Vec::with_capacity(count);
        for _ in 0..count {
            let opened = offload::open(&name, Queue::OneOfSeveral);
            let (fd, real) = opened.map_err(|error| OpenError::attaching_queue(&name, error))?;
            name = real;
            // The first has set it.
            let mtu = options.mtu.filter(|_| queues.is_empty());
            match Tap::prepare(fd, &name, mtu, false) {
                Ok(tap) => {
                    queues.push(Tap { by_name: true, queue: Queue::OneOfSeveral, ..tap });
                }
                Err((step, source)) => return Err(OpenError::Step { name, step, source }),
            }
        }
        Ok(queues)
    }

    /// Takes over a descriptor that is attached to a TAP, as a privileged parent may pass it. It
    /// decides about the mode: offload mode is that of `IFF_VNET_HDR`.
    ///
    /// The interface may live in a network namespace that this process does not see: its MTU is
    /// then taken to be 1,500 bytes.
    ///
    /// # Errors
    /// [`OpenError::NotATap`] unless the descriptor is attached with `IFF_TAP | IFF_NO_PI`.
    pub fn from_fd(fd: OwnedFd) -> Result<Tap, OpenError> {
        let attached = attachment(fd.as_fd()).map_err(|source| OpenError::NotATap { source })?;
        let (name, is_plain) = attached;
        Tap::prepare(fd, &name, None, is_plain).map_err(|(step, source)| OpenError::Step {
            name,
            step,
            source,
        })
    }

    /// [`Tap::from_fd`] for a number, as it stands on a command line. The number itself stays
    /// open: this takes a duplicate.
    ///
    /// # Errors
    /// [`OpenError::NotATap`], also if the number is not open.
    pub fn inherited(number: RawFd) -> Result<Tap, OpenError> {
        let fd = sys::duplicate(number).map_err(|source| OpenError::NotATap { source })?;
        Tap::from_fd(fd)
    }

    fn prepare(
        fd: OwnedFd,
        name: &str,
        mtu: Option<usize>,
        is_plain: bool,
    ) -> Result<Tap, (&'static str, io::Error)> {
        set_modes(&fd, is_plain)?;
        let waiter = Waiter::new().map_err(|error| ("making its wake-up", error))?;
        let interface = Interface::named(name).map_err(|error| ("looking it up", error))?;
        if let Some(mtu) = mtu {
            interface.set_mtu(mtu).map_err(|error| ("setting its MTU", error))?;
        }
        let mtu = if is_attached_to(fd.as_fd(), &interface) {
            interface.mtu().map_err(|error| ("reading its MTU", error))?
        } else {
            ETHERNET_MTU
        };
        let offload = (!is_plain).then(|| Offload {
            wanted: Mutex::new(Offloads::NONE),
            frame_max: AtomicUsize::new(mtu + FRAME_OVERHEAD),
            malformed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        Ok(Tap { fd, waiter, interface, mtu, offload, by_name: false, queue: Queue::Only })
    }

    /// Attaches to the interface that has the name of the one that was deleted. It is not made:
    /// whoever deleted it knows what it should be.
    fn attach_again(&self) -> io::Result<()> {
        let name = self.interface.name();
        self.interface.is_up()?;
        let (fd, _) = match &self.offload {
            None => plain::open(name).map_err(io::Error::other)?,
            Some(_) => offload::open(name, self.queue)?,
        };
        set_modes(&fd, self.is_plain()).map_err(|(_, error)| error)?;
        sys::replace(self.fd.as_fd(), fd)?;
        if let Some(offload) = &self.offload {
            let wanted = *offload.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            self.negotiate(wanted);
        }
        Ok(())
    }

    /// Whether the kernel takes and gives plain frames only.
    pub fn is_plain(&self) -> bool {
        self.offload.is_none()
    }

    /// What went wrong with offloads so far.
    pub fn offload_faults(&self) -> OffloadFaults {
        self.offload.as_ref().map_or_else(OffloadFaults::default, |offload| OffloadFaults {
            malformed: offload.malformed.load(Ordering::Relaxed),
            refused: offload.refused.load(Ordering::Relaxed),
        })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        self.interface.name()
    }

    /// The kernel's side of the TAP: its MTU, addresses and state.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The Ethernet address of the kernel's side. The stack on this side needs another one.
    ///
    /// # Errors
    /// `EBADFD` if the interface is gone.
    pub fn hardware_address(&self) -> io::Result<[u8; 6]> {
        ethernet_address(self.fd.as_fd())
    }

    /// Whether the interface is administratively up.
    ///
    /// # Errors
    /// `ENODEV` if it is gone, or lives in another network namespace.
    pub fn is_up(&self) -> io::Result<bool> {
        self.interface.is_up()
    }

    /// Whether frames can pass, with the remedy if they cannot.
    ///
    /// # Errors
    /// Those of [`Tap::is_up`].
    pub fn link_state(&self) -> io::Result<LinkState> {
        let up = self.is_up()?;
        Ok(if up { LinkState::Up } else { LinkState::Down { name: self.name().to_owned() } })
    }

    /// Brings the interface up.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`.
    pub fn bring_up(&self) -> io::Result<()> {
        self.interface.bring_up()
    }

    /// Lets the interface outlive this program. Its next user attaches by name.
    ///
    /// # Errors
    /// `EBADFD` if it is gone.
    pub fn keep(&self) -> io::Result<()> {
        sys::set_persistent(self.fd.as_fd(), true)
    }
}

impl Device for Tap {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(offload) = &self.offload else { return sys::read(self.fd.as_fd(), buf) };
        loop {
            let mut header = [0; offload::HEADER];
            let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(buf)];
            let length = sys::readv(self.fd.as_fd(), &mut parts)?.saturating_sub(offload::HEADER);
            let debt = offload::decode(header, length);
            if let Some(length) = debt.and_then(|debt| cut::plain(&mut buf[..length], debt)) {
                return Ok(length);
            }
            offload.malformed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        check_frame(parts)?;
        let header = [0; offload::HEADER];
        self.write(if self.is_plain() { &[] } else { &header }, parts)
    }

    fn negotiate(&self, wanted: Offloads) -> Offloads {
        let Some(offload) = &self.offload else { return wanted.in_software() };
        *offload.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        let granted = offload::negotiate(self.fd.as_fd(), wanted);
        let frame_max = if granted.super_frames() { FRAME_MAX } else { self.mtu + FRAME_OVERHEAD };
        offload.frame_max.store(frame_max, Ordering::Relaxed);
        granted
    }

    fn buffer_len(&self) -> usize {
        self.offload.as_ref().map_or(self.mtu + FRAME_OVERHEAD, |offload| {
            offload::HEADER + offload.frame_max.load(Ordering::Relaxed)
        })
    }

    fn recv_with_debt(&self, buf: &mut [u8]) -> io::Result<Placed> {
        self.check_room(buf)?;
        loop {
            // Header and frame in one piece: a scattered read costs more.
            let length = sys::read(self.fd.as_fd(), buf)?;
            let whole = Placed { start: 0, length, debt: Debt::NONE };
            if let Some(placed) = self.placed(buf, whole) {
                return Ok(placed);
            }
        }
    }

    fn send_with_debt(&self, parts: &[IoSlice<'_>], debt: Debt) -> io::Result<()> {
        check_frame(parts)?;
        let Some(offload) = self.offload.as_ref().filter(|_| debt.is_owed()) else {
            return cut::pay(parts, debt, self);
        };
        let header = offload::encode(&parts[0], debt).ok_or(io::ErrorKind::InvalidInput)?;
        match self.write(&header, parts) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                offload.refused.fetch_add(1, Ordering::Relaxed);
                cut::pay(parts, debt, self)
            }
            written => written,
        }
    }

    fn recv_row(&self, buf: &mut [u8], row: &mut [Placed]) -> (usize, io::Result<()>) {
        if let Err(error) = self.check_room(buf) {
            return (0, Err(error));
        }
        let (fd, room) = (self.fd.as_fd(), self.buffer_len().min(buf.len()));
        let (read, result) = sys::read_each(fd, buf, room, row);
        (close_ranks(&mut row[..read], |it| self.placed(buf, it)), result)
    }

    fn send_row(&self, bytes: &mut [u8], row: &[Placed]) -> (usize, io::Result<()>) {
        let before = self.header_len();
        let mut sent = 0;
        while sent < row.len() {
            let rest = &row[sent..row.len().min(sent + AT_ONCE)];
            let ready = rest.iter().take_while(|it| self.make_ready(bytes, it)).count();
            let mut frames = [&[][..]; AT_ONCE];
            for (frame, it) in frames.iter_mut().zip(&rest[..ready]) {
                *frame = &bytes[it.start - before..it.start + it.length];
            }
            let (written, result) = sys::write_each(self.fd.as_fd(), &frames[..ready]);
            sent += written;
            match result {
                Ok(()) if written == rest.len() => continue,
                Err(error) if error.raw_os_error() != Some(libc::EINVAL) => {
                    return (sent, Err(error));
                }
                // Not ready, or refused: by itself, where what the device does not do is done.
                _ => {}
            }
            let frame = [IoSlice::new(&bytes[row[sent].range()])];
            if let Err(error) = self.send_with_debt(&frame, row[sent].debt) {
                return (sent, Err(error));
            }
            sent += 1;
        }
        (sent, Ok(()))
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        self.waiter.wait(self.fd.as_fd(), timeout)
    }

    fn revive(&self) -> io::Result<()> {
        if attachment(self.fd.as_fd()).is_err() {
            if !self.by_name {
                return Err(gone());
            }
            self.attach_again()?;
        }
        // An inherited TAP may live in another namespace, of which nothing can be known.
        if self.by_name && !self.interface.is_up()? {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok(())
    }

    fn wake(&self) {
        self.waiter.wake();
    }
}

impl Tap {
    /// What stands before each frame, bytes.
    fn header_len(&self) -> usize {
        if self.is_plain() { 0 } else { offload::HEADER }
    }

    /// A buffer must have room for what stands before a frame.
    fn check_room(&self, buf: &[u8]) -> io::Result<()> {
        let is_too_short = buf.len() < self.header_len();
        if is_too_short { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }

    /// Where the frame lies in what was `read`. None if what stands before it is malformed.
    fn placed(&self, buf: &[u8], read: Placed) -> Option<Placed> {
        match &self.offload {
            None => Some(read),
            Some(offload) => offload.placed(buf, read),
        }
    }

    /// Puts before a frame of a row what the kernel wants to read there. False if it cannot be
    /// written as it is.
    fn make_ready(&self, bytes: &mut [u8], placed: &Placed) -> bool {
        let is_long_enough = placed.length >= ETHERNET_HEADER;
        if self.is_plain() || !is_long_enough {
            return is_long_enough && !placed.debt.is_owed();
        }
        let header = offload::encode(&bytes[placed.range()], placed.debt);
        let room = placed.start.checked_sub(offload::HEADER).map(|at| &mut bytes[at..placed.start]);
        header.zip(room).map(|(header, room)| room.copy_from_slice(&header)).is_some()
    }

    /// Writes `parts` as one frame behind its `header`, which is empty in plain mode.
    fn write(&self, header: &[u8], parts: &[IoSlice<'_>]) -> io::Result<()> {
        let fd = self.fd.as_fd();
        let length = header.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        let written = match parts {
            [whole] if header.is_empty() => sys::write(fd, whole),
            _ if length <= SHORT_MAX => write_joined::<SHORT_MAX>(fd, header, parts),
            _ if length <= JOINED_MAX => write_joined::<JOINED_MAX>(fd, header, parts),
            _ => {
                let mut all = [IoSlice::new(&[]); PARTS_MAX];
                let all = all.get_mut(..1 + parts.len()).ok_or(io::ErrorKind::InvalidInput)?;
                all[0] = IoSlice::new(header);
                all[1..].copy_from_slice(parts);
                sys::writev(fd, all)
            }
        };
        written.map(|_whole_frame| ())
    }
}

/// Keeps of a row what `placed` makes of each of its places. Returns how many that leaves.
fn close_ranks(row: &mut [Placed], placed: impl Fn(Placed) -> Option<Placed>) -> usize {
    let mut count = 0;
    for index in 0..row.len() {
        if let Some(placed) = placed(row[index]) {
            row[count] = placed;
            count += 1;
        }
    }
    count
}

/// Makes a descriptor of a TAP what a [`Tap`] needs; of an error says what was being done.
fn set_modes(fd: &OwnedFd, is_plain: bool) -> Result<(), (&'static str, io::Error)> {
    sys::set_close_on_exec(fd.as_fd()).map_err(|error| ("close-on-exec", error))?;
    sys::set_non_blocking(fd.as_fd()).map_err(|error| ("non-blocking mode", error))?;
    if is_plain {
        plain::forget_offloads(fd);
        Ok(())
    } else {
        offload::prepare(fd.as_fd()).map_err(|error| ("offload mode", error))
    }
}

/// Attaches in offload mode. None where only plain mode may be possible: what is wrong then is
/// found out by trying that.
fn open_for_offload(name: &str) -> Result<Option<(OwnedFd, String)>, OpenError> {
    match offload::open(name, Queue::Only) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(error) => Err(OpenError::attaching(name, error)),
    }
}

/// So many frames of a row are written without a look at the next ones.
const AT_ONCE: usize = 32;

/// Frames up to this length are joined before they are written: on a TAP gathering costs the
/// kernel more than the copy, which finds its bytes in the cache, costs us (a tenth of the rate of
/// a bulk transfer at MTU 1500).
const JOINED_MAX: usize = 2048;

/// Frames up to this length are joined in a smaller place, which takes less time to clear.
const SHORT_MAX: usize = 256;

/// Joins `header` and `parts`, which are no more than `N` bytes, and writes them.
fn write_joined<const N: usize>(
    fd: BorrowedFd<'_>,
    header: &[u8],
    parts: &[IoSlice<'_>],
) -> io::Result<usize> {
    let mut joined = [0; N];
    joined[..header.len()].copy_from_slice(header);
    let mut length = header.len();
    for part in parts {
        joined[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    sys::write(fd, &joined[..length])
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether frames can pass through a TAP. What it displays names the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// They can.
    Up,
    /// The interface is down: what is sent is refused with `EIO`, and nothing arrives.
    Down {
        /// The interface.
        name: String,
    },
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkState::Up => write!(f, "up"),
            LinkState::Down { name } => {
                write!(f, "{name} is down: bring it up with `ip link set {name} up`")
            }
        }
    }
}

/// The name of the interface that a descriptor is attached to, if it is one of a TAP, and whether
/// it is in plain mode.
fn attachment(fd: BorrowedFd<'_>) -> io::Result<(String, bool)> {
    let mut request = InterfaceRequest::new("")?;
    request.submit(fd, libc::TUNGETIFF)?;
    let flags = i32::from(request.flags());
    let kind = libc::IFF_TUN | libc::IFF_TAP | libc::IFF_NO_PI;
    if flags & kind != libc::IFF_TAP | libc::IFF_NO_PI {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok((request.name(), flags & libc::IFF_VNET_HDR == 0))
}

fn ethernet_address(fd: BorrowedFd<'_>) -> io::Result<[u8; 6]> {
    let mut request = InterfaceRequest::new("")?;
    request.submit(fd, libc::SIOCGIFHWADDR)?;
    Ok(request.ethernet())
}

/// Whether the interface of that name in our namespace is the one behind the descriptor, and not
/// a namesake.
fn is_attached_to(fd: BorrowedFd<'_>, interface: &Interface) -> bool {
    match (ethernet_address(fd), interface.hardware_address()) {
        (Ok(behind), Ok(seen)) => behind == seen,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_closes_ranks_where_a_header_contradicts_itself() {
        let offload = Offload {
            wanted: Mutex::new(Offloads::NONE),
            frame_max: AtomicUsize::new(1518),
            malformed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        let mut buf = vec![0; 256];
        // An unknown kind of super-frame, and what is shorter than a header.
        buf[65] = 0x77;
        buf[193] = 0x77;
        let read = |start, length| Placed { start, length, debt: Debt::NONE };
        let mut row = [read(0, 30), read(64, 64), read(128, 30), read(192, 4)];
        let count = close_ranks(&mut row, |it| offload.placed(&buf, it));
        assert_eq!(row[..count], [read(10, 20), read(138, 20)]);
        assert_eq!(offload.malformed.into_inner(), 2);
    }
}
