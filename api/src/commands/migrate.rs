//! `api migrate`: brings the schema to what this build expects.

use crate::{config::DatabaseConfig, database};
use shared::config::Environment;

pub async fn run(environment: Environment) -> anyhow::Result<()> {
    let config = DatabaseConfig::read(environment)?;
    database::migrate(&config.url).await?;
    tracing::info!("the schema is up to date");
    Ok(())
}
