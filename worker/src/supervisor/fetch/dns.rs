//! From names to addresses that may be connected to.
//!
//! Invariant: the connector dials only what [`Guard`] returns, and it returns only what the rules permit at
//! that moment.

use crate::supervisor::egress::{Class, Egress, Lane};
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};
use tokio::{sync::Semaphore, time::timeout};
use tower::Service;

/// Where addresses of names come from.
pub trait NameService: Send + Sync + 'static {
    /// All addresses of a name, in order of preference.
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver: `/etc/hosts`, DNS, what the host is set up for.
pub(crate) struct SystemNames {
    lookups: Arc<Semaphore>,
}

impl Default for SystemNames {
    fn default() -> Self {
        // `getaddrinfo` blocks a thread and can't be cancelled. Names that never answer must not take all the
        // threads that the runtime has for blocking work (512).
        Self { lookups: Arc::new(Semaphore::new(128)) }
    }
}

impl NameService for SystemNames {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let lookups = self.lookups.clone();
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                // Held by the thread, not by the future that may be dropped.
                let _permit = permit;
                (name.as_str(), 0).to_socket_addrs()
            });
            Ok(lookup.await.map_err(io::Error::other)??.map(|address| address.ip()).collect())
        })
    }
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error("every address is refused, one as {}", .0.as_str())]
    Refused(Class),
    #[error("timed out")]
    Timeout,
    #[error("not found")]
    NotFound,
}

/// The resolver of one lane's connector.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) lane: Lane,
    pub(super) egress: Arc<Egress>,
    pub(super) names: Arc<dyn NameService>,
    pub(super) timeout: Duration,
}

impl Service<Name> for Guard {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = LookupError;
    type Future = BoxFuture<'static, Result<Self::Response, LookupError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LookupError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (lane, egress) = (self.lane, self.egress.clone());
        let lookup = timeout(self.timeout, self.names.addresses(name.as_str().to_owned()));
        Box::pin(async move {
            let found = lookup.await.map_err(|_| LookupError::Timeout)?.map_err(|error| {
                tracing::debug!(%error, "name look-up failed");
                LookupError::NotFound
            })?;
            permitted(&egress, lane, found).map(Vec::into_iter)
        })
    }
}

/// The permitted addresses among those found. The connector fills in the port.
fn permitted(egress: &Egress, lane: Lane, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, LookupError> {
    let mut refused = None;
    let mut addresses = Vec::with_capacity(found.len());
    for address in found {
        match egress.permits(lane, address) {
            Ok(()) => addresses.push(SocketAddr::new(address, 0)),
            Err(class) => refused = Some(class),
        }
    }
    match refused {
        _ if !addresses.is_empty() => Ok(addresses),
        Some(class) => Err(LookupError::Refused(class)),
        None => Err(LookupError::NotFound),
    }
}
