//! npm packages for scripts, which are resolved, fetched, verified and bundled when a script is saved.
//!
//! Invariant: no code of a package runs here. Versions are chosen from the registry's metadata. Archives are verified
//! against the integrity hash of that metadata and unpacked into a folder that only the bundler reads. Install scripts
//! are never executed. The result is one JavaScript expression, stored with the build.

mod archive;
mod bundler;
mod config;
mod installed;
mod integrity;
mod range;
mod registry;
mod resolve;
mod resolved;
mod specifier;
mod temp_dir;

pub use config::PackagesConfig;
pub use resolved::ResolvedPackages;

use builder::{BundledImports, Import};
use bundler::{BundleError, Bundler};
use installed::InstalledPackage;
use registry::Registry;
use resolve::Root;
use specifier::{Allowed, Specifier};
use std::{sync::Arc, time::Duration};
use temp_dir::TempDir;
use tokio::sync::Semaphore;

/// Maximum size of a bundle that is stored with a build, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 2 * 1024 * 1024;
/// Time limit from the first request to the registry until the bundle is complete.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// Maximum number of bundles made at the same time. Each takes about one processor and some hundred MiB while it runs.
const MAX_CONCURRENT_BUNDLES: usize = 2;

/// Maximum number of modules that a text imports. Every import is compared with those before it.
const MAX_IMPORTS: usize = 100;

/// Errors in the set-up of the registry's client.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client can't be set up: {0}")]
    Client(#[from] reqwest::Error),
    #[error("the thread for the registry can't be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Error of one import.
#[derive(Debug, PartialEq, Eq)]
pub struct ImportError {
    /// Index of the import in the list of imports.
    pub import: usize,
    /// Message for the author, one sentence.
    pub message: String,
}

/// Resolver and bundler of npm packages.
#[derive(Debug)]
pub struct Packages {
    registry: Registry,
    bundler: Bundler,
    allowed: Allowed,
    permits: Arc<Semaphore>,
}

impl Packages {
    pub fn new(config: PackagesConfig) -> Result<Self, StartError> {
        Ok(Self {
            registry: Registry::new(config.registry_url)?,
            bundler: Bundler::new(config.bundler),
            allowed: config.allowed,
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT_BUNDLES)),
        })
    }

    /// Resolves and bundles the packages of `imports`. Returns an error for each import that fails.
    pub async fn bundle(&self, imports: Vec<Import>) -> Result<BundledImports, Vec<ImportError>> {
        match tokio::time::timeout(TIME_LIMIT, self.bundle_unbounded(imports)).await {
            Ok(result) => result,
            Err(_) => Err(vec![ImportError {
                import: 0,
                message: format!("The packages could not be bundled within {} s.", TIME_LIMIT.as_secs()),
            }]),
        }
    }

    async fn bundle_unbounded(&self, imports: Vec<Import>) -> Result<BundledImports, Vec<ImportError>> {
        let failed = |import, message| vec![ImportError { import, message }];
        let specifiers = self.specifiers(&imports)?;
        let roots: Vec<Root> = specifiers
            .iter()
            .enumerate()
            .map(|(import, specifier)| Root {
                import,
                name: specifier.name.clone(),
                range: specifier.range.clone(),
            })
            .collect();
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        let installed = resolve::resolve(&self.registry, &roots)
            .await
            .map_err(|error| failed(error.import, error.message))?;
        let folder = TempDir::create().map_err(|error| failed(0, unavailable("create a folder", &error)))?;
        self.install(&folder, &installed).await.map_err(|message| failed(0, message))?;
        let bundled = BundledImports { code: String::new(), imports };
        match self.bundler.bundle(&folder, &bundled, &specifiers).await {
            Ok(bundle) => Ok(BundledImports { code: expression(&bundle, &installed), ..bundled }),
            Err(error) => Err(self.find_failed_imports(&folder, bundled.imports, &specifiers, error).await),
        }
    }

    fn specifiers(&self, imports: &[Import]) -> Result<Vec<Specifier>, Vec<ImportError>> {
        if imports.len() > MAX_IMPORTS {
            let message = format!("The code imports {} modules; the limit is {MAX_IMPORTS}.", imports.len());
            return Err(vec![ImportError { import: MAX_IMPORTS, message }]);
        }
        let mut errors = Vec::new();
        let mut specifiers: Vec<Specifier> = Vec::new();
        for (import, asked) in imports.iter().enumerate() {
            let specifier = Specifier::parse(&asked.module).and_then(|specifier| {
                self.allowed.check(&specifier.name)?;
                let twice = specifiers
                    .iter()
                    .any(|other| other.name == specifier.name && other.range != specifier.range);
                if twice {
                    return Err(format!("`{}` is imported in two versions; one has to do.", specifier.name));
                }
                Ok(specifier)
            });
            match specifier {
                Ok(specifier) => specifiers.push(specifier),
                Err(message) => errors.push(ImportError { import, message }),
            }
        }
        if errors.is_empty() { Ok(specifiers) } else { Err(errors) }
    }

    async fn install(&self, folder: &TempDir, installed: &[InstalledPackage]) -> Result<(), String> {
        let mut budget = archive::Budget::default();
        for package in installed {
            let archive = self.registry.archive(package).await.map_err(|error| error.to_string())?;
            let folder = folder.path().join(&package.path);
            let unpacked = tokio::task::spawn_blocking(move || {
                let result = archive::unpack(&archive, &folder, &mut budget);
                (result, budget)
            });
            let (result, rest) = unpacked.await.map_err(|error| unavailable("unpack", &error))?;
            result.map_err(|error| format!("`{}@{}`: {error}", package.name, package.version))?;
            budget = rest;
        }
        Ok(())
    }

    /// Finds the imports that made a bundle fail, by bundling each alone.
    async fn find_failed_imports(
        &self,
        folder: &TempDir,
        imports: Vec<Import>,
        specifiers: &[Specifier],
        bundle_error: BundleError,
    ) -> Vec<ImportError> {
        let mut errors = Vec::new();
        for (index, import) in imports.iter().enumerate().filter(|_| imports.len() > 1) {
            let alone = BundledImports { code: String::new(), imports: vec![import.clone()] };
            if let Err(error) = self.bundler.bundle(folder, &alone, &specifiers[index..=index]).await {
                errors.push(ImportError { import: index, message: error.to_string() });
            }
        }
        if errors.is_empty() {
            errors.push(ImportError { import: 0, message: bundle_error.to_string() });
        }
        errors
    }
}

/// Wraps the bundle as one expression, with a comment that lists its packages, versions and hashes.
fn expression(bundle: &str, installed: &[InstalledPackage]) -> String {
    let pins: Vec<String> = installed
        .iter()
        .map(|package| format!("{}@{} {}", package.name, package.version, package.integrity))
        .collect();
    format!("/* {} */ (() => {{\n{bundle}return {};\n}})()", pins.join(", "), bundler::VARIABLE)
}

fn unavailable(step: &str, error: &dyn std::error::Error) -> String {
    tracing::error!(step, %error, "a step of bundling packages failed");
    "Packages can't be bundled just now; try again later.".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_guide_states_the_limits_of_the_code() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operator-guide.md");
        let stated = format!(
            "Limits: {} packages, {} MiB unpacked, {} MiB bundled, {} s.",
            resolve::MAX_PACKAGES,
            archive::MAX_BYTES >> 20,
            MAX_BUNDLE_BYTES >> 20,
            TIME_LIMIT.as_secs()
        );
        assert!(std::fs::read_to_string(page).unwrap().contains(&stated), "{page} lacks {stated}");
    }
}
