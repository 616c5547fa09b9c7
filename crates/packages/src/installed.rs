//! Packages with pinned versions.

use crate::integrity::Integrity;
use semver::Version;
use url::Url;

/// Package with a pinned version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstalledPackage {
    /// Path relative to the bundle's folder, for instance `node_modules/a/node_modules/b`.
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) archive: Url,
    pub(crate) integrity: Integrity,
}
