//! `api reseal`: seals every secret with the newest key, so that an older one can be dropped from `ENCRYPTION_KEY`.

use crate::{
    config::DatabaseConfig,
    db::{
        pool,
        reencrypt::{self, Resealed},
    },
};
use anyhow::Context;
use shared::{config::Environment, encryption::Keyring};
use std::sync::Arc;

pub async fn run(mut environment: Environment) -> anyhow::Result<()> {
    let keyring = environment.required_as("ENCRYPTION_KEY", Keyring::parse);
    let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
    let keyring = keyring.context("ENCRYPTION_KEY is required")?;
    let Resealed { plane_tokens, variables, scripts, executions } =
        reencrypt::reseal(&pool, &keyring).await?;
    println!(
        "sealed anew: {variables} workspace variables, {scripts} scripts' environments, {plane_tokens} Plane tokens, \
         {executions} executions that wait or run"
    );
    Ok(())
}
