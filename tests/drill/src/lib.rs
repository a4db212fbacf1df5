//! The packet-script door: a shared object that packetdrill opens as the stack under test.
//!
//! ```text
//! packetdrill --so_filename=/abs/libtapstack_packetdrill.so \
//!     --so_flags="local=192.0.2.2 remote=192.0.2.1" \
//!     --local_ip=192.0.2.2 --remote_ip=192.0.2.1 script.pkt
//! ```
//!
//! It exports [`packetdrill_interface_init`](abi::packetdrill_interface_init), which fills in a
//! table of functions: socket calls, a clock, and a wire on which whole IP packets cross.
//! **Time is virtual**: it moves when packetdrill sleeps, reads the clock or waits for a packet,
//! and never by itself. Scripts of hours run in milliseconds, and every run is the same. Why:
//! `docs/decisions/0010-virtual-time-for-scripts.md`.
//!
//! | file | is |
//! |---|---|
//! | `abi` | the table, and each C function: pointers in, slices and integers on |
//! | `flags` | the string behind `--so_flags` |
//! | `world` | one engine, its clock, its wire |
//! | `door` | who may move the clock, and how a call blocks |
//! | `table`, `transfer`, `options`, `poll`, `pipe` | the socket calls |
//! | `address`, `kernel` | C's addresses, the kernel's descriptors |

pub mod abi;
mod address;
mod door;
mod flags;
mod kernel;
mod options;
mod pipe;
mod poll;
mod table;
mod transfer;
mod wire;
mod world;

pub use flags::{Flags, FlagsError};
