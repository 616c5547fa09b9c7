//! Pool of slots. A slot is the permission to run one job, and a sandbox process that is ready for it.
//!
//! Invariants:
//! - At most `slots` runs go on at once.
//! - A process has one run. Another one takes its place afterwards.
//! - Dropping a slot gives it back.

mod slot;

pub use slot::Slot;

use super::{
    fetch::Fetcher,
    launcher::{LaunchMode, Launcher},
    sandbox_process::{ALL_LAYERS, Sandbox, SandboxConfig, SpawnError},
};
use shared::telemetry::metrics::{SANDBOX_LAYER, SANDBOX_RESTARTS};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{process::Command, runtime::Handle, sync::Semaphore, task::JoinSet, time::sleep};

/// Wait, in milliseconds, after the first failed attempt to replace a process. It doubles after every further one.
const MIN_REPLACE_BACKOFF: Duration = Duration::from_millis(100);
/// Limits the wait, in seconds, between attempts to replace a process.
const MAX_REPLACE_BACKOFF: Duration = Duration::from_secs(5);
/// Metric label of a process that exited while it had no run.
const EXITED_WHILE_IDLE: &str = "died_idle";

/// Configuration of a pool.
#[derive(Clone)]
pub struct PoolConfig {
    /// Path of this binary, which is started again for the snapshot and for every process.
    pub program: PathBuf,
    /// Maximum number of runs at once (`WORKER_CONCURRENCY`).
    pub slots: usize,
    /// Number of processes beyond the slots. They are ready to take the place of one that is being replaced.
    pub spares: usize,
    /// Way in which processes are made. Where the host has no templates, each is started as a program in any case.
    pub launch_mode: LaunchMode,
    /// Number of copies after which a template is replaced: their scripts may learn the one address layout that they
    /// have.
    pub copies_per_template: u32,
    /// Memory, in bytes, that spare isolates are created with (`ISOLATE_MEMORY_MB`).
    pub memory_bytes: usize,
    /// Refuses to start unless every isolation layer holds (`SANDBOX_STRICT`).
    pub strict: bool,
    /// Performs the requests of every run.
    pub fetcher: Arc<Fetcher>,
}

impl PoolConfig {
    /// Returns the measured defaults, for this process's own binary.
    #[must_use]
    pub fn new(slots: usize, memory_bytes: usize, fetcher: Arc<Fetcher>) -> Self {
        Self {
            // The running binary, even if its file was replaced since.
            program: PathBuf::from("/proc/self/exe"),
            slots,
            spares: 1,
            launch_mode: LaunchMode::Fork,
            copies_per_template: 5_000,
            memory_bytes,
            strict: false,
            fetcher,
        }
    }
}

/// Reason why a pool can't be started.
#[derive(Debug, thiserror::Error)]
pub enum PoolStartError {
    #[error("the process that makes the startup snapshot could not be run: {0}")]
    Snapshot(#[source] io::Error),
    #[error("the startup snapshot could not be made: {0}")]
    SnapshotFailed(String),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// State of a pool, as `/health` shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PoolStatus {
    pub slots: usize,
    /// Number of slots in use.
    pub busy: usize,
    /// Number of processes that are ready for a job.
    pub ready: usize,
    /// Isolation layers that hold in every process.
    pub layers: Vec<String>,
    /// Isolation layers that this host does not support.
    pub missing_layers: Vec<String>,
    /// Way in which the processes are made.
    pub launch_mode: LaunchMode,
    /// Generation of the present template.
    pub generation: u64,
    /// Lowest generation of the templates of the ready processes.
    pub oldest_generation: Option<u64>,
    /// Number of processes that did not end with their run, by reason.
    pub restarts: BTreeMap<&'static str, u64>,
}

/// Sandbox processes, and the slots that limit their use.
pub struct Pool {
    launcher: Arc<Launcher>,
    config: PoolConfig,
    layers: Vec<String>,
    slots: Arc<Semaphore>,
    ready: Semaphore,
    idle: Mutex<VecDeque<Sandbox>>,
    restarts: Mutex<BTreeMap<&'static str, u64>>,
    runtime: Handle,
}

impl Pool {
    /// Makes the snapshot and starts every process.
    pub async fn start(config: PoolConfig) -> Result<Arc<Self>, PoolStartError> {
        let sandbox_config = SandboxConfig {
            program: config.program.clone().into_boxed_path(),
            snapshot: snapshot(&config).await?.into(),
            memory_bytes: config.memory_bytes,
            strict: config.strict,
            copies_per_template: config.copies_per_template,
        };
        let launcher = Launcher::start(sandbox_config, config.launch_mode).await;
        let mut starting = JoinSet::new();
        for _ in 0..config.slots + config.spares {
            let launcher = Arc::clone(&launcher);
            starting.spawn(async move { launcher.launch().await });
        }
        let idle = starting.join_all().await.into_iter().collect::<Result<VecDeque<_>, _>>()?;
        let layers = idle.front().map(|sandbox| sandbox.layers().to_vec()).unwrap_or_default();
        let missing = missing(&layers);
        if !missing.is_empty() {
            tracing::warn!(
                missing = missing.join(", "),
                "this host does not support all isolation layers of the sandbox"
            );
        }
        for layer in ALL_LAYERS {
            let held = if missing.contains(&layer) { 0.0 } else { 1.0 };
            SANDBOX_LAYER.with([layer]).set(held);
        }
        Ok(Arc::new(Self {
            launcher,
            layers,
            slots: Arc::new(Semaphore::new(config.slots)),
            ready: Semaphore::new(idle.len()),
            idle: Mutex::new(idle),
            restarts: Mutex::default(),
            runtime: Handle::current(),
            config,
        }))
    }

    /// Waits for a free slot and a ready process. Cancel-safe.
    pub async fn acquire(self: &Arc<Self>) -> Slot {
        let permit = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        let sandbox = self.next_ready().await;
        Slot { pool: Arc::clone(self), sandbox: Some(sandbox), used: false, _permit: permit }
    }

    /// Waits for a ready process. Cancel-safe.
    async fn next_ready(self: &Arc<Self>) -> Sandbox {
        loop {
            self.ready.acquire().await.expect("the semaphore is never closed").forget();
            if let Some(sandbox) = self.take_idle() {
                return sandbox;
            }
        }
    }

    /// Returns the state that `/health` shows.
    pub fn status(&self) -> PoolStatus {
        let (ready, oldest_generation) = {
            let idle = lock(&self.idle);
            (idle.len(), idle.iter().map(Sandbox::generation).min())
        };
        PoolStatus {
            slots: self.config.slots,
            busy: self.config.slots - self.slots.available_permits(),
            ready,
            layers: self.layers.clone(),
            missing_layers: missing(&self.layers).into_iter().map(str::to_owned).collect(),
            launch_mode: self.launcher.mode(),
            generation: self.launcher.generation(),
            oldest_generation,
            restarts: lock(&self.restarts).clone(),
        }
    }

    /// Returns the process id of the template.
    pub async fn template_id(&self) -> Option<u32> {
        self.launcher.template_id().await
    }

    /// Returns the next idle process if it is alive. Replaces it otherwise.
    fn take_idle(self: &Arc<Self>) -> Option<Sandbox> {
        let mut sandbox = lock(&self.idle).pop_front()?;
        if sandbox.is_alive() {
            return Some(sandbox);
        }
        self.replace_lost(sandbox, EXITED_WHILE_IDLE);
        None
    }

    /// Adds a ready process. It takes the place of a copy of a template that is not used again.
    fn put_idle(self: &Arc<Self>, sandbox: Sandbox) {
        let outdated = {
            let mut idle = lock(&self.idle);
            let outdated = idle.iter().position(|other| {
                other.generation() < sandbox.generation() && self.launcher.distrusts(other)
            });
            let outdated = outdated.and_then(|at| idle.remove(at));
            idle.push_back(sandbox);
            outdated
        };
        match outdated {
            Some(outdated) => self.replace(outdated),
            None => self.ready.add_permits(1),
        }
    }

    /// Replaces a process whose run ended in order: it exits by itself.
    fn retire(self: &Arc<Self>, mut sandbox: Sandbox) {
        self.refill();
        self.runtime.spawn(async move { sandbox.exit().await });
    }

    /// Replaces a process that ended badly. Its template is not used again if a script may have learnt from its end.
    fn replace_lost(self: &Arc<Self>, sandbox: Sandbox, reason: &'static str) {
        *lock(&self.restarts).entry(reason).or_default() += 1;
        SANDBOX_RESTARTS.with([reason]).increment(1);
        self.replace(sandbox);
    }

    /// Kills a process and makes another.
    fn replace(self: &Arc<Self>, mut sandbox: Sandbox) {
        self.refill();
        self.runtime.spawn(async move { sandbox.kill().await });
    }

    /// Makes a ready process in a task of its own, which tries until it succeeds.
    fn refill(self: &Arc<Self>) {
        let pool = Arc::downgrade(self);
        let launcher = Arc::clone(&self.launcher);
        self.runtime.spawn(async move {
            let mut wait = MIN_REPLACE_BACKOFF;
            while pool.strong_count() > 0 {
                match launcher.launch().await {
                    Ok(fresh) => {
                        if let Some(pool) = pool.upgrade() {
                            pool.put_idle(fresh);
                        }
                        return;
                    }
                    Err(error) => {
                        tracing::error!(%error, "a sandbox process could not be replaced: trying again");
                        SANDBOX_RESTARTS.with(["not_ready"]).increment(1);
                    }
                }
                sleep(wait).await;
                wait = (wait * 2).min(MAX_REPLACE_BACKOFF);
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(layers: &[String]) -> Vec<&'static str> {
    ALL_LAYERS.into_iter().filter(|name| !layers.iter().any(|held| held == name)).collect()
}

/// Makes the startup snapshot in a process of its own, since V8 never runs in this one.
async fn snapshot(config: &PoolConfig) -> Result<Vec<u8>, PoolStartError> {
    let output = Command::new(&config.program)
        .arg("snapshot")
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(PoolStartError::Snapshot)?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(PoolStartError::SnapshotFailed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
