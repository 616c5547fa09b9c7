//! `GET /executions/{id}/events/`: server-sent events.
//!
//! Each event's id says what the client has seen: `<seq of the last line>-<status>`. A client that comes back with
//! it gets what followed; one that has seen the end gets 204, upon which browsers stop asking.

use super::read::LiveClient;
use crate::{
    db,
    http::{
        auth::{Authorized, Read},
        error::ApiError,
        extract::query::{NoQuery, PathText, Query, path_id},
        openapi::responses::{ErrorResponses, NotFound},
        state::AppState,
    },
    live::Watch,
    model::execution::Progress,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use shared::execution::Status;
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use uuid::Uuid;

const LAST_EVENT_ID: &str = "last-event-id";
/// Between two comments that keep proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a client has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    last_seq: i32,
    status: Option<Status>,
}

impl Seen {
    /// Reads `Last-Event-ID`; what is not ours counts as nothing seen.
    fn read(headers: &HeaderMap) -> Self {
        let id = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (seq, status) = id.split_once('-').unwrap_or((id, ""));
        match seq.parse() {
            Ok(last_seq) => Self { last_seq, status: status.parse().ok() },
            Err(_) => Self::default(),
        }
    }

    fn id(self) -> String {
        self.status.map_or_else(|| self.last_seq.to_string(), |status| format!("{}-{status}", self.last_seq))
    }
}

/// Follow an execution
///
/// Server-sent events: `status` with `{status, attempt}`, `log` with a line, and at the end `done` with the execution
/// without its logs; then the stream ends. `Last-Event-ID` resumes, and answers 204 to a client that has seen the end.
#[utoipa::path(get, path = "/executions/{id}/events/", tag = "Executions", params(
    ("id" = Uuid, Path),
    ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event seen"),
), responses(
    (status = 200, description = "A stream of events", body = String, content_type = "text/event-stream"),
    (status = 204, description = "It is over, and the client has seen it"), NotFound, ErrorResponses))]
pub(crate) async fn follow(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "execution")?;
    let seen = Seen::read(&headers);
    let watch = state.live.watch(id);
    let progress = db::executions::progress(&state.pool, caller.workspace_id, id).await?;
    let progress = progress.ok_or_else(|| ApiError::not_found("execution"))?;
    if progress.status.is_terminal()
        && seen.status == Some(progress.status)
        && seen.last_seq >= progress.last_seq
    {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let follower = Follower {
        state,
        workspace_id: caller.workspace_id,
        id,
        watch,
        seen,
        next: Some(progress),
        ready: VecDeque::new(),
        _client: LiveClient::new("events"),
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next_event().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// One client's way through an execution.
struct Follower {
    state: AppState,
    workspace_id: Uuid,
    id: Uuid,
    watch: Watch,
    seen: Seen,
    /// Progress that was not told yet; none once the end was told.
    next: Option<Progress>,
    /// Events to send before looking further. Bounded by the log limits of a run.
    ready: VecDeque<Event>,
    _client: LiveClient,
}

impl Follower {
    /// The next event; none when all has been told, the api stops, or the database is away: the client comes back.
    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let progress = self.next.take()?;
            if let Err(error) = self.tell(progress).await {
                tracing::debug!(%error, "an event stream ends early");
                return None;
            }
            if progress.status.is_terminal() {
                continue;
            }
            if self.ready.is_empty() {
                let stopping = self.state.stopping.clone();
                self.next = stopping.run_until_cancelled(self.watch.changed()).await.flatten();
            } else {
                self.next = Some(progress);
            }
        }
    }

    async fn tell(&mut self, progress: Progress) -> Result<(), ApiError> {
        if progress.last_seq <= self.seen.last_seq && self.seen.status == Some(progress.status) {
            return Ok(());
        }
        let live = self.state.live.clone();
        let _turn = live.acquire_reader().await;
        if progress.last_seq > self.seen.last_seq {
            let lines = db::executions::logs_after(&self.state.pool, self.id, self.seen.last_seq).await?;
            for line in lines {
                self.seen.last_seq = line.seq;
                let event = Event::default().event("log").id(self.seen.id());
                self.ready.push_back(with_json(event, &line)?);
            }
        }
        if self.seen.status == Some(progress.status) {
            return Ok(());
        }
        self.seen.status = Some(progress.status);
        if progress.status.is_terminal() {
            let execution = db::executions::get(&self.state.pool, self.workspace_id, self.id).await?;
            let execution = execution.ok_or_else(|| ApiError::not_found("execution"))?;
            let event = Event::default().event("done").id(self.seen.id());
            self.ready.push_back(with_json(event, &execution.summary)?);
        } else {
            let status = serde_json::json!({ "status": progress.status, "attempt": progress.attempt });
            let event = Event::default().event("status").id(self.seen.id());
            self.ready.push_back(with_json(event, &status)?);
        }
        Ok(())
    }
}

fn with_json(event: Event, data: &impl serde::Serialize) -> Result<Event, ApiError> {
    event.json_data(data).map_err(|error| ApiError::Internal(format!("an event is not JSON: {error}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn seen(id: &'static str) -> Seen {
        Seen::read(&HeaderMap::from_iter([(LAST_EVENT_ID.parse().unwrap(), HeaderValue::from_static(id))]))
    }

    #[test]
    fn an_event_id_encodes_the_last_line_and_status() {
        let one = Seen { last_seq: 7, status: Some(Status::Running) };
        assert_eq!(one.id(), "7-running");
        assert_eq!(seen("7-running"), one);
        assert_eq!(seen("3"), Seen { last_seq: 3, status: None });
        assert_eq!(seen("nonsense"), Seen::default());
    }
}
