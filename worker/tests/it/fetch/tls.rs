//! HTTPS and HTTP/2.

use super::*;
use axum::{extract::Request, routing::get as on_get, serve::Listener};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Listener that accepts TLS connections, and drops those whose handshake fails.
struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// Makes the certificate of `secure.example`, and an acceptor with it that offers these protocols.
pub(super) fn acceptor(protocols: &[&str]) -> (TlsAcceptor, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["secure.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    (TlsAcceptor::from(Arc::new(config)), cert.der().clone())
}

/// A server for `secure.example` that offers these protocols and answers with the one in use.
async fn secure(protocols: &[&str]) -> (u16, CertificateDer<'static>) {
    let (tls, certificate) = acceptor(protocols);
    let listener = TlsListener { tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls };
    let port = listener.local_addr().unwrap().port();
    let router =
        Router::new().route("/", on_get(async |request: Request| format!("{:?}", request.version())));
    tokio::spawn(async { axum::serve(listener, router).await });
    (port, certificate)
}

pub(super) fn fetcher_trusting(roots: Vec<CertificateDer<'static>>) -> Fetcher {
    let names = Names::default()
        .answering("secure.example", &[&["127.0.0.1"]])
        .answering("other.example", &[&["127.0.0.1"]]);
    Fetcher::new(FetchConfig { names: Some(Arc::new(names)), extra_roots: roots, ..config("127.0.0.1") })
        .unwrap()
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered() {
    for (offered, version, status_text) in
        [(&["h2", "http/1.1"][..], "HTTP/2.0", ""), (&["http/1.1"], "HTTP/1.1", "OK")]
    {
        let (port, certificate) = secure(offered).await;
        let entry = format!("secure.example:{port}");
        let fetcher = fetcher_trusting(vec![certificate]);
        let answer = response(&fetcher, get(format!("https://{entry}/")), &policy(&[entry])).await;
        assert_eq!((answer.body.as_str(), answer.status_text.as_str()), (version, status_text));
    }
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_name_the_host() {
    let (port, certificate) = secure(&["h2"]).await;
    let message = async |fetcher: Fetcher, host: &str| {
        let entry = format!("{host}:{port}");
        refusal(&fetcher, get(format!("https://{entry}/")), &policy(&[entry])).await
    };
    let unknown = message(fetcher_trusting(Vec::new()), "secure.example").await;
    assert_eq!(
        unknown,
        format!("Request to secure.example:{port} failed: TLS: invalid peer certificate: UnknownIssuer")
    );
    let foreign = message(fetcher_trusting(vec![certificate]), "other.example").await;
    assert!(
        foreign
            .starts_with(&format!("Request to other.example:{port} failed: TLS: invalid peer certificate")),
        "{foreign}"
    );
}
