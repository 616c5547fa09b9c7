//! A pool of slots. A slot is the right to run one job at a time, and a child that is ready for it.
//!
//! Invariants: no more than `slots` runs at once; a child has one run at a time, and those of one workspace only; a child
//! that ended badly, or whose run was abandoned, is replaced, never reused; whoever drops a slot gives it back.

use super::{
    fetch::Fetcher,
    run::{self, RunContext},
    sandbox_process::{ALL_LAYERS, Recipe, Sandbox, SpawnError},
};
use sandbox_protocol::Job;
use shared::{
    outcome::Outcome,
    telemetry::metrics::{SANDBOX_LAYER, SANDBOX_RESTARTS},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    process::Command,
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::sleep,
};

/// Shortest and longest wait between attempts to replace a child.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What a pool is made from.
#[derive(Clone)]
pub struct PoolConfig {
    /// This binary: it is started again for the snapshot and for every child.
    pub program: PathBuf,
    /// Runs at once (`WORKER_CONCURRENCY`).
    pub slots: usize,
    /// Children beyond the slots, ready to stand in for one that is being replaced.
    pub spares: usize,
    /// Memory the spare isolates are made for, in bytes (`ISOLATE_MEMORY_MB`).
    pub memory_bytes: usize,
    /// Refuse to start unless every isolation layer holds (`SANDBOX_STRICT`).
    pub strict: bool,
    /// Runs after which a child is replaced, so that nothing a run leaves in its process adds up.
    pub runs_per_child: u32,
    /// Carries out the requests of every run.
    pub fetcher: Arc<Fetcher>,
}

impl PoolConfig {
    /// A pool of this process's own binary with the measured defaults.
    #[must_use]
    pub fn new(slots: usize, memory_bytes: usize, fetcher: Arc<Fetcher>) -> Self {
        Self {
            // The running binary itself, even if its file was replaced meanwhile.
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

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the startup snapshot could not be made: {0}")]
    Snapshot(#[source] io::Error),
    #[error("making the startup snapshot failed: {0}")]
    SnapshotFailed(String),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// What `/health` tells of a pool.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PoolStatus {
    pub slots: usize,
    /// Slots taken now.
    pub busy: usize,
    /// Children ready for a job now.
    pub ready: usize,
    /// Isolation layers that hold in every child.
    pub layers: Vec<String>,
    /// Isolation layers this host does not give.
    pub missing_layers: Vec<String>,
    /// Children replaced, by reason.
    pub restarts: BTreeMap<&'static str, u64>,
}

/// The children and the right to use them.
pub struct Pool {
    recipe: Recipe,
    config: PoolConfig,
    layers: Vec<String>,
    slots: Arc<Semaphore>,
    ready: Semaphore,
    idle: Mutex<VecDeque<Sandbox>>,
    restarts: Mutex<BTreeMap<&'static str, u64>>,
    runtime: Handle,
}

impl Pool {
    /// Makes the snapshot and starts every child.
    pub async fn start(config: PoolConfig) -> Result<Arc<Self>, StartError> {
        let recipe = Arc::new(Recipe {
            program: config.program.clone().into_boxed_path(),
            snapshot: snapshot(&config).await?.into(),
            memory_bytes: config.memory_bytes,
            strict: config.strict,
        });
        let mut starting = JoinSet::new();
        for _ in 0..config.slots + config.spares {
            let recipe = Arc::clone(&recipe);
            starting.spawn(async move { Sandbox::spawn(&recipe).await });
        }
        let idle = starting.join_all().await.into_iter().collect::<Result<VecDeque<_>, _>>()?;
        let layers = idle.front().map(|sandbox| sandbox.layers().to_vec()).unwrap_or_default();
        let missing = missing(&layers);
        if !missing.is_empty() {
            tracing::warn!(missing = missing.join(", "), "isolation layers this host does not give");
        }
        for layer in ALL_LAYERS {
            let held = if missing.contains(&layer) { 0.0 } else { 1.0 };
            SANDBOX_LAYER.with([layer]).set(held);
        }
        Ok(Arc::new(Self {
            recipe: Arc::into_inner(recipe).expect("every task that shared it has ended"),
            layers,
            slots: Arc::new(Semaphore::new(config.slots)),
            ready: Semaphore::new(idle.len()),
            idle: Mutex::new(idle),
            restarts: Mutex::default(),
            runtime: Handle::current(),
            config,
        }))
    }

    /// Waits for a free slot and a ready child. Cancel-safe.
    pub async fn acquire(self: &Arc<Self>) -> Slot {
        let permit = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        let sandbox = self.next_ready().await;
        Slot { pool: Arc::clone(self), sandbox: Some(sandbox), used: false, _permit: permit }
    }

    /// Waits for a ready child. Cancel-safe.
    async fn next_ready(self: &Arc<Self>) -> Sandbox {
        loop {
            self.ready.acquire().await.expect("the semaphore is never closed").forget();
            if let Some(sandbox) = self.take_idle() {
                return sandbox;
            }
        }
    }

    /// A slot if one is free and its child is ready now.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Slot> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        loop {
            self.ready.try_acquire().ok()?.forget();
            if let Some(sandbox) = self.take_idle() {
                return Some(Slot {
                    pool: Arc::clone(self),
                    sandbox: Some(sandbox),
                    used: false,
                    _permit: permit,
                });
            }
        }
    }

    /// What `/health` tells.
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

    /// The next idle child, if it still lives.
    fn take_idle(self: &Arc<Self>) -> Option<Sandbox> {
        let mut sandbox = lock(&self.idle).pop_front()?;
        if sandbox.is_alive() {
            return Some(sandbox);
        }
        self.replace(sandbox, "died_idle");
        None
    }

    /// The child that suits a run of this workspace best: one that has had others of it, one that has had none, or else
    /// the given one, which goes back for a better one.
    fn exchange(&self, sandbox: Sandbox, workspace: &str) -> Sandbox {
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

    /// Takes a child back after a run that ended cleanly: it is idle again when its next isolate stands.
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

    /// Kills a child and starts another, for as long as that takes.
    fn replace(self: &Arc<Self>, mut sandbox: Sandbox, reason: &'static str) {
        *lock(&self.restarts).entry(reason).or_default() += 1;
        SANDBOX_RESTARTS.with([reason]).increment(1);
        let pool = Arc::downgrade(self);
        self.runtime.spawn(async move {
            sandbox.kill().await;
            drop(sandbox);
            let mut wait = BACKOFF.0;
            while let Some(pool) = pool.upgrade() {
                match Sandbox::spawn(&pool.recipe).await {
                    Ok(fresh) => return pool.put_idle(fresh),
                    Err(error) => {
                        tracing::error!(%error, "a sandbox process could not be replaced; trying again");
                    }
                }
                drop(pool);
                sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
            }
        });
    }
}

/// One job's place in the pool. Dropped unused, its child goes back; dropped during a run, it is replaced.
pub struct Slot {
    pool: Arc<Pool>,
    sandbox: Option<Sandbox>,
    used: bool,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Runs a job. Whatever a script does is in the outcome; dropping the future ends the run.
    pub async fn run(mut self, job: Job, context: RunContext) -> Outcome {
        let mut ended = self.run_once(&job, &context).await;
        if ended.untouched {
            tracing::warn!(execution.id = %job.execution_id, "a sandbox was lost before anything was seen of its run; another one takes it");
            self.sandbox = Some(self.pool.next_ready().await);
            ended = self.run_once(&job, &context).await;
        }
        ended.outcome
    }

    async fn run_once(&mut self, job: &Job, context: &RunContext) -> run::Ended {
        self.assign(&job.workspace_slug).await;
        self.used = true;
        let sandbox = self.sandbox.as_mut().expect("a slot holds its child until its run is over");
        let ended = run::run(sandbox, job, context, &self.pool.config.fetcher).await;
        self.used = false;
        if let Some(sandbox) = self.sandbox.take() {
            match ended.dirty {
                None => self.pool.reuse(sandbox),
                Some(reason) => self.pool.replace(sandbox, reason),
            }
        }
        ended
    }

    /// Sees to it that the slot's child has had no run of another workspace.
    async fn assign(&mut self, workspace: &str) {
        loop {
            let sandbox = self.sandbox.take().expect("a slot holds its child until its run is over");
            let mut sandbox = self.pool.exchange(sandbox, workspace);
            if !sandbox.is_alive() {
                self.pool.replace(sandbox, "died_idle");
            } else if sandbox.is_fresh() || sandbox.belongs_to(workspace) {
                sandbox.assign(workspace);
                self.sandbox = Some(sandbox);
                return;
            } else {
                self.pool.replace(sandbox, "other_workspace");
            }
            self.sandbox = Some(self.pool.next_ready().await);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.sandbox.take() {
            Some(sandbox) if self.used => self.pool.replace(sandbox, "abandoned"),
            Some(sandbox) => self.pool.put_idle(sandbox),
            None => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(layers: &[String]) -> Vec<&'static str> {
    ALL_LAYERS.into_iter().filter(|name| !layers.iter().any(|held| held == name)).collect()
}

/// The startup snapshot, made by a process of its own: V8 never runs in this one.
async fn snapshot(config: &PoolConfig) -> Result<Vec<u8>, StartError> {
    let output = Command::new(&config.program)
        .arg("snapshot")
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(StartError::Snapshot)?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(StartError::SnapshotFailed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
