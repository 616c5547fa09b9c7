//! Ingests a batch of events in one commit.

use super::event::{self, EventRejection};
use crate::{
    db::{self, enqueue::Runnable, event_batch::EventRow, pool::lacks_partition, script_versions::Version},
    model::{
        execution::empty_object,
        execution_ids,
        idempotency::{self, Asked},
        variables,
    },
};
use shared::{
    amqp::Delivery,
    message::EventMessage,
    telemetry::traces::{self, Span, TRACEPARENT},
};
use sqlx::PgPool;
use std::collections::{HashMap, HashSet, hash_map::Entry};
use uuid::Uuid;

/// Outcome of an event that was ingested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ingested {
    Accepted,
    /// An earlier request with the same key created an execution.
    Duplicate,
}

impl Ingested {
    /// Returns the label of the metric.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
        }
    }
}

/// An event as it was delivered.
pub(super) struct IncomingEvent<'a> {
    body: &'a [u8],
    routing_key: &'a str,
    /// Trace of the publisher, if its header is valid.
    traceparent: Option<String>,
}

impl<'a> IncomingEvent<'a> {
    pub(super) fn of(delivery: &'a Delivery) -> Self {
        let traceparent = delivery.header(TRACEPARENT).filter(|text| traces::is_traceparent(text));
        Self { body: delivery.body(), routing_key: delivery.routing_key(), traceparent }
    }
}

/// Ingests all events. Returns one result per event, in order.
///
/// # Errors
/// If the database can't store events now. The events that were stored before the error are duplicates in the next try.
pub(super) async fn ingest(
    pool: &PgPool,
    events: &[IncomingEvent<'_>],
) -> sqlx::Result<Vec<Result<Ingested, EventRejection>>> {
    match store_batch(pool, events).await {
        // An event that the database rejects must not delay the others.
        Err(error) if data_error(&error).is_some() => store_individually(pool, events).await,
        result => result,
    }
}

async fn store_individually(
    pool: &PgPool,
    events: &[IncomingEvent<'_>],
) -> sqlx::Result<Vec<Result<Ingested, EventRejection>>> {
    let mut results = Vec::with_capacity(events.len());
    for event in events {
        match store_batch(pool, std::slice::from_ref(event)).await {
            Ok(result) => results.extend(result),
            Err(error) => {
                let reason = data_error(&error).ok_or(error)?;
                results.push(Err(EventRejection::Unstorable { reason }));
            }
        }
    }
    Ok(results)
}

/// Returns the message of an error that the data itself causes. Returns `None` if another try may succeed.
fn data_error(error: &sqlx::Error) -> Option<String> {
    let sqlx::Error::Database(error) = error else { return None };
    if lacks_partition(&**error) {
        return None;
    }
    // Classes: 22 data exception, 23 integrity constraint violation, 54 program limit exceeded.
    let code = error.code()?;
    ["22", "23", "54"].iter().any(|class| code.starts_with(class)).then(|| error.message().to_owned())
}

/// Stores all valid events in one statement. After an error, no event of the batch is stored.
async fn store_batch(
    pool: &PgPool,
    events: &[IncomingEvent<'_>],
) -> sqlx::Result<Vec<Result<Ingested, EventRejection>>> {
    let mut results: Vec<Result<Ingested, EventRejection>> = vec![Ok(Ingested::Duplicate); events.len()];
    let mut ready = Vec::with_capacity(events.len());
    let mut cache = LookupCache::default();
    for (index, event) in events.iter().enumerate() {
        match prepare(pool, &mut cache, event).await? {
            Prepared::Ready(event) => ready.push((index, event)),
            Prepared::Rejected(rejection) => results[index] = Err(rejection),
        }
    }
    let rows: Vec<EventRow<'_>> = ready.iter().map(|(_, event)| event.row()).collect();
    // Contains the executions whose keys are new.
    let stored: HashSet<Uuid> = db::event_batch::insert(pool, &rows).await?;
    for (index, _) in ready.iter().filter(|(_, event)| stored.contains(&event.execution_id)) {
        results[*index] = Ok(Ingested::Accepted);
    }
    Ok(results)
}

/// Result of the checks of an event.
enum Prepared {
    Ready(Box<PreparedEvent>),
    Rejected(EventRejection),
}

/// Reads an event, looks up its workspace and script, and checks it against them.
async fn prepare(
    pool: &PgPool,
    cache: &mut LookupCache,
    incoming: &IncomingEvent<'_>,
) -> sqlx::Result<Prepared> {
    let message = match event::read(incoming.body, incoming.routing_key) {
        Ok(message) => message,
        Err(rejection) => return Ok(Prepared::Rejected(rejection)),
    };
    let workspace_id = cache.workspace(pool, &message.workspace_slug).await?;
    let Some(script) = cache.script(pool, workspace_id, message.script_id).await? else {
        return Ok(Prepared::Rejected(EventRejection::UnknownScript));
    };
    let event = PreparedEvent::new(message, workspace_id, script, incoming.traceparent.clone());
    Ok(event.map_or_else(Prepared::Rejected, |event| Prepared::Ready(Box::new(event))))
}

/// An event with all parts of its execution.
struct PreparedEvent {
    execution_id: Uuid,
    workspace_id: Uuid,
    runnable: Runnable,
    message: EventMessage,
    /// JSON, with the script's defaults filled in.
    variables: String,
    request_hash: [u8; 32],
    /// Ends with the batch.
    accept: Span,
}

impl PreparedEvent {
    /// Fills in the variables. Rejects an event without a variable that the script requires.
    fn new(
        message: EventMessage,
        workspace_id: Uuid,
        script: &Version,
        traceparent: Option<String>,
    ) -> Result<Self, EventRejection> {
        let empty = empty_object();
        let given = message.variables.as_ref().unwrap_or(&empty);
        let variables = variables::complete(given, &script.definitions)
            .map_err(|errors| EventRejection::invalid("variables", errors.to_string()))?;
        let asked = Asked {
            script_id: message.script_id,
            trigger_type: message.trigger_type,
            event: &message.event,
            context: message.context.as_ref().unwrap_or(&empty),
            variables: given,
        };
        let request_hash = idempotency::hash(&asked);
        let execution_id = execution_ids::next();
        let mut accept = traces::accept(traceparent);
        accept.set_execution_id(execution_id);
        Ok(Self {
            execution_id,
            workspace_id,
            runnable: script.runnable.clone(),
            variables: variables.get().to_owned(),
            request_hash,
            message,
            accept,
        })
    }

    fn row(&self) -> EventRow<'_> {
        EventRow {
            id: self.execution_id,
            workspace_id: self.workspace_id,
            script_id: self.message.script_id,
            trigger_type: self.message.trigger_type,
            runnable: &self.runnable,
            idempotency_key: &self.message.idempotency_key,
            request_hash: &self.request_hash,
            event: self.message.event.get(),
            context: self.message.context.as_ref().map_or("{}", |context| context.get()),
            variables: &self.variables,
            traceparent: self.accept.traceparent(),
        }
    }
}

/// Workspaces and scripts that one batch has looked up.
#[derive(Default)]
struct LookupCache {
    workspaces: HashMap<String, Uuid>,
    /// `None` for a script that the workspace does not have.
    scripts: HashMap<(Uuid, Uuid), Option<Version>>,
}

impl LookupCache {
    async fn workspace(&mut self, pool: &PgPool, slug: &str) -> sqlx::Result<Uuid> {
        if let Some(id) = self.workspaces.get(slug) {
            return Ok(*id);
        }
        let id = db::workspaces::id_of(pool, slug).await?;
        self.workspaces.insert(slug.to_owned(), id);
        Ok(id)
    }

    async fn script(
        &mut self,
        pool: &PgPool,
        workspace_id: Uuid,
        id: Uuid,
    ) -> sqlx::Result<Option<&Version>> {
        let script = match self.scripts.entry((workspace_id, id)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(db::script_versions::newest(pool, workspace_id, id).await?),
        };
        Ok(script.as_ref())
    }
}
