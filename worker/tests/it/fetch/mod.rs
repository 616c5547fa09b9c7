//! `fetch` against real servers on the loopback interface.
//!
//! Every server counts the connections that it accepts, so that a test can tell a request that was refused from one that
//! connected in vain.

mod addresses;
mod hostile_servers;
mod limits;
mod plane;
mod redirects;
mod requests;
mod through_sandbox;
mod tls;

use axum::{Router, serve::ListenerExt};
use futures_util::future::BoxFuture;
use sandbox_protocol::{FetchAnswer, FetchRequest, Redirect};
use shared::limits::Limits;
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::TcpListener, task::AbortHandle};
use worker::testing::supervisor::fetch::{FetchConfig, Fetcher, NameService, RunPolicy, ScriptRequest};

/// HTTP server that ends with the test.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Server {
    async fn start(router: Router) -> Self {
        Self::on("127.0.0.1:0", router).await
    }

    async fn on(address: &str, router: Router) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let listener = listener.tap_io(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let task = tokio::spawn(async { axum::serve(listener, router).await }).abort_handle();
        Self { address, connections, task }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the entry of `allowed_domains` for this server.
    fn entry(&self) -> String {
        self.address.to_string()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Name service with answers that a test gives. The last answer of a name is repeated.
#[derive(Default)]
struct Names(Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>);

impl Names {
    fn answering(self, name: &str, answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        self.0.lock().unwrap().insert(name.to_owned(), answers.iter().map(parse).collect());
        self
    }
}

impl NameService for Names {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let answer = match names.get_mut(&name) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => None,
        };
        Box::pin(async move { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// Returns a configuration with only these exceptions.
fn config(exceptions: &str) -> FetchConfig {
    FetchConfig::new("https://api.plane.example/".parse().unwrap(), exceptions.parse().unwrap())
}

/// Returns a fetcher that may reach the test servers.
fn fetcher() -> Fetcher {
    Fetcher::new(config("127.0.0.1")).unwrap()
}

fn policy<S: AsRef<str>>(allowed: &[S]) -> RunPolicy {
    RunPolicy::new(allowed, None, &Limits::default())
}

fn request(method: &str, url: impl Into<String>) -> FetchRequest {
    FetchRequest {
        method: method.into(),
        url: url.into(),
        headers: Vec::new(),
        body_bytes: None,
        redirect: Redirect::Follow,
        plane: false,
    }
}

fn get(url: impl Into<String>) -> FetchRequest {
    request("GET", url)
}

/// Response, with its body as text.
#[derive(Debug)]
struct Answer {
    status: u16,
    status_text: String,
    url: String,
    redirected: bool,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

async fn response(fetcher: &Fetcher, request: impl Into<ScriptRequest>, policy: &RunPolicy) -> Answer {
    let fetched = fetcher.perform(request, policy).await;
    match fetched.answer {
        FetchAnswer::Response { status, status_text, url, redirected, headers } => {
            let body = String::from_utf8(fetched.body.to_vec()).unwrap();
            Answer { status, status_text, url, redirected, headers, body }
        }
        FetchAnswer::Refused { message } => panic!("refused: {message}"),
    }
}

async fn refusal(fetcher: &Fetcher, request: impl Into<ScriptRequest>, policy: &RunPolicy) -> String {
    match fetcher.perform(request, policy).await.answer {
        FetchAnswer::Refused { message } => message,
        FetchAnswer::Response { status, url, .. } => panic!("{url} answered {status}"),
    }
}
