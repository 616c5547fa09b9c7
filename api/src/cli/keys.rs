//! `api keys create`: the first key of a workspace, printed once.

use crate::{
    config::DatabaseConfig,
    db::{self, pool},
    model::api_key::{NewKey, Scope},
};
use anyhow::{Context, bail};
use shared::config::Environment;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct CreateKey {
    pub workspace: String,
    pub name: String,
    pub scopes: Vec<Scope>,
}

impl CreateKey {
    /// Reads `--workspace SLUG [--scopes read,write,execute] [--name NAME]`.
    pub fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let mut workspace = None;
        let mut name = "command line".to_owned();
        let mut scopes = Scope::ALL.to_vec();
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().with_context(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--workspace" => workspace = Some(value.clone()),
                "--name" => name.clone_from(value),
                "--scopes" => scopes = read_scopes(value)?,
                other => bail!("unknown option {other}; known are --workspace, --scopes and --name"),
            }
        }
        let workspace = workspace.context("--workspace SLUG is required")?;
        if workspace.is_empty() || !workspace.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("--workspace must be visible ASCII characters without spaces");
        }
        Ok(Self { workspace, name, scopes })
    }
}

fn read_scopes(list: &str) -> anyhow::Result<Vec<Scope>> {
    let known = |text: &str| {
        Scope::named(text)
            .with_context(|| format!("unknown scope {text:?}; known are read, write and execute"))
    };
    list.split(',').map(|text| known(text.trim())).collect()
}

/// Makes the key, and the workspace if there is none, and prints the key alone on standard output.
pub async fn create(environment: Environment, arguments: &[String]) -> anyhow::Result<()> {
    let wanted = CreateKey::read(arguments)?;
    let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
    let workspace_id = db::workspaces::id_of(&pool, &wanted.workspace).await?;
    let key = NewKey::random();
    db::api_keys::insert(&pool, workspace_id, &wanted.name, &key, &wanted.scopes).await?;
    println!("{}", key.text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> anyhow::Result<CreateKey> {
        CreateKey::read(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn scopes_are_a_list_of_known_ones() {
        let wanted = read(&["--workspace", "demo", "--scopes", "read, execute"]).unwrap();
        assert_eq!(wanted.scopes, [Scope::Read, Scope::Execute]);
        assert!(read(&["--workspace", "demo", "--scopes", "admin"]).is_err());
        assert!(read(&["--scopes", "read"]).is_err());
    }
}
