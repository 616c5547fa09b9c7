//! Executions: asked for, listed, read and waited for.

mod accepted;
mod control;
mod create;
mod events;
mod intake;
mod read;

use super::Resource;
use crate::state::AppState;
use axum::{
    Router,
    routing::{get, post},
};

pub(crate) use control::*;
pub(crate) use create::*;
pub(crate) use events::*;
pub(crate) use read::*;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/executions", get(list).post(create))
        .resource("/executions/{id}", get(read))
        .resource("/executions/{id}/logs", get(logs))
        .resource("/executions/{id}/events", get(follow))
        .resource("/executions/{id}/cancel", post(cancel))
        .resource("/executions/{id}/replay", post(replay))
}
