//! Between the job and its beginning: the sandbox is ready, and nothing of the author's has happened.

use super::{bare_context, job, pool, run, short_limits};
use serde_json::json;
use shared::{
    execution::ErrorCode,
    outcome::{LogLine, Outcome, Verdict},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use worker::{
    protocol::Job,
    supervisor::{Pool, RunContext},
};

const SCRIPT: &str = "console.log('top level'); export default async () => performance.now()";

/// A run that waits to begin.
struct Waiting {
    begin: watch::Sender<bool>,
    cancel: CancellationToken,
    lines: mpsc::Receiver<LogLine>,
    run: JoinHandle<Outcome>,
}

async fn waiting(pool: &Arc<Pool>, job: Job) -> Waiting {
    let ((begin, may_begin), cancel) = (watch::channel(false), CancellationToken::new());
    let (logs, lines) = mpsc::channel(16);
    let context = RunContext { may_begin, cancel: cancel.clone(), ..bare_context(logs) };
    let slot = pool.acquire().await;
    let run = tokio::spawn(async move { slot.run(job, context).await });
    Waiting { begin, cancel, lines, run }
}

#[tokio::test]
async fn nothing_is_evaluated_and_no_time_counts_before_a_run_may_begin() {
    let pool = pool(1).await;
    let limits = short_limits();
    let mut waiting = waiting(&pool, Job { limits, ..job(SCRIPT) }).await;
    // Longer than initialising may take.
    let early = timeout(limits.init_timeout + Duration::from_millis(200), waiting.lines.recv()).await;
    assert!(early.is_err(), "{early:?}");
    assert!(!waiting.run.is_finished());

    waiting.begin.send_replace(true);
    let line = waiting.lines.recv().await.unwrap();
    assert_eq!(line.message, "top level");
    let Outcome { verdict, usage } = waiting.run.await.unwrap();
    let Verdict::Completed(now) = verdict else { panic!("{verdict:?}") };
    assert!(now.get().parse::<f64>().unwrap() < 1_000.0, "the script's clock starts with it: {now}");
    assert!(usage.init + usage.run < limits.init_timeout, "{usage:?}");
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_it_began_never_begins() {
    let pool = pool(1).await;
    let mut stopped = waiting(&pool, job(SCRIPT)).await;
    stopped.cancel.cancel();
    let Outcome { verdict, usage } = stopped.run.await.unwrap();
    let Verdict::Failed(error) = verdict else { panic!("{verdict:?}") };
    assert_eq!(error.code, ErrorCode::Cancelled);
    assert!(usage.run < Duration::from_secs(1), "{usage:?}");
    assert_eq!(stopped.lines.recv().await, None);
    assert_eq!(run(&pool, job("export default () => 'next'")).await.result(), json!("next"));
}

#[tokio::test]
async fn a_run_that_may_never_begin_ends_with_its_cancel() {
    let pool = pool(1).await;
    let Waiting { begin, cancel, run, .. } = waiting(&pool, job(SCRIPT)).await;
    drop(begin);
    cancel.cancel();
    assert!(
        matches!(run.await.unwrap().verdict, Verdict::Failed(error) if error.code == ErrorCode::Cancelled)
    );
}
