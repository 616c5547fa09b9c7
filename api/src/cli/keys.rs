//! `api keys`: API keys of a workspace.

use super::WorkspaceArgument;
use crate::{
    config::DatabaseConfig,
    db::{self, pool},
    model::{
        api_key::{NewKey, Scope},
        pagination::{MAX_PER_PAGE, PageRequest},
    },
};
use anyhow::bail;
use clap::{Subcommand, ValueEnum, builder::PossibleValue};
use shared::config::EnvReader;
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Create a key and print it, once; creates the workspace if there is none
    Create {
        #[command(flatten)]
        workspace: WorkspaceArgument,
        /// Permissions of the key, separated by commas
        #[arg(long, value_delimiter = ',', default_values = ["read", "write", "execute", "secrets"])]
        scopes: Vec<Scope>,
        /// Name that tells the key apart in lists
        #[arg(long, default_value = "command line")]
        name: String,
    },
    /// List the keys in use: id, prefix, scopes, last use and name
    List {
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Revoke a key; requests with it are rejected at once
    Revoke {
        #[command(flatten)]
        workspace: WorkspaceArgument,
        /// Id of the key, as `keys list` prints it
        id: Uuid,
    },
}

impl ValueEnum for Scope {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl KeysCommand {
    pub(super) async fn run(self, environment: EnvReader) -> anyhow::Result<()> {
        let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
        match self {
            Self::Create { workspace, scopes, name } => {
                create(&pool, &workspace.workspace, &name, &scopes).await
            }
            Self::List { workspace } => list(&pool, workspace.id(&pool).await?).await,
            Self::Revoke { workspace, id } => revoke(&pool, workspace.id(&pool).await?, id).await,
        }
    }
}

/// Creates a key and prints it alone on standard output, so that a script can capture it.
async fn create(pool: &PgPool, slug: &str, name: &str, scopes: &[Scope]) -> anyhow::Result<()> {
    let workspace_id = db::workspaces::id_of(pool, slug).await?;
    let key = NewKey::random();
    db::api_keys::insert(pool, workspace_id, name, &key, scopes).await?;
    println!("{}", key.text);
    Ok(())
}

async fn list(pool: &PgPool, workspace_id: Uuid) -> anyhow::Result<()> {
    let mut page = PageRequest { before: None, per_page: MAX_PER_PAGE };
    loop {
        let keys = db::api_keys::list(pool, workspace_id, page).await?;
        for key in &keys {
            let used = key.last_used_at.map_or_else(|| "never".to_owned(), |time| time.to_rfc3339());
            println!("{}\t{}\t{}\t{used}\t{}", key.id, key.prefix, key.scopes.join(","), key.name);
        }
        match keys.last() {
            Some(last) => page.before = Some(last.id),
            None => return Ok(()),
        }
    }
}

async fn revoke(pool: &PgPool, workspace_id: Uuid, id: Uuid) -> anyhow::Result<()> {
    if !db::api_keys::revoke(pool, workspace_id, id).await? {
        bail!("the workspace has no key {id}; `api keys list` shows those in use");
    }
    println!("{id} revoked");
    Ok(())
}
