//! What the demos share.

pub mod client;
pub mod clients;
pub mod command;
pub mod config;
pub mod date;
pub mod dialogue;
pub mod directory;
pub mod http;
pub mod human;
mod kernel_side;
mod lease;
pub mod options;
pub mod output;
pub mod outside;
pub mod patient;
mod plug;
pub mod program;
pub mod signals;
pub mod site;
pub mod tls;
pub mod units;
