//! Programs of npm packages that tests run, installed from their lock file.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{Mutex, PoisonError},
};

const INPUTS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// Lock that serialises installations by the tests of one program.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Returns the `node_modules` of the package in `folder`. Makes them below `target` with `npm ci` if they are missing.
///
/// # Panics
/// If they can't be installed.
pub fn node_modules(folder: &Path, target: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    for input in INPUTS {
        fs::read(folder.join(input)).unwrap_or_else(|error| panic!("{input}: {error}")).hash(&mut hasher);
    }
    let installed = target.join(format!("npm-{:016x}", hasher.finish()));
    let _turn = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if !installed.is_dir() {
        // Installed in another folder and renamed: several test programs may do this at once, and one may be
        // interrupted.
        let partial = target.join(format!("npm-{}", process::id()));
        fs::create_dir_all(&partial).expect("a folder can be made");
        for input in INPUTS {
            fs::copy(folder.join(input), partial.join(input)).expect("a file can be copied");
        }
        let output = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&partial)
            .output()
            .expect("npm starts");
        assert!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr));
        if fs::rename(&partial, &installed).is_err() {
            // Another program has installed them first.
            fs::remove_dir_all(&partial).expect("a folder can be removed");
        }
    }
    installed.join("node_modules")
}
