//! The simulated world and what stands around it: a referee on the wire who believes nobody, a
//! second TCP of other hands as the peer, and a literal transcription of the RFC to judge by.

pub mod intervals;
pub mod random;
pub mod referee;
