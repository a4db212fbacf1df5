//! State exploration: the real stack against itself, over a channel that loses, duplicates and
//! reorders, with windows and buffers of two segments. Every state that can be reached within the
//! faults that a scenario allows is visited, once.
//!
//! | is it right that.. | asks |
//! |---|---|
//! | every byte is the one that was sent, and the end comes where it was said (G2) | `app` |
//! | nothing panics (G1), the books balance and nothing stays behind (G3, G5) | `search`, `node` |
//! | no frame breaks a rule (G7, G8) | the referee beside each host |
//! | SND.UNA is not past SND.NXT, timers run exactly when they are needed (G8) | `Stack::check_tcp` |
//! | no host spins (G9) | `node` |
//! | from every state there is a good end, if nothing goes wrong any more (G6) | `search` |

mod app;
mod fingerprint;
mod node;
mod scenario;
mod search;
mod shrink;

pub use node::Action;
pub use scenario::{Faults, Op, Reads, Sabotage, Scenario, Side, UNIT, all};
pub use search::{Failure, Report, explore};
pub use shrink::follow;
