//! RFC 9293, Transmission Control Protocol.

mod acks;
mod closing;
mod failure;
mod header;
mod interfaces;
mod opening;
mod sending;
mod urgent;
mod windows;
