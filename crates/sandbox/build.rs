//! Build script that bundles `runtime/` (the JavaScript inside the isolate) into `OUT_DIR/runtime.js`.
//!
//! Needs Node 20 or newer and npm, at build time only. Modules are installed from the lock file into a folder of the
//! target directory, named after the hash of the lock file, so that the source tree stays clean and later builds reuse
//! them.

use std::{
    collections::hash_map::DefaultHasher,
    env, fmt, fs,
    hash::{Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const OLDEST_NODE: u32 = 20;
/// Files that `npm ci` reads.
const INSTALL_INPUTS: [&str; 4] = ["package.json", "package-lock.json", ".npmrc", "left-out/package.json"];

fn main() -> ExitCode {
    match bundle() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crates/sandbox/build.rs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bundle() -> Result<(), BuildError> {
    let manifest_dir = PathBuf::from(cargo_variable("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(cargo_variable("OUT_DIR")?);
    let runtime = manifest_dir.join("runtime");
    for input in ["src", "bundle.mjs"].iter().chain(&INSTALL_INPUTS) {
        println!("cargo::rerun-if-changed={}", runtime.join(input).display());
    }
    check_node()?;
    let modules = install(&runtime, &out_dir)?;
    run(Command::new("node").arg(runtime.join("bundle.mjs")).arg(&modules).arg(out_dir.join("runtime.js")))?;
    // Tests run the SDK in Node from there.
    println!("cargo::rustc-env=RUNTIME_MODULES={}", modules.display());
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn cargo_variable(name: &'static str) -> Result<String, BuildError> {
    env::var(name).map_err(|_| BuildError::NotCargo(name))
}

fn check_node() -> Result<(), BuildError> {
    let output = Command::new("node").arg("--version").output().map_err(BuildError::NoNode)?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= OLDEST_NODE) { Ok(()) } else { Err(BuildError::OldNode(version)) }
}

/// Returns the folder with the `node_modules` of the lock file. Makes it with `npm ci` if it is missing.
fn install(runtime: &Path, out_dir: &Path) -> Result<PathBuf, BuildError> {
    let mut hasher = DefaultHasher::new();
    for input in INSTALL_INPUTS {
        fs::read(runtime.join(input))
            .map_err(|error| BuildError::File(runtime.join(input), error))?
            .hash(&mut hasher);
    }
    // OUT_DIR is <target>/<profile>/build/<package>/out. All builds of one profile share the folder.
    let profile = out_dir.ancestors().nth(3).unwrap_or(out_dir);
    let modules = profile.join(format!("runtime-modules-{:016x}", hasher.finish()));
    if modules.is_dir() {
        return Ok(modules);
    }
    // Installed in another folder and renamed, so that an interrupted install is never mistaken for a complete one.
    let partial = out_dir.join("runtime-modules");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|error| BuildError::File(partial.clone(), error))?;
    }
    for input in INSTALL_INPUTS {
        let target = partial.join(input);
        let folder = target.parent().unwrap_or(&partial);
        fs::create_dir_all(folder)
            .and_then(|()| fs::copy(runtime.join(input), &target))
            .map_err(|error| BuildError::File(target.clone(), error))?;
    }
    run(Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&partial))?;
    fs::rename(&partial, &modules).map_err(|error| BuildError::File(modules.clone(), error))?;
    Ok(modules)
}

fn run(command: &mut Command) -> Result<(), BuildError> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| BuildError::Start(shown.clone(), error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(BuildError::Failed(shown, String::from_utf8_lossy(&output.stderr).into_owned()))
}

enum BuildError {
    NotCargo(&'static str),
    NoNode(io::Error),
    OldNode(String),
    File(PathBuf, io::Error),
    Start(String, io::Error),
    Failed(String, String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCargo(name) => write!(f, "{name} is not set; this program is run by cargo"),
            Self::NoNode(error) => write!(
                f,
                "Node.js {OLDEST_NODE} or newer and npm are needed to build the worker (not to run it), but `node` can't be started: {error}"
            ),
            Self::OldNode(version) => {
                write!(
                    f,
                    "Node.js {OLDEST_NODE} or newer is needed to build the worker; `node --version` says {version:?}"
                )
            }
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Start(command, error) => write!(f, "{command}: {error}"),
            Self::Failed(command, stderr) => write!(f, "{command} failed:\n{stderr}"),
        }
    }
}
