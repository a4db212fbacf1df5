//! What servers of the web have in common: how their pages look, the page about themselves, and
//! receipts for uploads.

use std::fmt::Display;
use std::net::SocketAddr;

use crate::http::Scheme;
use crate::program::Program;
use crate::tls::Identity;

pub mod page;
mod receipt;
mod status;

pub use receipt::Receipt;
pub use status::Served;

/// Says under which URLs the server is found, `what` that is, and how to know it.
pub fn announce(program: &Program, port: u16, identity: Option<&Identity>, what: impl Display) {
    let scheme = if identity.is_some() { Scheme::Https } else { Scheme::Http };
    for address in program.addresses() {
        program.say(&format!("{scheme}://{}/ is {what}", SocketAddr::new(address, port)));
    }
    if let Some(identity) = identity {
        program.say(&format!("its certificate's SHA-256 is {}", identity.fingerprint()));
    }
}
