//! Size of the code of one run, which must fit into one message to a sandbox.

use crate::{
    db,
    model::{error::ApiError, script::FunctionPin},
};
use shared::limits::RUN_CODE_BYTES;
use sqlx::PgConnection;

/// Maximum length of one byte of a text in JSON, in bytes: `\u0000`.
const MAX_ESCAPED_BYTES: i64 = 6;

/// Rejects a script whose stored build and functions are too large together. `script` is the script's own build, if it
/// can change.
pub(crate) async fn check(
    connection: &mut PgConnection,
    script: Option<&str>,
    functions: &[FunctionPin],
) -> Result<(), ApiError> {
    let functions_of = functions.iter().map(|pin| pin.build_hash.clone());
    let hashes: Vec<String> = script.map(str::to_owned).into_iter().chain(functions_of).collect();
    let most = i64::try_from(RUN_CODE_BYTES).unwrap_or(i64::MAX);
    let bytes = db::builds::bytes(connection, &hashes).await?;
    if bytes.saturating_mul(MAX_ESCAPED_BYTES) <= most {
        return Ok(());
    }
    // Builds that are far too large are not converted to JSON to find out.
    let json = if bytes > most { bytes } else { db::builds::json_bytes(connection, &hashes).await? };
    if json <= most {
        return Ok(());
    }
    let rule = format!(
        "A script and all functions that it needs may have {RUN_CODE_BYTES} bytes together, built and as JSON; these have \
         {json}."
    );
    Err(ApiError::field("code", rule))
}
