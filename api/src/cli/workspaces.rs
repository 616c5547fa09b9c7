//! `api workspaces`: shares of the workers, and deletion.

use super::{WorkspaceArgument, unknown_workspace};
use crate::{
    config::DatabaseConfig,
    db::{self, pool},
};
use clap::{Subcommand, value_parser};
use shared::config::EnvReader;
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum WorkspacesCommand {
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
            Self::Set { workspace, weight, concurrency } => {
                set(&pool, &workspace.workspace, weight, concurrency).await
            }
            Self::Erase { workspace } => erase(&pool, workspace.id(&pool).await?).await,
        }
    }
}

async fn set(pool: &PgPool, slug: &str, weight: Option<i32>, concurrency: Option<i32>) -> anyhow::Result<()> {
    let (weight, limit) = db::workspaces::set_share(pool, slug, weight, concurrency)
        .await?
        .ok_or_else(|| unknown_workspace(slug))?;
    let limit = limit.map_or_else(|| "as configured".to_owned(), |limit| limit.to_string());
    println!("{slug}: weight {weight}, concurrency {limit}");
    Ok(())
}

async fn erase(pool: &PgPool, workspace_id: Uuid) -> anyhow::Result<()> {
    let erased = db::workspace_deletion::erase(pool, workspace_id).await?;
    println!(
        "{} executions, {} scripts and {} functions erased",
        erased.executions, erased.scripts, erased.functions
    );
    Ok(())
}
