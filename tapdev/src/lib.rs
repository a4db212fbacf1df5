//! Ethernet devices for Tapstack: a TAP, a cable in memory, a capture, a bad link.
//!
//! A [`Device`] moves whole Ethernet frames without blocking, and can be slept on while another
//! thread sends. Everything else is such a device, wraps one, or stands between two:
//!
//! - [`Tap`] is the real one, a cable to the Linux kernel. [`OpenError`] and
//!   [`Tap::link_state`] name the remedy when it cannot be had; [`Interface`] sets up the
//!   kernel's side; [`enter_own_namespaces`] makes a place for it without root.
//! - [`pair`] makes two devices that are connected to each other in memory.
//! - [`Tee`] wraps a device and records it for Wireshark, in a [`Capture`].
//! - [`Link`] delays, loses, reorders, repeats and damages frames, from a seed and in virtual
//!   time; a [`Relay`] runs one between two devices in real time.
//! - Who can put up with it is given frames that owe something: unfinished checksums, and 64 KiB of
//!   text that stand for many packets. [`Device::negotiate`] begins that; a [`Debt`] says what.
//! - [`NetworkNamespace`] opens devices where this program is not.
//!
//! What a driver does with an error is said by [`classify`]: above all, it stops at a device that
//! is gone.
//!
//! ```
//! use std::io::IoSlice;
//! use tapdev::{Device, FRAME_OVERHEAD, Fault, Wake, classify, pair};
//!
//! let (near, far) = pair(1500, 1000);
//! let header = [0xff; 14];
//! near.send(&[IoSlice::new(&header), IoSlice::new(b"hello")])?;
//!
//! // A driver: sleep, then read until there is nothing more.
//! assert_eq!(far.wait(None)?, Wake::Readable);
//! let mut buf = vec![0; far.mtu() + FRAME_OVERHEAD];
//! loop {
//!     match far.recv(&mut buf) {
//!         Ok(length) => assert_eq!(&buf[14..length], b"hello"),
//!         Err(error) if classify(&error) == Fault::Again => break,
//!         Err(error) => return Err(error),
//!     }
//! }
//!
//! // Another thread would end its next sleep so:
//! far.wake();
//! assert_eq!(far.wait(None)?, Wake::Woken);
//! # Ok::<(), std::io::Error>(())
//! ```

mod capture;
mod cores;
mod cut;
mod debt;
mod device;
mod interface;
mod link;
mod link_config;
mod mark;
mod namespace;
mod network;
mod offload;
mod open_error;
mod pair;
mod pcapng;
mod plain;
mod queues;
mod random;
mod relay;
mod sys;
mod tap;
mod tee;
mod wait;

pub use capture::Capture;
pub use cores::is_bound_to_one_core;
pub use debt::{Checksum, Debt, Offloads, Placed};
pub use device::{
    Device, ETHERNET_HEADER, FRAME_OVERHEAD, Fault, HEADROOM, ROW_ALIGN, Wake, classify,
};
pub use interface::{Interface, MAX_INTERFACE_NAME, configure, is_valid_name};
pub use link::{Link, LinkStats, MAX_FRAMES_IN_LINK};
pub use link_config::{
    GilbertElliott, LinkConfig, LinkConfigError, MAX_LINK_DELAY, QueueLimit, Reorder,
};
pub use namespace::{NamespaceError, Namespaces, enter_own_namespaces};
pub use network::{InterfaceDrops, NetworkNamespace};
pub use open_error::OpenError;
pub use pair::{PairEnd, pair};
pub use pcapng::{Direction, PcapngWriter};
pub use queues::Queues;
pub use relay::{Relay, RelayStats, Sight};
pub use tap::{LinkState, OffloadFaults, Tap, TapOptions};
pub use tee::Tee;
