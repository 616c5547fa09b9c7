//! `api migrate`: brings the schema to the version that this build expects.

use crate::{
    config::DatabaseConfig,
    db::{self, pool},
};
use shared::config::EnvReader;
use std::sync::Arc;

pub(super) async fn run(environment: EnvReader) -> anyhow::Result<()> {
    let config = DatabaseConfig::read(environment)?;
    pool::migrate(&config.url).await?;
    // The partitions that came with the schema may be in the past.
    db::retention::make_partitions(&pool::pool(&config, &Arc::default())?).await?;
    tracing::info!("database schema is up to date");
    Ok(())
}
