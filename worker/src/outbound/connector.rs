//! New connections: TCP, TLS where the URL asks for it, and the bounds of [`super::stream`] on top.

use super::stream::CountedStream;
use futures_util::future::BoxFuture;
use hyper::http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::CertificateDer};
use rustls_platform_verifier::Verifier;
use std::{
    error::Error,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

/// Time between two probes of a silent connection. With [`KEEPALIVE_PROBES`] a dead server is noticed after a minute.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Number of unanswered probes that end a connection.
const KEEPALIVE_PROBES: u32 = 3;
/// Limits the time that sent bytes may stay unacknowledged.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(30);

type BoxError = Box<dyn Error + Send + Sync>;
/// The connection that hyper reads from.
pub(super) type Io = TokioIo<CountedStream<TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>>>;

/// An error of a name look-up, TCP and TLS handshake that together did not end in time.
#[derive(Debug, thiserror::Error)]
#[error("connecting timed out")]
pub(crate) struct ConnectTimeout;

/// Resolves names to addresses. Implemented by every `tower` service of the right types.
pub(crate) trait Resolver:
    Service<Name, Response: Iterator<Item = SocketAddr>, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<R> Resolver for R where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Makes connections within a time limit.
#[derive(Clone)]
pub(super) struct Connector<R> {
    https: HttpsConnector<HttpConnector<R>>,
    timeout: Duration,
}

impl<R: Resolver> Connector<R> {
    pub(super) fn new(resolver: R, tls: ClientConfig, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT));
        Self { https: HttpsConnector::from((tcp, tls)), timeout }
    }
}

impl<R: Resolver> Service<Uri> for Connector<R> {
    type Response = Io;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Io, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.timeout, self.https.call(uri));
        Box::pin(async move {
            let connection = connecting.await.map_err(|_elapsed| ConnectTimeout)??;
            Ok(TokioIo::new(CountedStream::new(TokioIo::new(connection))))
        })
    }
}

/// Returns a configuration that trusts the system's roots and the extra ones, and prefers HTTP/2.
pub(crate) fn tls(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra_roots.iter().cloned(), provider.clone())?;
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous() // rustls's name for every verifier that is not its own
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}
