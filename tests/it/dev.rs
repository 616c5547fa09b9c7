//! `make dev` as users run it, with programs that are already built.

use anyhow::{Context as _, ensure};
use e2e::{client::http, program::folder_of_binaries};
use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::{interval, timeout},
};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(2);
/// Files in which the scripts store process ids. `data` is a link to the servers' folder if their user can't access
/// this one.
const RECORDED: [&str; 6] =
    ["supervisor.pid", "api.pid", "worker.pid", "postgres.pid", "rabbitmq.pid", "epmd.pid"];
const FOLDERS: [&str; 3] = ["", "services", "services/data"];

/// Folder instead of `.dev/`, whose stack is stopped at the end of the test.
struct Dev(PathBuf);

impl Dev {
    fn create() -> Self {
        Self(std::env::temp_dir().join(format!("runnerctl-dev-{}", Uuid::now_v7().simple())))
    }

    fn script(&self, argument: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/dev"));
        command.arg(argument).env("DEV_FOLDER", &self.0).env("DEV_PROGRAMS", folder_of_binaries()?);
        command.stdin(Stdio::null());
        Ok(command)
    }

    async fn run(&self, argument: &str) -> anyhow::Result<Output> {
        let output = timeout(PATIENCE, self.script(argument)?.env("DETACH", "1").output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dev {argument}: {said}");
        Ok(output)
    }

    /// Returns the process ids that the scripts stored.
    fn pids(&self) -> Vec<String> {
        let files =
            FOLDERS.iter().flat_map(|folder| RECORDED.iter().map(move |file| self.0.join(folder).join(file)));
        let pid = |file| std::fs::read_to_string(file).ok()?.split(' ').next().map(str::to_owned);
        files.filter_map(pid).collect()
    }

    fn setting(&self, name: &str) -> anyhow::Result<String> {
        let env = std::fs::read_to_string(self.0.join("env"))?;
        let prefix = format!("{name}=");
        Ok(env.lines().find_map(|line| line.strip_prefix(&prefix)).context(name.to_owned())?.to_owned())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let mut stop = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/dev"));
        let _ = stop.arg("stop").env("DEV_FOLDER", &self.0).output();
        // The servers' data may be in another folder, with a link to it.
        if let Ok(elsewhere) = std::fs::read_link(self.0.join("services/data")) {
            let _ = std::fs::remove_dir_all(elsewhere);
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns whether the process runs. A zombie does not.
fn is_alive(pid: &String) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

async fn answers(url: &str) -> bool {
    http().get(url).send().await.is_ok_and(|answer| answer.status().is_success())
}

#[tokio::test]
async fn detached_dev_runs_a_script_and_restarts_a_crashed_worker() -> anyhow::Result<()> {
    let dev = Dev::create();
    let output = dev.run("start").await?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("status    completed"), "{said}");
    assert!(said.contains(r#""hours":55"#) && said.contains("left In Progress"), "{said}");
    for name in [
        "API_URL",
        "API_KEY",
        "WORKSPACE",
        "RUNNER_HMAC_SECRET_KEY",
        "DATABASE_URL",
        "AMQP_URL",
        "WORKER_URL",
    ] {
        dev.setting(name)?;
    }

    let health = format!("{}/health", dev.setting("WORKER_URL")?);
    let worker = || {
        std::fs::read_to_string(dev.0.join("worker.pid"))
            .map(|text| text.split(' ').next().map(str::to_owned))
    };
    let first = worker()?.context("a pid")?;
    ensure!(Command::new("kill").args(["-KILL", &first]).status().await?.success());
    timeout(PATIENCE, async {
        let mut look = interval(Duration::from_millis(50));
        while worker().ok().flatten().is_none_or(|pid| pid == first) || !answers(&health).await {
            look.tick().await;
        }
    })
    .await
    .context("a worker after the crash")?;

    let pids = dev.pids();
    assert!(pids.len() == RECORDED.len(), "{pids:?}");
    dev.run("stop").await?;
    assert!(!pids.iter().any(is_alive), "{pids:?}");
    Ok(())
}

#[tokio::test]
async fn foreground_dev_stops_everything_at_an_interrupt() -> anyhow::Result<()> {
    let dev = Dev::create();
    let mut child = dev.script("start")?.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("it is piped")?).lines();
    timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await? {
            if line.starts_with("Ctrl-C") {
                return Ok(());
            }
        }
        anyhow::bail!("it ended before it was ready")
    })
    .await??;
    let pids = dev.pids();
    let interrupted = child.id().context("it runs")?.to_string();
    ensure!(Command::new("kill").args(["-INT", &interrupted]).status().await?.success());
    // Reads the remaining output, so that a full pipe never blocks the program.
    let rest = async { while let Ok(Some(_)) = lines.next_line().await {} };
    let (status, ()) = timeout(PATIENCE, async { tokio::join!(child.wait(), rest) }).await?;
    assert!(status?.success());
    assert!(pids.len() == RECORDED.len() && !pids.iter().any(is_alive), "{pids:?}");
    Ok(())
}
