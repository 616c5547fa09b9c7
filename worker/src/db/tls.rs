//! `DATABASE_URL` with libpq's TLS modes. The api supports the same ones.

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{path::PathBuf, sync::Arc};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

/// Reason why `DATABASE_URL` can't be used. Never quotes the URL, which contains a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUrl {
    #[error("DATABASE_URL is not a URL")]
    NotAUrl,
    #[error("DATABASE_URL: sslmode must be disable, prefer, require, verify-ca or verify-full")]
    UnknownMode,
    #[error("DATABASE_URL is refused: {0}")]
    Refused(tokio_postgres::Error),
    #[error("DATABASE_URL: sslrootcert can't be read: {0}")]
    RootCertificate(String),
    #[error("DATABASE_URL: TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Verification of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verification {
    /// `prefer` and `require` without `sslrootcert`: encrypted, but to any server, as libpq does.
    None,
    /// Verified against the system's roots, or those of a file. The host name is verified with `verify-ca` as well.
    Roots(Option<PathBuf>),
}

/// Address of the database, and the TLS configuration for it.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("hosts", &self.config.get_hosts()).finish_non_exhaustive()
    }
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let (url, mode, verification) = split_tls_parameters(text)?;
        let mut config: tokio_postgres::Config = url.as_str().parse().map_err(InvalidUrl::Refused)?;
        config.ssl_mode(mode);
        Ok(Self { config, tls: MakeRustlsConnect::new(client_config(&verification)?) })
    }
}

/// Takes the TLS parameters, which tokio-postgres does not know, out of the URL.
fn split_tls_parameters(text: &str) -> Result<(Url, SslMode, Verification), InvalidUrl> {
    let mut url = Url::parse(text).map_err(|_| InvalidUrl::NotAUrl)?;
    let (mut mode, mut root) = ("prefer".to_owned(), None);
    let mut others = Vec::new();
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" | "ssl-mode" => mode = value.into_owned(),
            "sslrootcert" | "ssl-root-cert" => root = Some(PathBuf::from(value.into_owned())),
            _ => others.push((name.into_owned(), value.into_owned())),
        }
    }
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    let (mode, verification) = match mode.as_str() {
        "disable" => (SslMode::Disable, Verification::None),
        "allow" | "prefer" => (SslMode::Prefer, Verification::None),
        "require" if root.is_none() => (SslMode::Require, Verification::None),
        "require" | "verify-ca" | "verify-full" => (SslMode::Require, Verification::Roots(root)),
        _ => return Err(InvalidUrl::UnknownMode),
    };
    Ok((url, mode, verification))
}

fn client_config(verification: &Verification) -> Result<ClientConfig, InvalidUrl> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match verification {
        Verification::None => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        }
        Verification::Roots(None) => builder.with_platform_verifier()?,
        Verification::Roots(Some(path)) => {
            let unreadable =
                |error: rustls::pki_types::pem::Error| InvalidUrl::RootCertificate(error.to_string());
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                roots.add(certificate.map_err(unreadable)?)?;
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(builder.with_no_client_auth())
}

/// Accepts any certificate, but still verifies that the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_libpq() {
        let read = |mode: &str| {
            let (_, mode, verification) =
                split_tls_parameters(&format!("postgres://u:p@db/runnerctl{mode}")).expect(mode);
            (mode, verification)
        };
        assert_eq!(read(""), (SslMode::Prefer, Verification::None));
        assert_eq!(read("?sslmode=disable"), (SslMode::Disable, Verification::None));
        assert_eq!(read("?sslmode=require"), (SslMode::Require, Verification::None));
        assert_eq!(read("?sslmode=verify-full"), (SslMode::Require, Verification::Roots(None)));
        let roots = Verification::Roots(Some(PathBuf::from("/ca.pem")));
        assert_eq!(read("?sslmode=verify-ca&sslrootcert=/ca.pem"), (SslMode::Require, roots));
    }

    #[test]
    fn url_parameters_other_than_ssl_are_kept() {
        let (url, ..) = split_tls_parameters("postgres://db/runnerctl?host=/run/postgresql&sslmode=disable")
            .expect("a URL");
        assert_eq!(url.query(), Some("host=%2Frun%2Fpostgresql"));
    }

    #[test]
    fn an_invalid_url_is_reported_without_its_password() {
        for url in [
            "postgres://u:hunter2@db:port/",
            "postgres://u:hunter2@db/?sslmode=maybe",
            "postgres://u:hunter2@db/?x=1",
        ] {
            let error = Target::parse(url).expect_err(url);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_missing_root_certificate_is_an_error_at_start() {
        let target = Target::parse("postgres://db/runnerctl?sslmode=verify-full&sslrootcert=/nowhere/ca.pem");
        assert!(matches!(target, Err(InvalidUrl::RootCertificate(_))));
    }
}
