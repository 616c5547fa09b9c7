//! JavaScript inside the isolate, tested by real runs: the web platform area by area, and the Plane SDK.

mod plane;
mod web_platform;

use super::sandbox::{Finished, MIB, bare_context, raw, run_with};
use sandbox_protocol::Job;
use serde_json::Value;
use shared::limits::Limits;
use std::{collections::BTreeMap, fs, net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::AbortHandle};
use uuid::Uuid;
use worker::testing::supervisor::{
    Pool, PoolConfig, RunContext,
    fetch::{FetchConfig, Fetcher},
};

const TOKEN: &str = "plane_api_of_the_test";

/// HTTP server that ends with the test.
struct Server {
    origin: String,
    host: String,
    task: AbortHandle,
}

impl Server {
    async fn start(router: axum::Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async { axum::serve(listener, router).await }).abort_handle();
        Self { origin: format!("http://{host}"), host, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a pool whose runs may reach the loopback interface, and Plane at `api_base`.
async fn pool(api_base: &str) -> Arc<Pool> {
    let config = FetchConfig::new(api_base.parse().unwrap(), "127.0.0.1".parse().unwrap());
    let fetcher = Arc::new(Fetcher::new(config).unwrap());
    let program = env!("CARGO_BIN_EXE_worker").into();
    Pool::start(PoolConfig { program, ..PoolConfig::new(1, 128 * MIB, fetcher) }).await.unwrap()
}

/// Reads a file below `worker/tests`.
fn source(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a job whose script is this function body, unchanged. The builder's lint is not applied.
fn job(body: &str, api_base: &str) -> Job {
    Job {
        execution_id: Uuid::now_v7(),
        build: format!("(async function main(input, env) {{{body}\n}})"),
        functions: BTreeMap::new(),
        input: raw("{}"),
        variables: raw("{}"),
        env: BTreeMap::new(),
        workspace_slug: "demo".to_owned(),
        api_base_url: api_base.to_owned(),
        limits: Limits {
            execution_timeout: Duration::from_mins(1),
            fetches: 2_000,
            log_bytes: 4 * MIB,
            ..Limits::default()
        },
    }
}

async fn run(pool: &Arc<Pool>, job: Job, allowed_domains: &[&str]) -> Finished {
    run_with(pool, job, |logs| RunContext {
        allowed_domains: allowed_domains.iter().map(|&host| host.to_owned()).collect(),
        plane_token: Some(TOKEN.to_owned()),
        ..bare_context(logs)
    })
    .await
}

/// Returns the texts of a JSON array.
fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
