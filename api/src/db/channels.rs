//! Names of the channels that PostgreSQL notifies processes on.

/// Channel whose payload is the id of an execution whose status or log lines changed.
pub const EXECUTION_CHANGED: &str = "execution_changed";
/// Channel of writers of outbox rows; without a payload.
pub const OUTBOX: &str = "outbox";
/// Channel of revoked API keys; without a payload.
pub const API_KEY_REVOKED: &str = "api_key_revoked";
