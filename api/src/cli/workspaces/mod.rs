//! `api workspaces set`: a workspace's share of the workers.

pub mod erase;

use crate::{
    config::DatabaseConfig,
    db::{self, pool},
};
use anyhow::{Context, bail};
use shared::config::Environment;
use std::{ops::RangeInclusive, sync::Arc};

const WEIGHTS: RangeInclusive<i32> = 1..=100;

/// What is asked for; what is left out stays.
#[derive(Debug, PartialEq, Eq)]
pub struct Share {
    pub workspace: String,
    /// Its turns while others wait too, compared with theirs.
    pub weight: Option<i32>,
    /// Executions that may run at a time; 0 is what `WORKSPACE_CONCURRENCY` says.
    pub concurrency: Option<i32>,
}

impl Share {
    /// Reads `--workspace SLUG [--weight 1..100] [--concurrency N]`.
    pub fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let (mut workspace, mut weight, mut concurrency) = (None, None, None);
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().with_context(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--workspace" => workspace = Some(value.clone()),
                "--weight" => weight = Some(number(option, value, &WEIGHTS)?),
                "--concurrency" => concurrency = Some(number(option, value, &(0..=i32::MAX))?),
                other => bail!("unknown option {other}; known are --workspace, --weight and --concurrency"),
            }
        }
        Ok(Self { workspace: workspace.context("--workspace SLUG is required")?, weight, concurrency })
    }
}

fn number(option: &str, value: &str, range: &RangeInclusive<i32>) -> anyhow::Result<i32> {
    value
        .parse()
        .ok()
        .filter(|number| range.contains(number))
        .with_context(|| format!("{option} must be a whole number from {} to {}", range.start(), range.end()))
}

/// Sets the share and prints what now holds.
pub async fn set(environment: Environment, arguments: &[String]) -> anyhow::Result<()> {
    let share = Share::read(arguments)?;
    let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
    let (weight, limit) = db::workspaces::set_share(&pool, &share.workspace, share.weight, share.concurrency)
        .await?
        .with_context(|| format!("there is no workspace {}", share.workspace))?;
    let limit = limit.map_or_else(|| "as configured".to_owned(), |limit| limit.to_string());
    println!("{}: weight {weight}, concurrency {limit}", share.workspace);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Share, String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Share::read(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_held_to_their_bounds() {
        let share = read(&["--workspace", "demo", "--weight", "3"]).unwrap();
        assert_eq!((share.weight, share.concurrency), (Some(3), None));
        assert_eq!(
            read(&["--workspace", "demo", "--weight", "101"]),
            Err("--weight must be a whole number from 1 to 100".into())
        );
        assert!(read(&["--workspace", "demo", "--concurrency", "-1"]).is_err());
        assert!(read(&["--weight", "3"]).is_err());
    }
}
