//! What the demos share.

pub mod http;
