//! What tests share (feature `testing`): packet notation, and the naive twins of the engine's
//! containers.

pub mod naive;
pub mod notation;
pub mod options;
pub mod packet;
