//! Running `api` or `worker` program.

use anyhow::{Context as _, ensure};
use std::{
    collections::BTreeMap,
    fs::File,
    net::TcpListener,
    ops::Range,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Ports on which programs of tests listen. `scripts/services` uses those above.
const PORTS: Range<u32> = 10_000..20_000;

/// Environment variables of a program.
pub type Settings = BTreeMap<String, String>;

/// Program that serves HTTP. Killed when the value is dropped.
pub struct Program {
    name: &'static str,
    child: Child,
    url: String,
    log: PathBuf,
}

impl Program {
    /// Starts `name serve` on a free port, with its log in a file below `folder`.
    ///
    /// # Errors
    /// If there is no such binary next to the running one.
    pub fn start(name: &'static str, settings: &Settings, folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(name, command(name, settings)?, folder)
    }

    /// Starts `name serve` as the leader of a process group, to which [`Program::drain_group`] sends its signal.
    ///
    /// # Errors
    /// If there is no such binary next to the running one.
    pub fn start_group(name: &'static str, settings: &Settings, folder: &Path) -> anyhow::Result<Self> {
        let mut command = command(name, settings)?;
        command.process_group(0);
        Self::start_with(name, command, folder)
    }

    fn start_with(name: &'static str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let port = free_port()?;
        let log = folder.join(format!("{name}-{port}.log"));
        let child = command
            .arg("serve")
            .env("PORT", port.to_string())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name, child, url: format!("http://127.0.0.1:{port}"), log })
    }

    /// Returns the base URL of the program.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until `path` is answered 200.
    ///
    /// # Errors
    /// If the program ends, or is not ready in 60 s.
    pub async fn ready(&mut self, http: &reqwest::Client, path: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_mins(1);
        let url = format!("{}{path}", self.url);
        loop {
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "{} ended ({ended:?}):\n{}", self.name, self.log_text());
            ensure!(Instant::now() < deadline, "{} is not ready after 60 s:\n{}", self.name, self.log_text());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends SIGTERM, like a deployment, and waits for the end of the program.
    ///
    /// # Errors
    /// If the program still runs after 60 s.
    pub async fn drain(self) -> anyhow::Result<ExitStatus> {
        self.signal("TERM")?;
        self.ended().await
    }

    /// Sends SIGTERM to the program and all its child processes, like systemd, and waits for the end of the program.
    /// The program must have been started by [`Program::start_group`].
    ///
    /// # Errors
    /// If the program still runs after 60 s.
    pub async fn drain_group(self) -> anyhow::Result<ExitStatus> {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill").args(["-s", "TERM", "--", &group]).status().context("kill")?;
        ensure!(status.success(), "{} leads no process group", self.name);
        self.ended().await
    }

    async fn ended(mut self) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "{} does not end:\n{}", self.name, self.log_text());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a signal, given by its name without SIG.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().context("kill")?;
        ensure!(status.success(), "{} takes no signal", self.name);
        Ok(())
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the program without warning, as if its machine failed.
    pub fn kill(self) {
        drop(self);
    }

    /// Returns the log so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail if the program has already ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `name arguments…` to the end and returns its standard output.
///
/// # Errors
/// If it fails. The error contains its standard error.
pub async fn run(name: &'static str, arguments: &[&str], settings: &Settings) -> anyhow::Result<String> {
    // Never blocks the runtime, on which the link to the program's server runs.
    let mut command = tokio::process::Command::from(command(name, settings)?);
    let output =
        command.args(arguments).kill_on_drop(true).output().await.with_context(|| format!("run {name}"))?;
    ensure!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns the target folder with `api` and `worker`, which is one level above the running test.
///
/// # Errors
/// If they are not built.
pub fn folder_of_binaries() -> anyhow::Result<PathBuf> {
    let ours = std::env::current_exe().context("the path of this program")?;
    let mut folders = ours.ancestors().skip(1).take(2);
    let built = folders.find(|folder| ["api", "worker"].iter().all(|name| folder.join(name).is_file()));
    Ok(built.context("api and worker are not built: `cargo build --workspace --bins`")?.to_owned())
}

fn command(name: &str, settings: &Settings) -> anyhow::Result<Command> {
    let mut command = Command::new(folder_of_binaries()?.join(name));
    command.env_clear().envs(settings).stdin(Stdio::null());
    Ok(command)
}

/// Returns a free port of the loopback address that no other test of this process gets. It lies below the range that
/// Linux assigns to clients, so that no other connection takes it before the program listens.
///
/// # Errors
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let candidates = (0..PORTS.end - PORTS.start).filter_map(|_| {
        let number = std::process::id().wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        u16::try_from(PORTS.start + number % (PORTS.end - PORTS.start)).ok()
    });
    let mut free = candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().context("a free port")
}
