//! Client of the npm registry, for metadata and archives of packages.
//!
//! Invariants: requests go only to the configured host, redirects are not followed, and the size of responses is bounded.
//! Responses are read on a dedicated thread, so that a registry that never stops sending delays other packages only.

use crate::{StartError, installed::InstalledPackage};
use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Client, StatusCode, header::ACCEPT, redirect};
use rustls::ClientConfig;
use rustls_platform_verifier::Verifier;
use semver::Version;
use serde::Deserialize;
use shared::dedicated_runtime::DedicatedRuntime;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use url::Url;

/// Media type of the abbreviated metadata, which has the fields that an installer needs.
const METADATA: &str = "application/vnd.npm.install-v1+json";
/// Maximum size of a package's metadata, in bytes. Abbreviated metadata of packages with thousands of versions takes
/// some MiB.
const MAX_METADATA_BYTES: usize = 16 * 1024 * 1024;
/// Maximum size of a compressed archive, in bytes.
const MAX_ARCHIVE_BYTES: usize = 16 * 1024 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Errors of requests to the registry. The texts are shown to the author.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("There is no package `{0}`.")]
    Unknown(String),
    #[error("The registry did not answer for `{package}`; try again later.")]
    Unreachable { package: String },
    #[error("The registry's answer for `{package}` is over {} MiB.", limit >> 20)]
    TooLarge { package: String, limit: usize },
    #[error("The registry's answer for `{package}` can't be read.")]
    Malformed { package: String },
    #[error("The archive of `{package}` lies on another host than the registry.")]
    OtherHost { package: String },
    #[error("The archive of `{package}` is not the one that the registry's metadata names.")]
    Integrity { package: String },
}

/// Metadata of a package.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    #[serde(default, rename = "dist-tags")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) versions: BTreeMap<String, Manifest>,
}

/// Dependencies and archive of one version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    #[serde(default)]
    pub(crate) dependencies: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) optional_dependencies: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) peer_dependencies: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) peer_dependencies_meta: BTreeMap<String, PeerMeta>,
    pub(crate) dist: Dist,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PeerMeta {
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dist {
    pub(crate) tarball: Url,
    pub(crate) integrity: Option<String>,
}

impl Metadata {
    /// Iterates over the versions that are valid semantic versions.
    pub(crate) fn parsed(&self) -> impl Iterator<Item = (Version, &Manifest)> {
        self.versions.iter().filter_map(|(version, manifest)| Some((Version::parse(version).ok()?, manifest)))
    }
}

#[derive(Debug)]
pub(crate) struct Registry {
    client: Client,
    url: Url,
    runtime: DedicatedRuntime,
}

impl Registry {
    pub(crate) fn new(url: Url) -> Result<Self, StartError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous() // rustls requires this call for any custom verifier
            .with_custom_certificate_verifier(Arc::new(Verifier::new(provider)?))
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("RunnerCtl/", env!("CARGO_PKG_VERSION")))
            .timeout(REQUEST_TIMEOUT)
            .build()?;
        Ok(Self { client, url, runtime: DedicatedRuntime::start("registry", 1)? })
    }

    pub(crate) async fn metadata(&self, package: &str) -> Result<Metadata, RegistryError> {
        let malformed = || RegistryError::Malformed { package: package.to_owned() };
        // The slash of a scope is not a path separator.
        let url = self.url.join(&package.replace('/', "%2f")).map_err(|_| malformed())?;
        let body = self.get(url, package, MAX_METADATA_BYTES).await?;
        serde_json::from_slice(&body).map_err(|_| malformed())
    }

    /// Downloads an archive and verifies that it is the one named by the metadata from which its version was chosen.
    pub(crate) async fn archive(&self, package: &InstalledPackage) -> Result<Bytes, RegistryError> {
        let name = format!("{}@{}", package.name, package.version);
        if package.archive.origin() != self.url.origin() {
            return Err(RegistryError::OtherHost { package: name });
        }
        let bytes = self.get(package.archive.clone(), &name, MAX_ARCHIVE_BYTES).await?;
        if package.integrity.holds(&bytes) {
            Ok(bytes)
        } else {
            Err(RegistryError::Integrity { package: name })
        }
    }

    async fn get(&self, url: Url, package: &str, limit: usize) -> Result<Bytes, RegistryError> {
        let answer = get(self.client.clone(), url, package.to_owned(), limit);
        self.runtime.run(answer).await.unwrap_or_else(|error| Err(unreachable(package, &error)))
    }
}

async fn get(client: Client, url: Url, package: String, limit: usize) -> Result<Bytes, RegistryError> {
    let broken = |error: reqwest::Error| unreachable(&package, &error.without_url());
    let response = client.get(url).header(ACCEPT, METADATA).send().await.map_err(broken)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(RegistryError::Unknown(package)),
        status => return Err(unreachable(&package, &status)),
    }
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(broken)?;
        if body.len() + chunk.len() > limit {
            return Err(RegistryError::TooLarge { package, limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn unreachable(package: &str, error: &dyn fmt::Display) -> RegistryError {
    tracing::warn!(package, %error, "the registry did not answer");
    RegistryError::Unreachable { package: package.to_owned() }
}
