//! Every query of the resources, by table.
//!
//! Invariant: each query of a tenant's rows is bound to a workspace. What another workspace owns is `None` here,
//! and so 404 outside.

pub mod api_keys;
pub mod builds;
pub mod environment;
pub mod erasure;
pub mod executions;
pub mod functions;
pub mod health;
pub mod replays;
pub mod runnables;
pub mod schedules;
pub mod scripts;
pub mod sealed;
pub mod workspaces;
