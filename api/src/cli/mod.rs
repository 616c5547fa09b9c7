//! The command line of the `api` program.

mod dead_letters;
pub(crate) mod fixtures;
mod keys;
mod migrate;
mod rotate_encryption_key;
pub(crate) mod serve;
mod top;
mod workspaces;

use crate::db;
use clap::{Parser, Subcommand};
use shared::{
    config::EnvReader,
    telemetry::{self, Settings, logs, traces},
    workspace::{SLUG_RULE, is_slug},
};
use sqlx::PgPool;
use std::path::PathBuf;
use uuid::Uuid;

/// The HTTP api of RunnerCtl, the relay of executions to the broker, and the administrator's commands.
///
/// Settings are environment variables: see docs/configuration.md.
#[derive(Debug, Parser)]
#[command(name = "api", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP and relay executions to the broker
    Serve,
    /// Bring the schema to the version that this build expects
    Migrate,
    /// Create and update system functions and scripts from fixture files
    Loaddata {
        /// Fixture files; all are loaded in one transaction
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// List the scripts that use the platform most: runs, errors, time in slots, longest wait
    Top(top::TopArguments),
    /// List workspaces, set their share of the workers, pause them, or delete one
    #[command(subcommand)]
    Workspaces(workspaces::WorkspacesCommand),
    /// List, show, requeue and drop messages that could not be processed
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Encrypt every secret with the first key of `ENCRYPTION_KEY`, so that older keys can be dropped
    #[command(alias = "reseal")]
    RotateEncryptionKey,
}

/// The workspace argument of a command.
#[derive(Debug, clap::Args)]
struct WorkspaceArgument {
    /// Slug of the workspace
    #[arg(long, value_name = "SLUG", value_parser = slug)]
    workspace: String,
}

impl WorkspaceArgument {
    /// Returns the id of the workspace, which must exist.
    async fn id(&self, pool: &PgPool) -> anyhow::Result<Uuid> {
        let found = db::workspaces::find(pool, &self.workspace).await?;
        found.ok_or_else(|| unknown_workspace(&self.workspace))
    }
}

fn unknown_workspace(slug: &str) -> anyhow::Error {
    anyhow::anyhow!("there is no workspace {slug:?}")
}

fn slug(text: &str) -> Result<String, &'static str> {
    if is_slug(text) { Ok(text.to_owned()) } else { Err(SLUG_RULE) }
}

impl Cli {
    /// Runs the command.
    pub async fn run(self, mut environment: EnvReader) -> anyhow::Result<()> {
        let settings = Settings::read_from(&mut environment);
        let log_control = logs::init(&settings)?;
        match self.command {
            Command::Serve => {
                let config = crate::config::Config::read(environment)?;
                log_control.toggle_on_signal()?;
                let metrics = telemetry::install_metrics()?;
                let tracing = traces::init(&settings, "runnerctl-api")?;
                let served = serve::run(config, metrics).await;
                tracing.finish().await;
                served
            }
            Command::Migrate => migrate::run(environment).await,
            Command::Loaddata { files } => fixtures::run(environment, &files).await,
            Command::Keys(command) => command.run(environment).await,
            Command::Top(arguments) => arguments.run(environment).await,
            Command::Workspaces(command) => command.run(environment).await,
            Command::DeadLetters(command) => command.run(environment).await,
            Command::RotateEncryptionKey => rotate_encryption_key::run(environment).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, error::ErrorKind};

    fn refusal(arguments: &[&str]) -> ErrorKind {
        Cli::try_parse_from(std::iter::once(&"api").chain(arguments)).unwrap_err().kind()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_of_every_subcommand_only_prints() {
        fn help_of(command: &clap::Command, path: &[&str]) {
            for subcommand in command.get_subcommands() {
                let path: Vec<&str> = path.iter().copied().chain([subcommand.get_name()]).collect();
                let asked: Vec<&str> = path.iter().copied().chain(["--help"]).collect();
                assert_eq!(refusal(&asked), ErrorKind::DisplayHelp, "{asked:?}");
                help_of(subcommand, &path);
            }
        }
        help_of(&Cli::command(), &[]);
    }

    #[test]
    fn the_former_name_of_the_key_rotation_still_works() {
        let cli = Cli::try_parse_from(["api", "reseal"]).unwrap();
        assert!(matches!(cli.command, Command::RotateEncryptionKey));
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let set = ["workspaces", "set", "--workspace", "demo"];
        for (option, value) in [("--weight", "101"), ("--weight", "0"), ("--concurrency", "x")] {
            assert_eq!(refusal(&[&set[..], &[option, value]].concat()), ErrorKind::ValueValidation);
        }
        assert_eq!(refusal(&["keys", "create", "--workspace", "a b"]), ErrorKind::ValueValidation);
        assert_eq!(refusal(&["keys", "create"]), ErrorKind::MissingRequiredArgument);
        let scopes = ["keys", "create", "--workspace", "demo", "--scopes", "admin"];
        assert_eq!(refusal(&scopes), ErrorKind::InvalidValue);
    }
}
