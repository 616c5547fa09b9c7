//! Source of ready sandbox processes: copies of a template, or programs started one by one where the host has no
//! templates.

use super::{
    sandbox_process::{Sandbox, SandboxConfig, SpawnError},
    template::Template,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::Mutex;

/// Way in which the processes of a pool are made, as `/health` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchMode {
    /// Copies of a template.
    Fork,
    /// Programs started one by one.
    Spawn,
}

pub(super) struct Launcher {
    config: SandboxConfig,
    /// `None` if every process is started as a program. The inner value is `None` after a template was lost.
    template: Option<Mutex<Option<Template>>>,
    /// Number of templates started.
    generations: AtomicU64,
    /// Templates of lower generations, and their copies, are not used again.
    distrusted_below: AtomicU64,
    renewing: AtomicBool,
}

impl Launcher {
    /// Starts the template. If it can't make processes here, the launcher starts programs.
    pub(super) async fn start(config: SandboxConfig, mode: LaunchMode) -> Arc<Self> {
        let mut launcher = Self {
            config,
            template: None,
            generations: AtomicU64::new(0),
            distrusted_below: AtomicU64::new(0),
            renewing: AtomicBool::new(false),
        };
        if mode == LaunchMode::Fork {
            launcher.template = Some(Mutex::new(None));
            if let Err(error) = launcher.launch_first().await {
                tracing::warn!(
                    %error,
                    "this host does not let sandbox processes be forked from a template: each is started as a program, \
                     which takes more processor time per run"
                );
                launcher.template = None;
            }
        }
        Arc::new(launcher)
    }

    /// Shows that the template makes processes that become ready.
    async fn launch_first(&self) -> Result<(), SpawnError> {
        self.fork().await.map(|_first| ())
    }

    pub(super) fn mode(&self) -> LaunchMode {
        if self.template.is_some() { LaunchMode::Fork } else { LaunchMode::Spawn }
    }

    /// Returns the generation of the newest template.
    pub(super) fn generation(&self) -> u64 {
        self.generations.load(Ordering::Acquire)
    }

    /// Returns the process id of the template, if there is one.
    pub(super) async fn template_id(&self) -> Option<u32> {
        self.template.as_ref()?.lock().await.as_ref().and_then(Template::id)
    }

    /// Makes a process that is ready for a job.
    pub(super) async fn launch(self: &Arc<Self>) -> Result<Sandbox, SpawnError> {
        if self.template.is_none() {
            return Sandbox::spawn(&self.config).await;
        }
        let (sandbox, due) = self.fork().await?;
        if due && !self.renewing.swap(true, Ordering::AcqRel) {
            let launcher = Arc::clone(self);
            tokio::spawn(async move { launcher.renew().await });
        }
        Ok(sandbox)
    }

    /// Makes a copy of the template. Returns true with it if the template has served its time.
    async fn fork(&self) -> Result<(Sandbox, bool), SpawnError> {
        let template = self.template.as_ref().ok_or(SpawnError::NotReady)?;
        let mut current = template.lock().await;
        // Taken out, so that it is lost if it fails or this future is dropped.
        let mut used = match current.take() {
            Some(template) if template.generation >= self.distrusted_below.load(Ordering::Acquire) => {
                template
            }
            _ => self.start_template().await?,
        };
        let made = match used.fork().await {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(%error, "the template of sandbox processes was lost: another takes its place");
                used = self.start_template().await?;
                used.fork().await?
            }
        };
        let (process, socket) = made;
        let generation = used.generation;
        let due = used.is_due(self.config.copies_per_template);
        *current = Some(used);
        drop(current);
        let sandbox = Sandbox::from_template(process, socket, generation);
        Ok((sandbox.into_ready(&self.config).await?, due))
    }

    async fn start_template(&self) -> Result<Template, SpawnError> {
        let generation = self.generations.fetch_add(1, Ordering::AcqRel) + 1;
        Template::start(&self.config, generation).await
    }

    /// Replaces a template that has served its time. The old one makes processes until the new one can.
    async fn renew(&self) {
        match self.start_template().await {
            Ok(fresh) => {
                if let Some(template) = &self.template {
                    *template.lock().await = Some(fresh);
                }
            }
            Err(error) => tracing::warn!(%error, "the template of sandbox processes could not be replaced"),
        }
        self.renewing.store(false, Ordering::Release);
    }

    /// Excludes the template of a process that ended badly: a script may have learnt its address layout.
    pub(super) fn distrust(&self, sandbox: &Sandbox) {
        self.distrusted_below.fetch_max(sandbox.generation() + 1, Ordering::AcqRel);
    }

    /// Returns true if this process is a copy of a template that is not used again.
    pub(super) fn distrusts(&self, sandbox: &Sandbox) -> bool {
        self.template.is_some() && sandbox.generation() < self.distrusted_below.load(Ordering::Acquire)
    }
}
