//! Executions: asked for, listed, read and waited for.

mod create;
mod read;

use super::Resource;
use crate::state::AppState;
use axum::{Router, routing::get};

pub(crate) use create::*;
pub(crate) use read::*;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/executions", get(list).post(create))
        .resource("/executions/{id}", get(read))
        .resource("/executions/{id}/logs", get(logs))
}
