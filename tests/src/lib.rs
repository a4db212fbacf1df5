//! The simulated world and what stands around it: a referee on the wire who believes nobody, a
//! second TCP of other hands as the peer, and a literal transcription of the RFC to judge by.
//! For the tests against Linux: namespaces with a TAP in them, and a stream that shows mistakes.

pub mod intervals;
pub mod netns;
pub mod pattern;
pub mod random;
pub mod referee;
