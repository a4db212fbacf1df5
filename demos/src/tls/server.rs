//! Who a server is, and how it shows that.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, crypto};

use super::fingerprint;

/// A certificate, those of who vouch for it, and its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// The identity in two PEM files.
    ///
    /// # Errors
    /// A file cannot be read, or does not have what it should.
    pub fn load(cert: &Path, key: &Path) -> Result<Identity> {
        let chain = certificates(cert)?;
        let wrong = "has no private key in PEM, or one with a password";
        let key = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|error| anyhow!("{}: {wrong}: {error}", key.display()))?;
        Ok(Identity { chain, key })
    }

    /// A new one, which nobody vouches for, of a server with these names and addresses.
    ///
    /// # Errors
    /// One of them is neither.
    pub fn make(names: Vec<String>) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "Tapstack");
        let certificate = params.self_signed(&key)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Identity { chain: vec![certificate.into()], key })
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> String {
        self.chain.first().map(fingerprint).unwrap_or_default()
    }

    /// How to speak TLS as this server, and in it one of `protocols`, the first one rather.
    ///
    /// # Errors
    /// The key is not that of the certificate, or neither is understood.
    pub fn config(self, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>> {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => anyhow!("the key is another certificate's"),
                error => anyhow!(error),
            })?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// The certificates in a PEM file: one at least.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let found = found.with_context(|| format!("{}: is not sound PEM", path.display()))?;
    let hint = "-----BEGIN CERTIFICATE----- is missing";
    ensure!(!found.is_empty(), "{}: has no certificate in PEM: {hint}", path.display());
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}
