//! The simulated world and what stands around it: a referee on the wire who believes nobody, a
//! second TCP of other hands as the peer, and a literal transcription of the RFC to judge by.
//! For the tests against Linux: namespaces with a TAP in them, hosts around a bad link, and a
//! stream that shows mistakes.

mod card;
pub mod crowd;
pub mod draw;
pub mod explore;
pub mod fuzz;
pub mod intervals;
pub mod lab;
pub mod netns;
pub mod path;
pub mod pattern;
pub mod random;
pub mod referee;
pub mod rfc9293;
pub mod world;

/// The example in the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The commit that was built, for reports.
pub fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".into())
}
