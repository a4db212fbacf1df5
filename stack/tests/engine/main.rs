//! The face of [`stack::Stack`] as a newcomer would use it, without a rig: two engines back to
//! back, and a stranger on the link who writes packets by hand.

mod addresses;
mod datagrams;
mod fragments;
mod interfaces;
mod ipv4;
mod ipv6;
mod limits;
mod link_local;
mod net;
mod path;
mod routers;
