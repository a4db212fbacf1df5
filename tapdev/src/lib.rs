//! Ethernet devices: TAP interfaces and in-memory pairs, behind one trait.
//!
//! A [`Device`] moves whole Ethernet frames without blocking and can be slept on. [`Tap`] is the
//! real one, a cable to the Linux kernel; [`pair`] makes two that are connected to each other in
//! memory:
//!
//! ```
//! use std::io::IoSlice;
//! use tapdev::{Device, FRAME_OVERHEAD, Wake, pair};
//!
//! let (near, far) = pair(1500, 1000);
//! let header = [0xff; 14];
//! near.send(&[IoSlice::new(&header), IoSlice::new(b"hello")])?;
//!
//! assert_eq!(far.wait(None)?, Wake::Readable);
//! let mut buf = vec![0; far.mtu() + FRAME_OVERHEAD];
//! let length = far.recv(&mut buf)?;
//! assert_eq!(&buf[14..length], b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```

mod device;
mod interface;
mod link;
mod link_config;
mod namespace;
mod open_error;
mod pair;
mod pcapng;
mod plain;
mod random;
mod sys;
mod tap;
mod tee;
mod wait;

pub use device::{Device, ETHERNET_HEADER, FRAME_OVERHEAD, Fault, Wake, classify};
pub use interface::{Interface, MAX_INTERFACE_NAME, configure, is_valid_name};
pub use link::{Link, LinkStats, MAX_FRAMES_IN_LINK};
pub use link_config::{
    GilbertElliott, LinkConfig, LinkConfigError, MAX_LINK_DELAY, QueueLimit, Reorder,
};
pub use namespace::{NamespaceError, Namespaces, enter_own_namespaces};
pub use open_error::OpenError;
pub use pair::{PairEnd, pair};
pub use pcapng::{Direction, PcapngWriter};
pub use tap::{LinkState, Tap, TapOptions};
pub use tee::Tee;
