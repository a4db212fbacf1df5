//! Bytes: what stands in a frame and where. Knows no protocol rules.

pub(crate) mod address;
pub(crate) mod frame;
