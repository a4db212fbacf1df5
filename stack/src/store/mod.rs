//! The containers of the engine: where objects, ready lists, deadlines and text live.
//!
//! | file    | what                                                  | cost                       |
//! |---------|-------------------------------------------------------|----------------------------|
//! | `arena` | objects named by an index and a generation            | O(1)                       |
//! | `chain` | a sequence, searched, and added to in the middle      | O(log n), and few move     |
//! | `queue` | FIFO lists threaded through the objects of an arena   | O(1), no memory of its own |
//! | `ring`  | bytes; text out of order is written ahead of the tail | O(bytes)                   |
//! | `text`  | text to be sent: in a ring, or shared with its writer | O(bytes), O(log n) to find |
//! | `wheel` | deadlines; moving one later is a store                | O(1) amortised             |
//!
//! They know nothing of the network and nothing of each other, but that a queue runs through an
//! arena, and a text has a ring. Each has a slow, obvious twin, in `testing/naive.rs` or of the
//! standard library's, and a property that compares them.

pub(crate) mod arena;
pub(crate) mod chain;
pub(crate) mod queue;
pub(crate) mod ring;
pub(crate) mod text;
pub(crate) mod wheel;
