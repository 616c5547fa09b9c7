//! `api workspaces erase`: deletes what a workspace that is gone has left.

use crate::{
    config::DatabaseConfig,
    db::{self, pool},
};
use anyhow::{Context, bail};
use shared::config::Environment;
use std::sync::Arc;

/// Deletes everything, and says how much. A crash in between leaves less to do for the next time.
pub async fn erase(environment: Environment, arguments: &[String]) -> anyhow::Result<()> {
    let [option, slug] = arguments else { bail!("usage: api workspaces erase --workspace SLUG") };
    if option != "--workspace" {
        bail!("unknown option {option}; known is --workspace");
    }
    let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
    let workspace_id = db::workspaces::find(&pool, slug).await?;
    let workspace_id = workspace_id.with_context(|| format!("there is no workspace {slug:?}"))?;
    let erased = db::workspace_deletion::erase(&pool, workspace_id).await?;
    println!(
        "{} executions, {} scripts and {} functions erased",
        erased.executions, erased.scripts, erased.functions
    );
    Ok(())
}
