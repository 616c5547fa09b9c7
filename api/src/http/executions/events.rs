//! `GET /executions/{id}/events/`: server-sent events.
//!
//! Each event's id is the state that the client has seen: `<seq of the last line>-<status>`. A client that reconnects
//! with it gets the events after it. A client that has seen the end gets 204, after which browsers do not reconnect.

use super::live_clients::{LiveClient, StreamPermit};
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

/// Header in which a client that reconnects sends the id of the last event.
const LAST_EVENT_ID: &str = "last-event-id";
/// Header by which nginx passes each event on at once.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");
/// Seconds between two comments, which keep proxies from closing an idle stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// State that a client has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    last_seq: i32,
    status: Option<Status>,
}

impl Seen {
    /// Reads `Last-Event-ID`. An invalid id counts as nothing seen.
    fn read(headers: &HeaderMap) -> Self {
        let id = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (seq, status) = id.split_once('-').unwrap_or((id, ""));
        match seq.parse() {
            Ok(last_seq) => Self { last_seq, status: status.parse().ok() },
            Err(_) => Self::default(),
        }
    }

    /// Returns the id of an event after which this state is seen.
    fn id(self) -> String {
        self.status.map_or_else(|| self.last_seq.to_string(), |status| format!("{}-{status}", self.last_seq))
    }
}

/// Follow an execution
///
/// Server-sent events: `status` with `{status, attempt}`, `log` with a line, and at the end `done` with the execution
/// without its logs. The stream ends after `done`. `Last-Event-ID` resumes a stream; a client that has seen the end
/// gets 204.
#[utoipa::path(get, path = "/executions/{id}/events/", tag = "Executions", params(
    ("id" = Uuid, Path),
    ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event seen"),
), responses(
    (status = 200, description = "A stream of events", body = String, content_type = "text/event-stream"),
    (status = 204, description = "The execution has ended, and the client has seen its end"), NotFound, ErrorResponses))]
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
    let permit = state.streams.admit(&caller)?;
    let follower = Follower {
        state,
        workspace_id: caller.workspace_id,
        id,
        watch,
        seen,
        next: Some(progress),
        ready: VecDeque::new(),
        _client: LiveClient::new("events"),
        _permit: permit,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next_event().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([UNBUFFERED], stream).into_response())
}

/// Stream of one client that follows an execution.
struct Follower {
    state: AppState,
    workspace_id: Uuid,
    id: Uuid,
    watch: Watch,
    seen: Seen,
    /// Progress that was not sent yet; `None` after the end was sent.
    next: Option<Progress>,
    /// Events to send before the next read. Bounded by the log limits of a run.
    ready: VecDeque<Event>,
    _client: LiveClient,
    _permit: StreamPermit,
}

impl Follower {
    /// Returns the next event. `None` ends the stream: after the end of the execution, when the api stops, or when the
    /// database is unreachable. In the last two cases the client reconnects.
    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let progress = self.next.take()?;
            if let Err(error) = self.prepare_events(progress).await {
                tracing::debug!(%error, "an event stream ended before its execution");
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

    /// Reads the changes since the state that the client has seen, as events.
    async fn prepare_events(&mut self, progress: Progress) -> Result<(), ApiError> {
        if progress.last_seq <= self.seen.last_seq && self.seen.status == Some(progress.status) {
            return Ok(());
        }
        let live = self.state.live.clone();
        let _reader = live.acquire_reader().await;
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
