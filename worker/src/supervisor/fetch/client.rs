//! The HTTP clients, one per lane.
//!
//! Two, because a connection that an exception allowed must not serve a request that the exception doesn't
//! cover: the resolver sees names, not ports. Each has its own pool.

use super::{FetchConfig, dns::Guard};
use crate::supervisor::egress::{Egress, Lane};
use reqwest::{
    Client,
    header::{ACCEPT, HeaderMap, HeaderValue},
    redirect,
};
use rustls::ClientConfig;
use rustls_platform_verifier::Verifier;
use std::{sync::Arc, time::Duration};

/// How long a connection waits for its next request. Servers close theirs after 15 s (Apache: 5) to 75 s.
const IDLE: Duration = Duration::from_secs(15);
const IDLE_PER_HOST: usize = 16;
/// Lines of one response head.
const RESPONSE_HEADERS: usize = 256;

/// Why a [`super::Fetcher`] can't be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client can't be set up: {0}")]
    Client(#[from] reqwest::Error),
}

pub(super) struct Clients {
    public: Client,
    excepted: Client,
}

impl Clients {
    pub(super) fn new(config: &FetchConfig, egress: &Arc<Egress>) -> Result<Self, StartError> {
        let tls = tls(config)?;
        let client = |lane| {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Guard {
                    lane,
                    egress: egress.clone(),
                    names: config.names.clone(),
                    timeout: config.dns_timeout,
                })
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .no_proxy()
                .user_agent(concat!("RunnerCtl/", env!("CARGO_PKG_VERSION")))
                .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("*/*"))]))
                .connect_timeout(config.connect_timeout)
                .tcp_nodelay(true)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .http1_max_headers(RESPONSE_HEADERS)
                .http2_max_header_list_size(super::headers::RESPONSE_BYTES)
                .http2_adaptive_window(true)
                .build()
        };
        Ok(Self { public: client(Lane::Public)?, excepted: client(Lane::Excepted)? })
    }

    pub(super) fn of(&self, lane: Lane) -> &Client {
        match lane {
            Lane::Public => &self.public,
            Lane::Excepted => &self.excepted,
        }
    }
}

/// The system's roots and the extra ones, HTTP/2 preferred.
fn tls(config: &FetchConfig) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(config.extra_roots.iter().cloned(), provider.clone())?;
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous() // rustls's word for every verifier that is not its own
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}
