//! The imperative shell: a [`Host`] runs a [`Stack`](crate::Stack) over a device, and has the
//! sockets that programs use.
//!
//! [`TcpListener`], [`TcpStream`] and [`UdpSocket`] have the shape of their namesakes in
//! `std::net`, and [`futures`] has them for async programs; [`Poller`] waits for many of them;
//! [`Resolver`] finds the addresses of names; [`Bsd`] has integers for sockets and error numbers
//! for errors. There is no thread between a program and its packets: a thread that waits drives the
//! stack itself (`shard.rs` tells how), and one that sends writes to the device.
//!
//! Two hosts on a cable, in memory:
//!
//! ```
//! use std::io::{Read, Write};
//! use stack::host::{Host, TcpListener, TcpStream};
//! use stack::{Config, Mac};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (left, right) = tapdev::pair(1500, 1000);
//! let mut config = Config::new(Mac([2, 0, 0, 0, 0, 1]));
//! config.addresses = vec!["192.0.2.1/24".parse()?];
//! let server = Host::new(config, left)?;
//! let mut config = Config::new(Mac([2, 0, 0, 0, 0, 2]));
//! config.addresses = vec!["192.0.2.2/24".parse()?];
//! let client = Host::new(config, right)?;
//!
//! let listener = TcpListener::bind(&server, "192.0.2.1:7")?;
//! let mut near = TcpStream::connect(&client, "192.0.2.1:7")?;
//! let (mut far, _) = listener.accept()?;
//! near.write_all(b"hello")?;
//! let mut text = [0; 5];
//! far.read_exact(&mut text)?;
//! assert_eq!(&text, b"hello");
//! # Ok(())
//! # }
//! ```

mod addresses;
mod batch;
mod block;
pub mod bsd;
mod clock;
mod dhcp;
mod dhcpv6;
mod drive;
mod echo;
mod errand;
mod errno;
mod forwarder;
mod further;
pub mod futures;
mod inform;
mod interest;
mod keeper;
mod listener;
mod modes;
mod outbox;
mod park;
mod passing;
mod poller;
mod quota;
mod reactor;
mod ready;
mod resolver;
mod runtime;
mod seat;
mod shard;
mod shards;
mod slots;
mod sockaddr;
mod stop;
mod sync;
mod task;
mod tcp;
mod tcp_socket;
mod together;
mod udp;
mod vigil;
mod watch;

pub use bsd::Bsd;
pub use dhcp::{DhcpClient, DhcpOptions, WithoutServer};
pub use dhcpv6::Dhcpv6Client;
pub use echo::EchoSocket;
pub use errno::Errno;
pub use forwarder::{ForwardRequest, Forwarder};
pub use inform::dhcp_inform;
pub use interest::{Interest, PollEvent, Token};
pub use listener::{Incoming, TcpListener};
pub use poller::{Events, PollWaker, Poller, Source};
pub use resolver::Resolver;
pub use runtime::{Host, HostBuilder};
pub use shard::HostStats;
pub use shards::{Shards, ShardsListener};
pub use sockaddr::ToSocketAddrs;
pub use tcp::TcpStream;
pub use udp::UdpSocket;
