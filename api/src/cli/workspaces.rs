//! `api workspaces`: shares of the workers, pauses, and deletion.

use super::{WorkspaceArgument, unknown_workspace};
use crate::{
    config::DatabaseConfig,
    db::{self, pool, workspaces::WorkspaceLoad},
};
use clap::{Subcommand, value_parser};
use shared::config::EnvReader;
use sqlx::PgPool;
use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum WorkspacesCommand {
    /// List workspaces with their settings and unfinished executions, the busiest first
    List {
        /// Number of workspaces
        #[arg(long, default_value_t = 50, value_parser = value_parser!(i64).range(1..=100_000))]
        count: i64,
    },
    /// Start no more executions of a workspace: they are accepted and wait, those that run go on
    Pause {
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Start the executions of a paused workspace again
    Resume {
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Set a workspace's share of the workers; options that are left out stay as they are
    Set {
        #[command(flatten)]
        workspace: WorkspaceArgument,
        /// Weight of this workspace's share while others wait too, from 1 to 100
        #[arg(long, value_parser = value_parser!(i32).range(1..=100))]
        weight: Option<i32>,
        /// Executions that may run at a time; 0 returns to `WORKSPACE_CONCURRENCY`
        #[arg(long, value_parser = value_parser!(i32).range(0..))]
        concurrency: Option<i32>,
    },
    /// Delete all data of a workspace permanently; run it again if it was interrupted
    Erase {
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
}

impl WorkspacesCommand {
    pub(super) async fn run(self, environment: EnvReader) -> anyhow::Result<()> {
        let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
        match self {
            Self::List { count } => list(&pool, count).await,
            Self::Pause { workspace } => set_paused(&pool, &workspace.workspace, true).await,
            Self::Resume { workspace } => set_paused(&pool, &workspace.workspace, false).await,
            Self::Set { workspace, weight, concurrency } => {
                set(&pool, &workspace.workspace, weight, concurrency).await
            }
            Self::Erase { workspace } => erase(&pool, workspace.id(&pool).await?).await,
        }
    }
}

async fn list(pool: &PgPool, count: i64) -> anyhow::Result<()> {
    let workspaces = db::workspaces::list_with_load(pool, count).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "workspace\tqueued\trunning\tweight\tconcurrency\tstate")?;
    for workspace in &workspaces {
        let WorkspaceLoad { slug, queued, running, dispatch_weight, .. } = workspace;
        let limit = concurrency_text(workspace.max_running);
        let state = if workspace.paused_at.is_some() { "paused" } else { "active" };
        writeln!(out, "{slug}\t{queued}\t{running}\t{dispatch_weight}\t{limit}\t{state}")?;
    }
    Ok(())
}

async fn set_paused(pool: &PgPool, slug: &str, is_paused: bool) -> anyhow::Result<()> {
    if !db::workspaces::set_paused(pool, slug, is_paused).await? {
        return Err(unknown_workspace(slug));
    }
    println!("{slug}: {}", if is_paused { "paused" } else { "active" });
    Ok(())
}

fn concurrency_text(limit: Option<i32>) -> String {
    limit.map_or_else(|| "as configured".to_owned(), |limit| limit.to_string())
}

async fn set(pool: &PgPool, slug: &str, weight: Option<i32>, concurrency: Option<i32>) -> anyhow::Result<()> {
    let (weight, limit) = db::workspaces::set_share(pool, slug, weight, concurrency)
        .await?
        .ok_or_else(|| unknown_workspace(slug))?;
    println!("{slug}: weight {weight}, concurrency {}", concurrency_text(limit));
    Ok(())
}

/// Seconds between two lines of progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

async fn erase(pool: &PgPool, workspace_id: Uuid) -> anyhow::Result<()> {
    let mut last = Instant::now();
    let erased = db::workspace_deletion::erase(pool, workspace_id, |progress| {
        if last.elapsed() >= REPORT_INTERVAL {
            last = Instant::now();
            eprintln!("{progress}");
        }
    })
    .await?;
    println!(
        "{} executions with {} log lines, {} scripts and {} functions erased",
        erased.executions, erased.log_lines, erased.scripts, erased.functions
    );
    Ok(())
}
