//! The options of servers that can speak TLS.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::Identity;
use crate::program::Program;

/// Whether a server encrypts, and who it says it is.
#[derive(Args, Clone, Debug)]
pub struct TlsOptions {
    /// Encrypt. Without --cert with a certificate that is made at the start and that nobody vouches
    /// for: clients know it by its fingerprint.
    #[arg(long)]
    tls: bool,

    /// With --tls: the certificate, and those between it and one that clients trust, in a PEM file.
    #[arg(long, value_name = "FILE", requires_all = ["tls", "key"])]
    cert: Option<PathBuf>,

    /// The private key of --cert, in a PEM file.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl TlsOptions {
    /// With --tls, who the server is: as the options say, or somebody new with the addresses of
    /// `program`.
    ///
    /// # Errors
    /// Those of [`Identity::load`].
    pub fn identity(&self, program: &Program) -> Result<Option<Identity>> {
        let identity = match (&self.cert, &self.key) {
            _ if !self.tls => return Ok(None),
            (Some(cert), Some(key)) => Identity::load(cert, key),
            _ => Identity::make(program.addresses().map(|address| address.to_string()).collect()),
        };
        identity.map(Some)
    }
}
