//! A TAP: an Ethernet cable between this program and the kernel.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::device::{Device, Wake, check_frame};
use crate::interface::{Interface, is_valid_name};
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
}

impl TapOptions {
    /// The TAP `name` with the MTU that it has.
    pub fn named(name: &str) -> TapOptions {
        TapOptions { name: name.to_owned(), mtu: None }
    }
}

/// A TAP in plain mode. Dropping it detaches from the interface.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    waiter: Waiter,
    interface: Interface,
    mtu: usize,
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
        let (fd, name) = plain::open(&options.name)?;
        Tap::prepare(fd, &name, options.mtu).map_err(|(step, source)| OpenError::Step {
            name,
            step,
            source,
        })
    }

    /// Takes over a descriptor that is attached to a TAP, as a privileged parent may pass it.
    ///
    /// The interface may live in a network namespace that this process does not see: its MTU is
    /// then taken to be 1,500 bytes.
    ///
    /// # Errors
    /// [`OpenError::NotATap`] unless the descriptor is attached with `IFF_TAP | IFF_NO_PI`.
    pub fn from_fd(fd: OwnedFd) -> Result<Tap, OpenError> {
        let attached = attachment(fd.as_fd()).map_err(|source| OpenError::NotATap { source })?;
        Tap::prepare(fd, &attached, None).map_err(|(step, source)| OpenError::Step {
            name: attached,
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
    ) -> Result<Tap, (&'static str, io::Error)> {
        sys::set_close_on_exec(fd.as_fd()).map_err(|error| ("close-on-exec", error))?;
        sys::set_non_blocking(fd.as_fd()).map_err(|error| ("non-blocking mode", error))?;
        plain::forget_offloads(&fd);
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
        Ok(Tap { fd, waiter, interface, mtu })
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
        sys::read(self.fd.as_fd(), buf)
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let length = check_frame(parts)?;
        let fd = self.fd.as_fd();
        let written = match parts {
            [whole] => sys::write(fd, whole),
            _ if length <= SHORT_MAX => write_joined::<SHORT_MAX>(fd, parts, length),
            _ if length <= JOINED_MAX => write_joined::<JOINED_MAX>(fd, parts, length),
            _ => sys::writev(fd, parts),
        };
        written.map(|_whole_frame| ())
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        self.waiter.wait(self.fd.as_fd(), timeout)
    }

    fn wake(&self) {
        self.waiter.wake();
    }
}

/// Frames up to this length are joined before they are written: on a plain TAP gathering costs the
/// kernel more than the copy, which finds its bytes in the cache, costs us (a tenth of the rate of
/// a bulk transfer at MTU 1500).
const JOINED_MAX: usize = 2048;

/// Frames up to this length are joined in a smaller place, which takes less time to clear.
const SHORT_MAX: usize = 256;

/// Joins `parts`, which are `length` bytes and no more than `N`, and writes them.
fn write_joined<const N: usize>(
    fd: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    length: usize,
) -> io::Result<usize> {
    let mut joined = [0; N];
    let mut rest = &mut joined[..];
    for part in parts {
        let (place, after) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = after;
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

/// The name of the interface that a descriptor is attached to, if it is one of a plain TAP.
fn attachment(fd: BorrowedFd<'_>) -> io::Result<String> {
    let mut request = InterfaceRequest::new("")?;
    request.submit(fd, libc::TUNGETIFF)?;
    let kind = libc::IFF_TUN | libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    if i32::from(request.flags()) & kind != libc::IFF_TAP | libc::IFF_NO_PI {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(request.name())
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
