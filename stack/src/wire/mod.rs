//! Bytes: what stands in a frame and where. Knows no protocol rules.

pub(crate) mod address;
pub(crate) mod checksum;
pub(crate) mod ecn;
pub(crate) mod emit;
pub(crate) mod extensions;
pub(crate) mod frame;
pub(crate) mod interface;
pub(crate) mod options;
pub(crate) mod parse;
