//! Routes of executions.

mod cancel;
mod events;
mod live_clients;
mod read;
mod replay;
mod response;
mod submit;
pub(super) mod test_run;

use super::{Resource, state::AppState};
use axum::{
    Router,
    routing::{get, post},
};

pub(crate) use cancel::*;
pub(crate) use events::*;
pub(crate) use live_clients::EventStreams;
pub(crate) use read::*;
pub(crate) use replay::*;
pub(crate) use submit::*;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/executions", get(list).post(create))
        .resource("/executions/{id}", get(read))
        .resource("/executions/{id}/logs", get(logs))
        .resource("/executions/{id}/events", get(follow))
        .resource("/executions/{id}/cancel", post(cancel))
        .resource("/executions/{id}/replay", post(replay))
}
