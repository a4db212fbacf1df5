//! What tests share (feature `testing`): packet notation, the one-connection rig, and the naive
//! twins of the engine's containers; and the engine's parts, for benches.

pub mod naive;
pub mod notation;
pub mod options;
pub mod packet;
pub mod parts;
pub mod rig;
pub mod trace;
pub mod translate;
