//! Random and mutated frames into a stack whose sockets are in every state.
//!
//! A [`Target`](target::Target) keeps a stack busy: it opens, accepts, writes, reads and closes,
//! and it remembers of each connection what a peer would know, so that most of the frames that
//! [`forge`] makes are nearly right and get deep into the stack before they go wrong.

pub mod forge;
mod forge6;
pub mod lattice;
pub mod mutate;
pub mod target;
