//! npm packages for scripts: resolved, fetched, checked and bundled when a script is saved.
//!
//! Invariant: nothing of a package runs here. Versions are chosen from the registry's metadata, archives are held to
//! the integrity that metadata names, and unpacked into a folder that only the bundler sees; install scripts are text
//! among other text. What comes out is one JavaScript expression, stored with the build.

mod archive;
mod bundler;
mod config;
mod integrity;
mod range;
mod registry;
mod resolve;
mod resolved;
mod specifier;
mod temp_dir;

pub use config::PackagesConfig;
pub use resolved::Prepared;

use builder::{BundledImports, Import};
use bundler::{Bundler, Refused};
use registry::Registry;
use resolve::{Installed, Root};
use specifier::{Allowed, Specifier};
use std::{sync::Arc, time::Duration};
use temp_dir::Workspace;
use tokio::sync::Semaphore;

/// The largest bundle that is stored with a build.
pub const MAX_BUNDLE_BYTES: usize = 2 * 1024 * 1024;
/// From the first question to the registry until the bundle stands.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// Bundles made at once. Each takes about a processor and some hundred MiB for as long as it lasts.
const AT_ONCE: usize = 2;

/// Why the client of the registry can't be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client can't be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// What is wrong with one import.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which import, by its place in the list.
    pub import: usize,
    /// A readable sentence.
    pub message: String,
}

/// Turns imports into bundles.
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
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Bundles what `imports` ask for. Every import that can't be had is named.
    pub async fn link(&self, imports: Vec<Import>) -> Result<BundledImports, Vec<Refusal>> {
        match tokio::time::timeout(TIME_LIMIT, self.link_in_time(imports)).await {
            Ok(result) => result,
            Err(_) => Err(vec![Refusal {
                import: 0,
                message: format!("The packages could not be bundled within {} s.", TIME_LIMIT.as_secs()),
            }]),
        }
    }

    async fn link_in_time(&self, imports: Vec<Import>) -> Result<BundledImports, Vec<Refusal>> {
        let refuse = |import, message| vec![Refusal { import, message }];
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
            .map_err(|failure| refuse(failure.import, failure.message))?;
        let workspace =
            Workspace::create().map_err(|error| refuse(0, unavailable("make a folder", &error)))?;
        self.install(&workspace, &installed).await.map_err(|message| refuse(0, message))?;
        let linked = BundledImports { code: String::new(), imports };
        match self.bundler.bundle(&workspace, &linked, &specifiers).await {
            Ok(bundle) => Ok(BundledImports { code: expression(&bundle, &installed), ..linked }),
            Err(refused) => Err(self.blame(&workspace, linked.imports, &specifiers, refused).await),
        }
    }

    fn specifiers(&self, imports: &[Import]) -> Result<Vec<Specifier>, Vec<Refusal>> {
        let mut refusals = Vec::new();
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
                Err(message) => refusals.push(Refusal { import, message }),
            }
        }
        if refusals.is_empty() { Ok(specifiers) } else { Err(refusals) }
    }

    async fn install(&self, workspace: &Workspace, installed: &[Installed]) -> Result<(), String> {
        let mut budget = archive::Budget::default();
        for package in installed {
            let archive = self.registry.archive(package).await.map_err(|error| error.to_string())?;
            let folder = workspace.path().join(&package.path);
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

    /// Finds the imports that a bundle failed for, by bundling each alone.
    async fn blame(
        &self,
        workspace: &Workspace,
        imports: Vec<Import>,
        specifiers: &[Specifier],
        refused: Refused,
    ) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for (index, import) in imports.iter().enumerate().filter(|_| imports.len() > 1) {
            let alone = BundledImports { code: String::new(), imports: vec![import.clone()] };
            if let Err(refused) = self.bundler.bundle(workspace, &alone, &specifiers[index..=index]).await {
                refusals.push(Refusal { import: index, message: refused.to_string() });
            }
        }
        if refusals.is_empty() {
            refusals.push(Refusal { import: 0, message: refused.to_string() });
        }
        refusals
    }
}

/// The bundle as one expression that says what it was made of.
fn expression(bundle: &str, installed: &[Installed]) -> String {
    let pins: Vec<String> = installed
        .iter()
        .map(|package| format!("{}@{} {}", package.name, package.version, package.integrity))
        .collect();
    format!("/* {} */ (() => {{\n{bundle}return {};\n}})()", pins.join(", "), bundler::VARIABLE)
}

fn unavailable(what: &str, error: &dyn std::error::Error) -> String {
    tracing::error!(what, error = %error, "packages can't be bundled");
    "Packages can't be bundled just now; try again later.".to_owned()
}
