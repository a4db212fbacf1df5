//! A TCP/IP host with no wires attached.
#![forbid(unsafe_code)]
