//! Every statement of the api, by table.
//!
//! Invariant: each query of a tenant's rows is bound to a workspace. A row of another workspace is `None` here, and so
//! 404 outside.

pub mod api_keys;
pub mod builds;
pub mod due_schedules;
pub mod enqueue;
pub mod environment;
pub mod event_batch;
pub mod executions;
pub mod functions;
pub mod health;
pub mod outbox;
pub mod pool;
pub mod probe;
pub mod progress;
pub mod queue_quota;
pub mod reencrypt;
pub mod replays;
pub mod retention;
pub mod schedules;
pub mod script_versions;
pub mod scripts;
pub mod shares;
pub mod workspace_deletion;
pub mod workspaces;
