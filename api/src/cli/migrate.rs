//! `api migrate`: brings the schema to what this build expects.

use crate::{config::DatabaseConfig, db::pool};
use shared::config::Environment;

pub(super) async fn run(environment: Environment) -> anyhow::Result<()> {
    let config = DatabaseConfig::read(environment)?;
    pool::migrate(&config.url).await?;
    tracing::info!("the schema is up to date");
    Ok(())
}
