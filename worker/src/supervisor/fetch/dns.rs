//! From names to addresses that may be connected to.
//!
//! Invariants:
//! - The connector dials only what [`Guard`] returns, and it returns only what the rules permit at that moment.
//! - The look-ups of one workspace leave others to the other workspaces, however long name servers take.

use crate::supervisor::egress::{Class, Egress, Lane};
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use shared::fair_pool::FairPool;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};
use tokio::time::timeout;
use tower::Service;

/// Limits the look-ups of a worker at a time: each takes a socket and a few KiB.
const LOOKUPS: usize = 256;
/// Limits the look-ups of one workspace at a time.
const LOOKUPS_PER_WORKSPACE: usize = LOOKUPS / 4;

tokio::task_local! {
    /// Workspace of the run whose request is sent.
    static WORKSPACE: Arc<str>;
}

/// Counts the look-ups of `work` against the share of a workspace.
pub(super) async fn in_workspace<T>(workspace: Arc<str>, work: impl Future<Output = T>) -> T {
    WORKSPACE.scope(workspace, work).await
}

/// Look-ups of a worker, shared fairly between workspaces.
#[derive(Clone)]
pub(super) struct Lookups(Arc<FairPool<Arc<str>>>);

impl Default for Lookups {
    fn default() -> Self {
        Self(Arc::new(FairPool::new(LOOKUPS, LOOKUPS_PER_WORKSPACE)))
    }
}

/// Source of the addresses of names.
pub trait NameService: Send + Sync + 'static {
    /// All addresses of a name, in order of preference.
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Reason why a name has no address.
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
    pub(super) lookups: Lookups,
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
        let (names, lookups) = (Arc::clone(&self.names), self.lookups.clone());
        // A connection whose request has got another one by then is made on behalf of none.
        let workspace = WORKSPACE.try_with(Arc::clone).unwrap_or_else(|_| Arc::from(""));
        let lookup = async move {
            let _turn = lookups.0.acquire(workspace, 1).await.map_err(io::Error::other)?;
            names.addresses(name.as_str().to_owned()).await
        };
        let lookup = timeout(self.timeout, lookup);
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
