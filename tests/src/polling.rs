//! Clients that poll executions with `ETag`, like a web app.

use crate::client::Client;
use anyhow::ensure;
use reqwest::StatusCode;
use std::time::{Duration, Instant};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval_at},
};

/// Interval between the requests of one client.
const INTERVAL: Duration = Duration::from_millis(50);
/// Number of reads of one execution before a client continues with the newest.
const READS_PER_EXECUTION: usize = 20;

/// Clients that poll until they are stopped.
pub struct Pollers {
    newest: watch::Sender<Option<String>>,
    tasks: JoinSet<anyhow::Result<Reads>>,
}

/// Results of the reads.
#[derive(Default)]
pub struct Reads {
    /// Number of reads answered 304.
    pub unchanged: usize,
    /// Time from the request to the end of the response, of every read.
    pub times: Vec<Duration>,
}

impl Pollers {
    /// Starts as many clients as are needed for `reads_per_second`.
    pub fn start(client: &Client, reads_per_second: u32) -> Self {
        let newest = watch::Sender::new(None);
        let clients = f64::from(reads_per_second) * INTERVAL.as_secs_f64();
        let mut tasks = JoinSet::new();
        let mut begin = Duration::ZERO;
        while begin < INTERVAL && reads_per_second > 0 {
            tasks.spawn(poll(client.clone(), begin, newest.subscribe()));
            begin += INTERVAL.div_f64(clients);
        }
        Self { newest, tasks }
    }

    /// Sets the execution that clients read next.
    pub fn set_newest(&self, execution: &str) {
        self.newest.send_replace(Some(execution.to_owned()));
    }

    /// Stops the clients.
    ///
    /// # Errors
    /// If any of them got a response other than 200 or 304.
    pub async fn stop(self) -> anyhow::Result<Reads> {
        drop(self.newest);
        let mut all = Reads::default();
        for reads in self.tasks.join_all().await {
            let Reads { unchanged, times } = reads?;
            all.unchanged += unchanged;
            all.times.extend(times);
        }
        Ok(all)
    }
}

/// Polls until the sender of the newest execution is dropped.
async fn poll(
    client: Client,
    begin: Duration,
    mut newest: watch::Receiver<Option<String>>,
) -> anyhow::Result<Reads> {
    let mut reads = Reads::default();
    if newest.wait_for(Option::is_some).await.is_err() {
        return Ok(reads);
    }
    let mut ticks = interval_at((Instant::now() + begin).into(), INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        let path = format!("/executions/{}/", newest.borrow().clone().unwrap_or_default());
        let mut tag = None;
        for _ in 0..READS_PER_EXECUTION {
            ticks.tick().await;
            if newest.has_changed().is_err() {
                return Ok(reads);
            }
            let asked = Instant::now();
            let (status, new_tag) = client.poll(&path, tag.as_deref()).await?;
            reads.times.push(asked.elapsed());
            ensure!(matches!(status, StatusCode::OK | StatusCode::NOT_MODIFIED), "{path}: {status}");
            reads.unchanged += usize::from(status == StatusCode::NOT_MODIFIED);
            tag = new_tag;
        }
    }
}
