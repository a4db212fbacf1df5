//! The source-reading test: it holds the workspace to the laws of the house.
//!
//! Each rule is a function from sources to findings, with a test that runs it over the workspace
//! and a test that shows it a bad snippet, so that no rule can quietly stop finding anything.

mod layers;
mod ledger;
mod panics;
mod scars;
mod size;
mod source;
mod text;
mod tokens;
