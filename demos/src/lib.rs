//! What the demos share.

pub mod client;
pub mod config;
pub mod http;
pub mod human;
mod kernel_side;
mod lease;
pub mod options;
pub mod outside;
mod plug;
pub mod program;
pub mod units;
