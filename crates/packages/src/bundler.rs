//! Bundler: esbuild's native program, one short-lived process per bundle.
//!
//! Invariant: the process reads only its folder. Landlock enforces that where the kernel supports it. On every kernel,
//! the bundler's list of inputs is checked before its output is used. The process has no environment, no network and no
//! standard input.

use crate::{MAX_BUNDLE_BYTES, specifier::Specifier, temp_dir::TempDir};
use builder::{BundledImports, Import, NODE_MODULES};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// Name of the variable that holds the bundle's value.
pub(crate) const VARIABLE: &str = "packages";

const ENTRY: &str = "entry.js";
const OUTPUT: &str = "output.js";
const METAFILE: &str = "meta.json";
const MESSAGES: &str = "messages.txt";
/// Name of the stub file that replaces a module of Node.
const STUB: &str = "node-module.js";
/// Time limit of one process. lodash takes 0.05 s.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Interval at which the end of the process is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum length of a message of the bundler that is shown to an author, in characters.
const MAX_MESSAGE_CHARACTERS: usize = 300;

/// Errors of bundling. The texts are shown to the author.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("`{package}` needs the Node.js module `{module}`, which is not available in scripts.")]
    NodeModule { package: String, module: String },
    #[error(
        "The bundle is {bytes} bytes large; the limit is {MAX_BUNDLE_BYTES}. Import less of the package."
    )]
    TooLarge { bytes: u64 },
    #[error("The packages can't be bundled: {0}")]
    Bundler(String),
    #[error("The packages could not be bundled within {} s.", TIME_LIMIT.as_secs())]
    TimeLimit,
    #[error("A package imports a file outside of the installed packages.")]
    Outside,
    #[error("Packages can't be bundled just now; try again later.")]
    Unavailable(#[source] io::Error),
}

#[derive(Deserialize)]
struct Meta {
    inputs: BTreeMap<String, Input>,
    outputs: BTreeMap<String, Output>,
}

#[derive(Deserialize)]
struct Input {
    imports: Vec<InputImport>,
}

#[derive(Deserialize)]
struct InputImport {
    path: String,
}

#[derive(Deserialize)]
struct Output {
    inputs: BTreeMap<String, OutputInput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutputInput {
    bytes_in_output: u64,
}

#[derive(Debug)]
pub(crate) struct Bundler {
    program: PathBuf,
}

impl Bundler {
    pub(crate) const fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Makes a script that assigns an object with the properties of `bundled` to [`VARIABLE`].
    pub(crate) async fn bundle(
        &self,
        folder: &TempDir,
        bundled: &BundledImports,
        specifiers: &[Specifier],
    ) -> Result<String, BundleError> {
        let folder = folder.path().to_owned();
        let program = self.program.clone();
        let entry = entry(bundled, specifiers);
        // On a thread of its own, because a thread cannot regain the rights that it gives up.
        let (done, result) = tokio::sync::oneshot::channel();
        thread::spawn(move || drop(done.send(bundle(&program, &folder, &entry))));
        let result = result.await;
        result.unwrap_or_else(|_| Err(BundleError::Unavailable(io::Error::other("the thread ended early"))))
    }
}

/// Writes a module that exports the imports of the script under the property names of the builder.
fn entry(bundled: &BundledImports, specifiers: &[Specifier]) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut entry = String::new();
    for (Import { module, names, .. }, specifier) in bundled.imports.iter().zip(specifiers) {
        let from = quoted(&format!("{}{}", specifier.name, specifier.part));
        if names.is_empty() {
            let _ = writeln!(entry, "import {from};");
        }
        for name in names {
            let Some(property) = bundled.property(module, name) else { continue };
            let _ = if name == Import::NAMESPACE {
                writeln!(entry, "export * as {property} from {from};")
            } else {
                writeln!(entry, "export {{ {} as {property} }} from {from};", quoted(name))
            };
        }
    }
    entry
}

fn bundle(program: &Path, folder: &Path, entry: &str) -> Result<String, BundleError> {
    let modules = prepare(folder, entry).map_err(BundleError::Unavailable)?;
    let status = run(program, folder, &modules)?;
    check_status(status, folder)?;
    let meta = fs::read(folder.join(METAFILE)).map_err(BundleError::Unavailable)?;
    let meta: Meta = serde_json::from_slice(&meta).map_err(|error| BundleError::Unavailable(error.into()))?;
    check(&meta)?;
    let bytes = fs::metadata(folder.join(OUTPUT)).map_err(BundleError::Unavailable)?.len();
    if bytes > MAX_BUNDLE_BYTES as u64 {
        return Err(BundleError::TooLarge { bytes });
    }
    fs::read_to_string(folder.join(OUTPUT)).map_err(BundleError::Unavailable)
}

/// Writes the entry module, and a stub for each module of Node without a package of the same name. Returns the names
/// that have a stub.
fn prepare(folder: &Path, entry: &str) -> io::Result<Vec<&'static str>> {
    fs::write(folder.join(ENTRY), entry)?;
    let mut stubs = Vec::new();
    for &module in NODE_MODULES {
        let stub = folder.join("node_modules").join(module);
        if stub.join(STUB).exists() {
            stubs.push(module);
        } else if !stub.exists() {
            fs::create_dir_all(&stub)?;
            // Without side effects, the bundler drops an unused stub.
            let package = format!(r#"{{"sideEffects":false,"exports":{{".":"./{STUB}","./*":"./{STUB}"}}}}"#);
            fs::write(stub.join("package.json"), package)?;
            fs::write(stub.join(STUB), "module.exports = {};")?;
            stubs.push(module);
        }
    }
    Ok(stubs)
}

/// Tells a fault of the packages from the end of a process that was killed, perhaps with all processes of its service.
fn check_status(status: ExitStatus, folder: &Path) -> Result<(), BundleError> {
    match status.signal() {
        Some(signal) => {
            let error = io::Error::other(format!("the bundler was ended by signal {signal}"));
            Err(BundleError::Unavailable(error))
        }
        None if status.success() => Ok(()),
        None => Err(BundleError::Bundler(first_message(folder))),
    }
}

fn run(program: &Path, folder: &Path, modules: &[&str]) -> Result<ExitStatus, BundleError> {
    // Opened before access to outside files is dropped.
    let null = || File::open("/dev/null");
    let messages = File::create(folder.join(MESSAGES)).map_err(BundleError::Unavailable)?;
    let mut command = Command::new(program);
    command
        .args([ENTRY, "--bundle", "--format=iife", "--platform=browser", "--target=esnext", "--charset=utf8"])
        .args([
            "--minify-whitespace",
            "--minify-syntax",
            "--legal-comments=none",
            "--define:global=globalThis",
        ])
        .args(["--log-level=error", "--log-limit=1", "--color=false", "--tsconfig-raw={}"])
        .arg(format!("--global-name={VARIABLE}"))
        .arg(format!("--outfile={OUTPUT}"))
        .arg(format!("--metafile={METAFILE}"))
        .args(modules.iter().map(|module| format!("--alias:node:{module}={module}")))
        .current_dir(folder)
        .env_clear()
        .envs([("GOMEMLIMIT", "512MiB"), ("GOMAXPROCS", "2")])
        .stdin(null().map_err(BundleError::Unavailable)?)
        .stdout(null().map_err(BundleError::Unavailable)?)
        .stderr(messages);
    if let Err(error) = confine(program, folder) {
        tracing::warn!(%error, "Landlock is not active for the bundler");
    }
    let mut child = command.spawn().map_err(|error| {
        tracing::error!(program = %program.display(), %error, "the bundler of packages can't be started");
        BundleError::Unavailable(error)
    })?;
    let deadline = Instant::now() + TIME_LIMIT;
    loop {
        match child.try_wait().map_err(BundleError::Unavailable)? {
            Some(status) => return Ok(status),
            None if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(BundleError::TimeLimit);
            }
        }
    }
}

/// Restricts this thread and its child processes to the folder and the program, without network.
fn confine(program: &Path, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let abi = ABI::V4;
    let folder = PathBeneath::new(PathFd::new(folder)?, AccessFs::from_all(abi));
    let program = PathBeneath::new(PathFd::new(program)?, AccessFs::ReadFile | AccessFs::Execute);
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rule(folder)?
        .add_rule(program)?
        .restrict_self()?;
    Ok(())
}

/// Returns the first message of the bundler, for display only.
fn first_message(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join(MESSAGES)).unwrap_or_default();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("the bundler wrote no message.");
    line.trim_start_matches(['✘', ' '])
        .trim_start_matches("[ERROR] ")
        .chars()
        .take(MAX_MESSAGE_CHARACTERS)
        .collect()
}

fn check(meta: &Meta) -> Result<(), BundleError> {
    let own = |path: &str| {
        let path = path.strip_prefix("(disabled):").unwrap_or(path);
        path == ENTRY || (path.starts_with("node_modules/") && !path.split('/').any(|step| step == ".."))
    };
    if !meta.inputs.keys().all(|path| own(path)) {
        return Err(BundleError::Outside);
    }
    let used: Vec<&str> = meta
        .outputs
        .values()
        .flat_map(|output| &output.inputs)
        .filter(|(_, input)| input.bytes_in_output > 0)
        .map(|(path, _)| path.as_str())
        .collect();
    let stub = used.iter().find_map(|path| {
        let module = path.strip_prefix("node_modules/")?.strip_suffix(STUB)?.strip_suffix('/')?;
        NODE_MODULES.contains(&module).then_some((path, module))
    });
    let Some((stub, module)) = stub else { return Ok(()) };
    let importer = used.iter().find(|path| {
        meta.inputs.get(**path).is_some_and(|input| input.imports.iter().any(|import| import.path == **stub))
    });
    let package = importer.map_or("A package", |path| package_of(path));
    Err(BundleError::NodeModule { package: package.to_owned(), module: module.to_owned() })
}

/// Name of the innermost package of a path: `a` for `node_modules/b/node_modules/a/lib/index.js`.
fn package_of(path: &str) -> &str {
    let name = path.rsplit_once("node_modules/").map_or(path, |(_, rest)| rest);
    let end = name.match_indices('/').map(|(at, _)| at).nth(usize::from(name.starts_with('@')));
    &name[..end.unwrap_or(name.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_package() {
        assert_eq!(package_of("node_modules/a/index.js"), "a");
        assert_eq!(package_of("node_modules/b/node_modules/@s/a/lib/x.js"), "@s/a");
    }

    #[test]
    fn a_killed_bundler_is_no_fault_of_the_packages() {
        // A wait status has the signal in its low byte, and the exit code above it.
        let checked = |status| check_status(ExitStatus::from_raw(status), Path::new("/nonexistent"));
        assert!(matches!(checked(15), Err(BundleError::Unavailable(_))));
        assert!(matches!(checked(1 << 8), Err(BundleError::Bundler(_))));
        assert!(matches!(checked(0), Ok(())));
    }

    fn checked(json: &str) -> Result<(), BundleError> {
        check(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn inputs_from_elsewhere_are_refused() {
        for path in ["../secret.json", "/etc/passwd", "node_modules/a/../../../x.js", "other/x.js"] {
            let result = checked(&format!(r#"{{"inputs":{{"{path}":{{"imports":[]}}}},"outputs":{{}}}}"#));
            assert!(matches!(result, Err(BundleError::Outside)), "{path}: {result:?}");
        }
    }

    #[test]
    fn a_node_module_is_named_with_the_package_that_needs_it() {
        let inputs = r#""inputs":{"entry.js":{"imports":[]},"node_modules/fs/node-module.js":{"imports":[]},
            "node_modules/@s/a/x.js":{"imports":[{"path":"node_modules/fs/node-module.js"}]}}"#;
        let with = |bytes: u32| {
            format!(
                r#"{{{inputs},"outputs":{{"output.js":{{"inputs":{{"node_modules/@s/a/x.js":{{"bytesInOutput":9}},
                "node_modules/fs/node-module.js":{{"bytesInOutput":{bytes}}}}}}}}}}}"#
            )
        };
        let message = checked(&with(20)).unwrap_err().to_string();
        assert_eq!(message, "`@s/a` needs the Node.js module `fs`, which is not available in scripts.");
        assert!(checked(&with(0)).is_ok(), "what is not in the output is not needed");
    }
}
