//! `fetch` for scripts: one HTTP client per worker, behind the gates of [`super::egress`].
//!
//! Invariants:
//! - No connection is made to an address the operator's rules refuse: URLs are admitted hop by hop, names are
//!   resolved by our own resolver, which gives the connector nothing but permitted addresses.
//! - Runs share connections and nothing else. There is no cookie jar, no cache, no stored credential and no
//!   proxy; an `Authorization` scheme that signs a connection in instead of a request (NTLM, Negotiate) is
//!   refused; header values are never put into HTTP/2's compression table; a response that wasn't read to its
//!   end takes its HTTP/1 connection with it. Permission to use a connection is decided per request, before it is
//!   asked for.
//! - Dropping the future of [`Fetcher::perform`] ends the request.
//! - Bytes of servers are read, decompressed and encoded on [`Fetcher::runtime`]. Its threads do nothing else, so that
//!   leases, deadlines, kills and `/health` never wait for them.

mod body;
mod body_memory;
mod client;
mod dns;
mod error;
mod headers;
mod redirects;
mod request_body;
mod request_log;
mod system_names;

pub(crate) use client::StartError;
pub use dns::NameService;
pub use request_body::ScriptRequest;
pub(crate) use request_body::{BodyRequest, KeptBody, RequestBody};
pub(crate) use request_log::RequestLine;

use super::egress::{ApiBase, Denied, Egress, Exceptions, Lane};
use crate::outbound::Response;
use body_memory::{BodyMemory, LargeBody, LargeTurns};
use bytes::Bytes;
use client::Clients;
use error::Failure;
use hyper::{Version, header::HeaderValue};
use redirects::Hop;
use rustls::pki_types::CertificateDer;
use sandbox_protocol::FetchAnswer;
use shared::{allowed_domains::AllowedDomains, dedicated_runtime::DedicatedRuntime, limits::Limits};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use url::Url;

/// Requests of one run under way at once; the others wait their turn. Enough for a `Promise.all` over a page
/// of work items, and it bounds the descriptors and response memory that one run can hold.
const CONCURRENT_PER_RUN: usize = 10;
/// A body up to this size needs no turn of its own: JSON APIs answer with less.
const SMALL_BYTES: usize = 256 * 1024;

/// Settings of a worker's [`Fetcher`].
pub struct FetchConfig {
    /// `API_BASE_URL`.
    pub api_base: ApiBase,
    /// `SANDBOX_ALLOW_PRIVATE_NETWORK`.
    pub exceptions: Exceptions,
    /// Look-up of names. As the host is configured if `None`.
    pub names: Option<Arc<dyn NameService>>,
    /// Certificates trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Look-up of one name.
    pub dns_timeout: Duration,
    /// Look-up, TCP and TLS handshake together.
    pub connect_timeout: Duration,
    /// Bytes of one request's body.
    pub request_bytes: usize,
    /// Requests of all runs under way at once: a bound on descriptors.
    pub concurrent: usize,
    /// Number of threads that perform requests and do nothing else.
    pub threads: usize,
}

impl FetchConfig {
    /// The defaults, for an API base and an operator's exceptions.
    pub fn new(api_base_url: Url, exceptions: Exceptions) -> Self {
        Self {
            api_base: ApiBase::new(api_base_url),
            exceptions,
            names: None,
            extra_roots: Vec::new(),
            dns_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            request_bytes: 10 * 1024 * 1024,
            concurrent: 512,
            threads: 2,
        }
    }
}

/// Limits of the requests of one run.
pub struct RunPolicy {
    allowed: AllowedDomains,
    plane_token: Option<HeaderValue>,
    response_bytes: usize,
    turns: Arc<Semaphore>,
    /// Workspace of the run, among which the worker's memory is shared.
    workspace: Arc<str>,
    large_requests: LargeTurns,
    large_responses: LargeTurns,
}

impl RunPolicy {
    /// An entry of `allowed_domains` that is none allows nothing: the API refused it, so it is old.
    pub fn new<S: AsRef<str>>(allowed_domains: &[S], plane_token: Option<&str>, limits: &Limits) -> Self {
        let plane_token = plane_token.and_then(|token| HeaderValue::from_str(token).ok()).map(|mut token| {
            token.set_sensitive(true);
            token
        });
        Self {
            allowed: AllowedDomains::parse_lenient(allowed_domains),
            plane_token,
            response_bytes: limits.response_bytes,
            turns: Arc::new(Semaphore::new(CONCURRENT_PER_RUN)),
            workspace: Arc::from(""),
            large_requests: LargeTurns::default(),
            large_responses: LargeTurns::default(),
        }
    }

    /// Counts the run's memory against the share of this workspace.
    #[must_use]
    pub fn of_workspace(self, slug: &str) -> Self {
        Self { workspace: slug.into(), ..self }
    }
}

/// An answer, and a line for the run's debug log per request that was made or refused on the way to it.
#[derive(Debug)]
pub struct Fetched {
    pub answer: FetchAnswer,
    /// Body of a response.
    pub body: Bytes,
    pub log: Vec<RequestLine>,
    /// To be dropped when the answer has been handed on: until then it counts against what its run may hold.
    pub hold: Hold,
}

/// A run's turns that an answer occupies.
#[derive(Debug, Default)]
pub struct Hold {
    turn: Option<OwnedSemaphorePermit>,
    large: Option<LargeBody>,
}

/// Performs the requests of every run of this worker.
pub struct Fetcher {
    egress: Arc<Egress>,
    api_base: ApiBase,
    clients: Clients,
    request_bytes: usize,
    turns: Semaphore,
    request_memory: BodyMemory,
    response_memory: BodyMemory,
    runtime: DedicatedRuntime,
}

/// Body of a request on its way, and the memory that it takes until the fetch is over.
struct Outgoing {
    /// `None` from the moment the body is asked for.
    body: Option<RequestBody>,
    _memory: Option<LargeBody>,
}

impl Outgoing {
    fn bytes(&self) -> Option<usize> {
        self.body.as_ref().map(RequestBody::bytes)
    }
}

/// Result of one hop.
enum Step {
    Redirect(Hop),
    Done(FetchAnswer, Bytes),
}

impl Fetcher {
    pub fn new(config: FetchConfig) -> Result<Self, StartError> {
        let egress = Arc::new(Egress::new(config.exceptions.clone()));
        Ok(Self {
            clients: Clients::new(&config, &egress)?,
            egress,
            api_base: config.api_base,
            request_bytes: config.request_bytes,
            turns: Semaphore::new(config.concurrent),
            request_memory: BodyMemory::default(),
            response_memory: BodyMemory::default(),
            runtime: DedicatedRuntime::start("fetch", config.threads)?,
        })
    }

    /// Returns the runtime on which [`Self::perform`] has to be called.
    pub fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Makes the request and follows its redirects. Never fails: what goes wrong is the answer's message.
    pub async fn perform(&self, request: impl Into<ScriptRequest>, policy: &RunPolicy) -> Fetched {
        let tally = request_log::Tally::start();
        let (mut log, mut hold) = (Vec::new(), Hold::default());
        let end = self.follow(request.into(), policy, &mut log, &mut hold).await;
        tally.finish(end.as_ref().map(|(answer, _)| answer));
        let (answer, body) = end.unwrap_or_else(|failure| {
            hold = Hold::default();
            (FetchAnswer::Refused { message: failure.to_string() }, Bytes::new())
        });
        Fetched { answer, body, log, hold }
    }

    async fn follow(
        &self,
        request: ScriptRequest,
        policy: &RunPolicy,
        log: &mut Vec<RequestLine>,
        hold: &mut Hold,
    ) -> Result<(FetchAnswer, Bytes), Failure> {
        let mut outgoing = Outgoing { body: request.body, _memory: None };
        let mut hop = Hop::first(&request.request, outgoing.bytes(), self.request_bytes)?;
        // The run's own permit first: a request that waits for it must not hold up other runs.
        hold.turn = policy.turns.clone().acquire_owned().await.ok();
        let _of_worker = self.turns.acquire().await;
        loop {
            let mut entry = RequestLine::start(&hop);
            let step = self.step(&mut hop, policy, &mut outgoing, &mut entry, hold).await;
            entry.finish(step.as_ref().err());
            log.push(entry);
            match step? {
                Step::Redirect(next) => hop = next,
                Step::Done(answer, body) => return Ok((answer, body)),
            }
        }
    }

    async fn step(
        &self,
        hop: &mut Hop,
        policy: &RunPolicy,
        outgoing: &mut Outgoing,
        entry: &mut RequestLine,
        hold: &mut Hold,
    ) -> Result<Step, Failure> {
        let lane = self.gate(hop, policy)?;
        // Asked for only now: a request that is refused takes no memory.
        if let Some(body) = outgoing.body.take() {
            let turns = &policy.large_requests;
            let memory = self.request_memory.acquire(&policy.workspace, turns, body.bytes()).await;
            *outgoing = Outgoing { body: None, _memory: memory };
            hop.body = Some(body.receive().await);
        }
        let sending = self.clients.of(lane).send(hop.request()?);
        let sent = dns::in_workspace(Arc::clone(&policy.workspace), sending).await;
        let mut response = sent.map_err(|error| Failure::network(hop, &error))?;
        entry.status = Some(response.status());
        headers::check_response(response.headers())?;
        if let Some(next) = redirects::next(hop, response.status(), response.headers())? {
            return Ok(Step::Redirect(next));
        }
        let body = body::read(&mut response, policy, (&self.response_memory, hold)).await;
        let body = body.map_err(|error| error.or_network(hop))?;
        let answer = FetchAnswer::Response {
            status: response.status().as_u16(),
            status_text: status_text(&response),
            url: without_fragment(&hop.url),
            redirected: hop.redirects > 0,
            headers: headers::to_script(response.headers()),
        };
        Ok(Step::Done(answer, body.into()))
    }

    /// Admits a hop, and arms it with the token if it is the SDK's.
    fn gate(&self, hop: &mut Hop, policy: &RunPolicy) -> Result<Lane, Failure> {
        if hop.plane && !self.api_base.contains(&hop.url) {
            if hop.redirects == 0 {
                return Err(Failure::OutsideApi(hop.host()));
            }
            // A redirect out of Plane's API, to a file store for instance, is an ordinary request from here
            // on.
            hop.plane = false;
        }
        if !hop.plane {
            hop.token = None;
            return Ok(self.egress.admit(&hop.url, &policy.allowed)?);
        }
        hop.token = Some(policy.plane_token.clone().ok_or(Failure::NoToken)?);
        Ok(self.egress.lane(&hop.url)?)
    }
}

/// The reason phrase; HTTP/2 has none.
fn status_text(response: &Response) -> String {
    if response.version() > Version::HTTP_11 {
        return String::new();
    }
    match response.reason() {
        Some(reason) => headers::latin1(reason.as_bytes()),
        None => response.status().canonical_reason().unwrap_or_default().to_owned(),
    }
}

fn without_fragment(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    url.into()
}
