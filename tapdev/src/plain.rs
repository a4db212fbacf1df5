//! Opening a TAP in plain mode: whole, ordinary Ethernet frames, one a read and one a write.

use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

use crate::open_error::OpenError;
use crate::sys;

/// Attaches to the TAP `name`, making it if it does not exist. An empty name lets the kernel
/// choose one. Returns the descriptor and the interface's real name.
pub(crate) fn open(name: &str) -> Result<(OwnedFd, String), OpenError> {
    let iface = tun_tap::Iface::without_packet_info(name, tun_tap::Mode::Tap)
        .map_err(|error| OpenError::attaching(name, error))?;
    let name = iface.name().to_owned();
    Ok((sys::adopt(iface.into_raw_fd()), name))
}

/// Turns off what an earlier program may have left on.
///
/// A persistent TAP remembers the offloads of its last user even when it is opened without
/// `virtio_net_hdr`: frames of 64 KiB with unfinished checksums would arrive.
pub(crate) fn forget_offloads(fd: &OwnedFd) {
    if let Err(error) = sys::set_offload(fd.as_fd(), 0) {
        log::debug!("offloads not reset: {error}");
    }
}
