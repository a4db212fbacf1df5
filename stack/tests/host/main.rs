//! The shell over two hosts on a cable in memory. Every test runs under a watchdog: a lost wake-up
//! or a deadlock is a failure, never a test that hangs.
#![cfg(feature = "host")]

mod bsd;
mod control;
mod dhcp;
mod fast_open;
mod faults;
mod forwarder;
mod interfaces;
mod ipv6;
mod offload;
mod ping;
mod poller;
mod resolver;
mod rig;
mod shards;
mod shutdown;
mod stress;
mod tcp;
mod together;
mod udp;
