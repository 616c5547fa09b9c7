//! npm packages of code that is saved or run as a test.

use crate::model::error::ApiError;
use packages::{Packages, ResolvedPackages};

/// Resolves the npm packages that `code` imports, over the network. Do not call inside a transaction.
///
/// `packages` is `None` if packages are off; the builder then rejects imports.
pub(crate) async fn resolve(packages: Option<&Packages>, code: &str) -> Result<ResolvedPackages, ApiError> {
    let prepared = ResolvedPackages::resolve(packages, code).await;
    prepared.map_err(|error| ApiError::Internal(format!("the builder failed: {error}").into()))
}
