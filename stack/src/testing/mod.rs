//! What tests share (feature `testing`): the naive twins of the engine's containers.

pub mod naive;
