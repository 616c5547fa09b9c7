//! Runs whose claim is not on disk yet: they go on, and reach nobody.

use super::{through_sandbox::pool, *};
use crate::sandbox::{bare_context, job};
use shared::{
    execution::ErrorCode,
    outcome::{LogLine, Outcome, Verdict},
};
use std::time::Duration;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use worker::supervisor::RunContext;

/// Time enough on loopback.
const TO_DIAL: Duration = Duration::from_millis(300);

/// Says that it runs, then calls the server.
const SCRIPT: &str = "export async function main() {
    console.log('runs');
    return (await fetch('SERVER/')).status;
}";

/// A run that waits to reach its server.
struct Waiting {
    server: Server,
    act: watch::Sender<bool>,
    cancel: CancellationToken,
    lines: mpsc::Receiver<LogLine>,
    run: JoinHandle<Outcome>,
}

impl Waiting {
    async fn begin() -> Self {
        let server = Server::start(Router::new()).await;
        let ((act, may_act), cancel) = (watch::channel(false), CancellationToken::new());
        let (logs, mut lines) = mpsc::channel(16);
        let allowed_domains = vec![server.entry()];
        let context = RunContext { may_act, allowed_domains, cancel: cancel.clone(), ..bare_context(logs) };
        let job = job(&SCRIPT.replace("SERVER/", &server.url("/")));
        let pool = pool(1, "http://plane.example").await;
        let run = tokio::spawn(async move { pool.acquire().await.run(job, context).await });
        assert_eq!(lines.recv().await.unwrap().message, "runs");
        Self { server, act, cancel, lines, run }
    }

    fn connections(&self) -> usize {
        self.server.connections.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_fetch_leaves_when_the_claim_is_certain() {
    let mut waiting = Waiting::begin().await;
    assert!(timeout(TO_DIAL, &mut waiting.run).await.is_err());
    assert_eq!(waiting.connections(), 0);
    waiting.act.send_replace(true);
    let Verdict::Completed(status) = (&mut waiting.run).await.unwrap().verdict else { panic!("it failed") };
    assert_eq!((status.get(), waiting.connections()), ("404", 1));
}

#[tokio::test]
async fn a_run_whose_claim_is_lost_reaches_nobody() {
    let mut waiting = Waiting::begin().await;
    assert!(timeout(TO_DIAL, &mut waiting.run).await.is_err());
    waiting.cancel.cancel();
    let Verdict::Failed(error) = (&mut waiting.run).await.unwrap().verdict else { panic!("it completed") };
    assert_eq!(error.code, ErrorCode::Cancelled);
    assert_eq!(waiting.lines.recv().await, None);
    assert_eq!(waiting.connections(), 0);
}
