//! Pool of slots. A slot is the permission to run one job, and a sandbox process that is ready for it.
//!
//! Invariants:
//! - At most `slots` runs go on at once.
//! - A process has one run at a time, and runs of one workspace only.
//! - A process that ended badly, or whose run was abandoned, is replaced and never reused.
//! - Dropping a slot gives it back.

mod slot;

pub(crate) use slot::Slot;

use super::{
    fetch::Fetcher,
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
    /// Memory, in bytes, that spare isolates are created with (`ISOLATE_MEMORY_MB`).
    pub memory_bytes: usize,
    /// Refuses to start unless every isolation layer holds (`SANDBOX_STRICT`).
    pub strict: bool,
    /// Number of runs after which a process is replaced, so that leftovers of its runs don't add up.
    pub runs_per_child: u32,
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
            memory_bytes,
            strict: false,
            runs_per_child: 1_000,
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
    /// Number of processes replaced, by reason.
    pub restarts: BTreeMap<&'static str, u64>,
}

/// Sandbox processes, and the slots that limit their use.
pub struct Pool {
    sandbox_config: SandboxConfig,
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
        let sandbox_config = Arc::new(SandboxConfig {
            program: config.program.clone().into_boxed_path(),
            snapshot: snapshot(&config).await?.into(),
            memory_bytes: config.memory_bytes,
            strict: config.strict,
        });
        let mut starting = JoinSet::new();
        for _ in 0..config.slots + config.spares {
            let sandbox_config = Arc::clone(&sandbox_config);
            starting.spawn(async move { Sandbox::spawn(&sandbox_config).await });
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
            sandbox_config: Arc::into_inner(sandbox_config).expect("every task that shared it has ended"),
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
        PoolStatus {
            slots: self.config.slots,
            busy: self.config.slots - self.slots.available_permits(),
            ready: self.ready.available_permits(),
            layers: self.layers.clone(),
            missing_layers: missing(&self.layers).into_iter().map(str::to_owned).collect(),
            restarts: lock(&self.restarts).clone(),
        }
    }

    /// Returns the next idle process if it is alive. Replaces it otherwise.
    fn take_idle(self: &Arc<Self>) -> Option<Sandbox> {
        let mut sandbox = lock(&self.idle).pop_front()?;
        if sandbox.is_alive() {
            return Some(sandbox);
        }
        self.replace(sandbox, EXITED_WHILE_IDLE);
        None
    }

    /// Returns the process that suits a run of this workspace best: one that has had runs of it, one that has had none, or else
    /// the given one. The given one goes back to the pool for a better one.
    fn swap_for_affinity(&self, sandbox: Sandbox, workspace: &str) -> Sandbox {
        if sandbox.belongs_to(workspace) {
            return sandbox;
        }
        let mut idle = lock(&self.idle);
        let better = idle
            .iter()
            .position(|other| other.belongs_to(workspace))
            .or_else(|| if sandbox.is_fresh() { None } else { idle.iter().position(Sandbox::is_fresh) });
        let Some(better) = better.and_then(|at| idle.remove(at)) else { return sandbox };
        idle.push_back(sandbox);
        better
    }

    fn put_idle(&self, sandbox: Sandbox) {
        lock(&self.idle).push_back(sandbox);
        self.ready.add_permits(1);
    }

    /// Takes a process back after a run that ended cleanly. It is idle again when its next isolate is ready.
    fn reuse(self: &Arc<Self>, mut sandbox: Sandbox) {
        if sandbox.count_run() >= self.config.runs_per_child {
            return self.replace(sandbox, "recycled");
        }
        let pool = Arc::downgrade(self);
        self.runtime.spawn(async move {
            let ready = sandbox.ready().await;
            let Some(pool) = pool.upgrade() else { return };
            match ready {
                Ok(()) => pool.put_idle(sandbox),
                Err(_) => pool.replace(sandbox, "not_ready"),
            }
        });
    }

    /// Kills a process and starts another in a task of its own, which tries until it succeeds.
    fn replace(self: &Arc<Self>, mut sandbox: Sandbox, reason: &'static str) {
        *lock(&self.restarts).entry(reason).or_default() += 1;
        SANDBOX_RESTARTS.with([reason]).increment(1);
        let pool = Arc::downgrade(self);
        self.runtime.spawn(async move {
            sandbox.kill().await;
            drop(sandbox);
            let mut wait = MIN_REPLACE_BACKOFF;
            while let Some(pool) = pool.upgrade() {
                match Sandbox::spawn(&pool.sandbox_config).await {
                    Ok(fresh) => return pool.put_idle(fresh),
                    Err(error) => {
                        tracing::error!(%error, "a sandbox process could not be replaced: trying again");
                    }
                }
                drop(pool);
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
