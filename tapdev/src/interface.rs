//! The kernel's side of a TAP: its addresses, MTU and state, as `ip link` and `ip addr` set them.

use std::ffi::c_ulong;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

use crate::sys::{self, InterfaceRequest};

/// The longest name of an interface, bytes.
pub const MAX_INTERFACE_NAME: usize = libc::IFNAMSIZ - 1;

/// A network interface of the kernel.
///
/// It is looked up by name at every call, in the network namespace of the thread that made this
/// value. Reading needs no privilege; setting needs `CAP_NET_ADMIN` in that namespace.
#[derive(Debug)]
pub struct Interface {
    name: String,
    control: OwnedFd,
}

impl Interface {
    /// The interface called `name` in this thread's network namespace. It need not exist yet.
    ///
    /// # Errors
    /// `InvalidInput` if [`is_valid_name`] refuses the name.
    pub fn named(name: &str) -> io::Result<Interface> {
        if !is_valid_name(name) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let control = sys::control_socket(libc::AF_INET)?;
        Ok(Interface { name: name.to_owned(), control })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The largest IP packet that the kernel sends through it, bytes.
    ///
    /// # Errors
    /// `ENODEV` if there is no such interface.
    pub fn mtu(&self) -> io::Result<usize> {
        let mtu = self.get(libc::SIOCGIFMTU)?.integer();
        usize::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Sets the MTU in bytes: for a TAP, 68 to 65,521.
    ///
    /// # Errors
    /// `EINVAL` outside that range, `EPERM` without the privilege.
    pub fn set_mtu(&self, mtu: usize) -> io::Result<()> {
        let mtu = mtu.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        self.set(libc::SIOCSIFMTU, |request| request.set_integer(mtu))
    }

    /// The kernel's own Ethernet address on it.
    ///
    /// # Errors
    /// `ENODEV` if there is no such interface.
    pub fn hardware_address(&self) -> io::Result<[u8; 6]> {
        Ok(self.get(libc::SIOCGIFHWADDR)?.ethernet())
    }

    /// Sets the kernel's own Ethernet address, which must not be the stack's.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` for a group address or zero, `EPERM` without the privilege.
    pub fn set_hardware_address(&self, address: [u8; 6]) -> io::Result<()> {
        self.set(libc::SIOCSIFHWADDR, |request| request.set_ethernet(address))
    }

    /// Whether it is administratively up (`ip link set NAME up`).
    ///
    /// # Errors
    /// `ENODEV` if there is no such interface.
    pub fn is_up(&self) -> io::Result<bool> {
        let flags = self.get(libc::SIOCGIFFLAGS)?.flags();
        Ok(i32::from(flags) & libc::IFF_UP != 0)
    }

    /// Whether the kernel sends through it. It begins some milliseconds after the interface is up
    /// and a program is attached, and until then what it sends is lost without a trace.
    ///
    /// # Errors
    /// `ENODEV` if there is no such interface.
    pub fn is_running(&self) -> io::Result<bool> {
        let flags = self.get(libc::SIOCGIFFLAGS)?.flags();
        Ok(i32::from(flags) & libc::IFF_RUNNING != 0)
    }

    /// Brings it up.
    ///
    /// # Errors
    /// `EPERM` without the privilege.
    pub fn bring_up(&self) -> io::Result<()> {
        let flags = self.get(libc::SIOCGIFFLAGS)?.flags() | libc::IFF_UP as i16;
        self.set(libc::SIOCSIFFLAGS, |request| request.set_flags(flags))
    }

    /// Takes it down.
    ///
    /// # Errors
    /// `EPERM` without the privilege.
    pub fn bring_down(&self) -> io::Result<()> {
        let flags = self.get(libc::SIOCGIFFLAGS)?.flags() & !(libc::IFF_UP as i16);
        self.set(libc::SIOCSIFFLAGS, |request| request.set_flags(flags))
    }

    /// Sets its IPv4 address and prefix length (0 to 32), in place of the one it had. Once it is
    /// up, the kernel routes the prefix to it.
    ///
    /// # Errors
    /// `InvalidInput` for a longer prefix, `EPERM` without the privilege.
    pub fn set_ipv4(&self, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let mask = ipv4_mask(prefix).ok_or(io::ErrorKind::InvalidInput)?;
        self.set(libc::SIOCSIFADDR, |request| request.set_ipv4(address))?;
        self.set(libc::SIOCSIFNETMASK, |request| request.set_ipv4(mask))
    }

    /// Adds an IPv6 address with its prefix length (0 to 128). The calling thread must be in the
    /// interface's network namespace.
    ///
    /// The kernel first makes sure that no other host has it (RFC 4862 §5.4), and uses it about a
    /// second after the interface came up.
    ///
    /// # Errors
    /// `EINVAL` for a longer prefix, `EEXIST` if it has the address, `EPERM` without the
    /// privilege.
    pub fn add_ipv6(&self, address: Ipv6Addr, prefix: u8) -> io::Result<()> {
        let index = self.get(libc::SIOCGIFINDEX)?.integer();
        let control = sys::control_socket(libc::AF_INET6)?;
        sys::add_ipv6(control.as_fd(), index, address, prefix)
    }

    fn get(&self, what: c_ulong) -> io::Result<InterfaceRequest> {
        let mut request = InterfaceRequest::new(&self.name)?;
        request.submit(self.control.as_fd(), what)?;
        Ok(request)
    }

    fn set(&self, what: c_ulong, fill: impl FnOnce(&mut InterfaceRequest)) -> io::Result<()> {
        let mut request = InterfaceRequest::new(&self.name)?;
        fill(&mut request);
        request.submit(self.control.as_fd(), what)
    }
}

/// Gives the interface `name` an IPv4 address and prefix length, if there is one, and brings it
/// up.
///
/// # Errors
/// Those of [`Interface::set_ipv4`] and [`Interface::bring_up`].
pub fn configure(name: &str, address: Option<(Ipv4Addr, u8)>) -> io::Result<()> {
    let interface = Interface::named(name)?;
    if let Some((address, prefix)) = address {
        interface.set_ipv4(address, prefix)?;
    }
    interface.bring_up()
}

/// Whether the kernel takes `name` for an interface: 1 to 15 bytes, not `.` or `..`, without
/// slash, colon, white space or NUL (`dev_valid_name` in Linux).
pub fn is_valid_name(name: &str) -> bool {
    let fits = (1..=MAX_INTERFACE_NAME).contains(&name.len());
    let refused = |c: char| matches!(c, '/' | ':' | '\0') || c.is_ascii_whitespace();
    fits && name != "." && name != ".." && !name.contains(refused)
}

fn ipv4_mask(prefix: u8) -> Option<Ipv4Addr> {
    let host_bits = 32_u32.checked_sub(prefix.into())?;
    Some(Ipv4Addr::from(u32::MAX.checked_shl(host_bits).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_the_kernel_does() {
        for good in ["tap0", "a", "exactly15bytes_", "tst-1.2"] {
            assert!(is_valid_name(good), "{good}");
        }
        for bad in ["", ".", "..", "sixteen-bytes-xx", "a/b", "a b", "a:b", "a\0"] {
            assert!(!is_valid_name(bad), "{bad}");
        }
    }

    #[test]
    fn masks_cover_every_prefix() {
        assert_eq!(ipv4_mask(0), Some(Ipv4Addr::UNSPECIFIED));
        assert_eq!(ipv4_mask(24), Some(Ipv4Addr::new(255, 255, 255, 0)));
        assert_eq!(ipv4_mask(32), Some(Ipv4Addr::BROADCAST));
        assert_eq!(ipv4_mask(33), None);
    }

    #[test]
    fn the_loopback_answers() {
        let lo = Interface::named("lo").unwrap();
        assert!(lo.mtu().unwrap() >= 1500);
        assert_eq!(lo.hardware_address().unwrap(), [0; 6]);
        let none = Interface::named("no-such-if").unwrap();
        assert_eq!(none.mtu().unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }
}
