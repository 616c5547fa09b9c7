//! Every statement of the api, by table.
//!
//! Invariant: each query of a tenant's rows is bound to a workspace. A row of another workspace is `None` here, and so
//! 404 outside.

pub(crate) mod api_keys;
pub(crate) mod builds;
pub(crate) mod dead_letters;
pub(crate) mod due_schedules;
pub(crate) mod enqueue;
pub(crate) mod environment;
pub(crate) mod event_batch;
pub(crate) mod executions;
pub(crate) mod functions;
pub(crate) mod health;
pub(crate) mod outbox;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod progress;
pub(crate) mod queue_quota;
pub(crate) mod reencrypt;
pub(crate) mod replays;
pub(crate) mod retention;
pub(crate) mod schedules;
pub(crate) mod script_versions;
pub(crate) mod scripts;
pub(crate) mod shares;
pub(crate) mod top;
pub(crate) mod workspace_deletion;
pub(crate) mod workspaces;
