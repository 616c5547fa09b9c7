//! `api top`: the scripts that use the platform most.

use crate::{
    config::DatabaseConfig,
    db::{
        pool,
        top::{self, ScriptUse},
    },
};
use clap::{Args, ValueEnum, value_parser};
use shared::config::EnvReader;
use std::{io::Write as _, sync::Arc};

/// Arguments of `api top`.
#[derive(Debug, Args)]
pub(super) struct TopArguments {
    /// Minutes to look back
    #[arg(long, default_value_t = 15, value_parser = value_parser!(i32).range(1..=10_080))]
    minutes: i32,
    /// Value to order by
    #[arg(long, value_enum, default_value_t = Order::Slots)]
    by: Order,
    /// Number of scripts
    #[arg(long, default_value_t = 20, value_parser = value_parser!(i64).range(1..=1000))]
    count: i64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    /// Time in slots
    Slots,
    /// Processor time
    Cpu,
    /// Number of executions
    Executions,
    /// Number of executions that ended with an error
    Errors,
    /// Longest wait in the queue
    Wait,
}

impl Order {
    /// Returns the name in the statement.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Slots => "slots",
            Self::Cpu => "cpu",
            Self::Executions => "executions",
            Self::Errors => "errors",
            Self::Wait => "wait",
        }
    }
}

impl TopArguments {
    pub(super) async fn run(self, environment: EnvReader) -> anyhow::Result<()> {
        let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
        let scripts = top::scripts(&pool, self.minutes, self.by.as_str(), self.count).await?;
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "slot s\tcpu s\truns\terrors\tunfinished\tlongest wait s\tworkspace\tscript id\tscript"
        )?;
        for script in &scripts {
            writeln!(out, "{}", line(script))?;
        }
        Ok(())
    }
}

/// Returns the columns of one script, separated by tabs.
fn line(script: &ScriptUse) -> String {
    let ScriptUse { workspace, executions, errors, unfinished, slot_s, cpu_s, .. } = script;
    let wait = script.longest_wait_s.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"));
    let id = script.script_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    // A name may hold any character, and the line is for a terminal.
    let name = script.script.as_deref().map_or_else(
        || "test runs".to_owned(),
        |name| name.chars().map(|character| if character.is_control() { ' ' } else { character }).collect(),
    );
    format!(
        "{slot_s:.1}\t{cpu_s:.1}\t{executions}\t{errors}\t{unfinished}\t{wait}\t{workspace}\t{id}\t{name}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_column() {
        let script = ScriptUse {
            workspace: "acme".to_owned(),
            script_id: None,
            script: Some("a\tb\u{1b}[2J".to_owned()),
            executions: 3,
            errors: 1,
            unfinished: 0,
            slot_s: 1.5,
            cpu_s: 0.5,
            longest_wait_s: None,
        };
        assert_eq!(line(&script), "1.5\t0.5\t3\t1\t0\t-\tacme\t-\ta b [2J");
    }
}
