//! `api rotate-encryption-key`: encrypts every secret with the first key of `ENCRYPTION_KEY`.

use crate::{
    config::DatabaseConfig,
    db::{
        pool,
        reencrypt::{self, Reencrypted},
    },
};
use anyhow::Context;
use shared::{config::EnvReader, encryption::Keyring};
use std::sync::Arc;

pub(super) async fn run(mut environment: EnvReader) -> anyhow::Result<()> {
    let keyring = environment.required_as("ENCRYPTION_KEY", Keyring::parse);
    let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
    let keyring = keyring.context("ENCRYPTION_KEY is required")?;
    let Reencrypted { plane_tokens, variables, scripts, executions } =
        reencrypt::reencrypt_all(&pool, &keyring).await?;
    println!(
        "encrypted with the first key: {variables} workspace variables, {scripts} scripts' environments, \
         {plane_tokens} Plane tokens, {executions} executions that wait or run"
    );
    Ok(())
}
