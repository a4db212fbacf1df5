//! Whom a client believes, and what it says when it does not.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, Connection};
use rustls::{DigitallySignedStruct, InvalidMessage, RootCertStore, SignatureScheme};

use super::HTTP_1;
use super::server::certificates;

/// Whose word it takes that a server is who it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that the system trusts.
    System,
    /// Those in this PEM file, and nobody else.
    Only(PathBuf),
    /// Nobody's: whoever answers is the server.
    Anyone,
}

/// A session with the server that is called `name`, a name or an address.
///
/// # Errors
/// There is nobody to trust, or the name is no server's.
pub fn client(trust: &Trust, name: &str) -> Result<Connection> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match trust {
        Trust::System => builder.with_root_certificates(system()?),
        Trust::Only(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                let bad = || format!("{}: a certificate is not sound", path.display());
                roots.add(certificate).with_context(bad)?;
            }
            builder.with_root_certificates(roots)
        }
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous::new(&provider))),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    let name = ServerName::try_from(name.to_owned())?;
    Ok(ClientConnection::new(Arc::new(config), name)?.into())
}

/// Those that the system trusts.
fn system() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Some of a system's may be older than the rules that rustls goes by.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let hint = "install ca-certificates, or name a file with --cacert";
    ensure!(!roots.is_empty(), "this system trusts nobody (no certificates found): {hint}");
    Ok(roots)
}

/// The error of a handshake with `server`, for a person.
pub fn explain(error: &io::Error, server: &str) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let what = match tls {
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it closed the connection instead of agreeing on keys".to_owned()
        }
        None => format!("{error}"),
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it does not speak TLS on this port; http:// may do".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(why)) => certificate(why),
        Some(error) => format!("{error}"),
    };
    format!("{server}: {what}")
}

fn certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "nobody trusted here vouches for its certificate: name who does with --cacert FILE, \
             or take whoever answers with --insecure"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| plain(name)).collect();
            format!("its certificate is that of {}", names.join(", "))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired, or this clock is wrong".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet, or this clock is wrong".to_owned()
        }
        // As `openssl req -x509` makes them unless it is told otherwise.
        CertificateError::Other(why) if format!("{why:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is one to sign others with: make one with basicConstraints=CA:FALSE, \
             or take whoever answers with --insecure"
                .to_owned()
        }
        why => format!("its certificate: {why}"),
    }
}

/// The name in `DnsName("name")`, as rustls shows it.
fn plain(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, rest)| rest.trim_matches(['"', ')']))
}

/// Takes every certificate. That the server has its key is still checked.
#[derive(Debug)]
struct Credulous(WebPkiSupportedAlgorithms);

impl Credulous {
    fn new(provider: &CryptoProvider) -> Credulous {
        Credulous(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
