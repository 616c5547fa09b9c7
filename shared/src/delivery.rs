//! Priorities of outbox rows, and names of the database's notification channels.
//!
//! Statements that `sqlx` checks have channel names as literals; `scripts/tests/test_channels.py` compares them with
//! this list.

/// Priorities of outbox rows. The relay publishes rows of a higher priority first.
pub mod priority {
    /// Priority of background work, in which the relay is fair to workspaces.
    pub const BACKGROUND: i16 = 0;
    /// Priority of a run that a worker lost or released: it had reached the head of the queue before.
    pub const RETURNED: i16 = 5;
    /// Priority of a test run, whose user waits at an editor: before all background work.
    pub const INTERACTIVE: i16 = 10;
}

/// Channels on which PostgreSQL notifies processes.
pub mod channel {
    /// Channel whose payload is the id of an execution whose status or log lines changed.
    pub const EXECUTION_CHANGED: &str = "execution_changed";
    /// Channel whose payload is the id of a running execution whose cancel was requested.
    pub const EXECUTION_CANCEL: &str = "execution_cancel";
    /// Channel of writers of outbox rows; without a payload.
    pub const OUTBOX: &str = "outbox";
    /// Channel of revoked API keys; without a payload.
    pub const API_KEY_REVOKED: &str = "api_key_revoked";
}
