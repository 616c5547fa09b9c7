//! One commit for many events.

use super::event::{self, Refused};
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

/// What became of an event that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ingested {
    Accepted,
    /// Its key led to an execution before.
    Duplicate,
}

impl Ingested {
    /// Metric label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
        }
    }
}

/// An event as it came.
pub(super) struct Incoming<'a> {
    body: &'a [u8],
    /// The publisher's trace, if it is a well-formed one.
    traceparent: Option<String>,
}

impl<'a> Incoming<'a> {
    pub(super) fn of(delivery: &'a Delivery) -> Self {
        let traceparent = delivery.header(TRACEPARENT).filter(|text| traces::is_traceparent(text));
        Self { body: delivery.body(), traceparent }
    }
}

/// An event with everything its execution needs.
struct Ready {
    /// Its place in the batch.
    place: usize,
    execution_id: Uuid,
    workspace_id: Uuid,
    runnable: Runnable,
    message: EventMessage,
    variables: String,
    hash: Vec<u8>,
    /// Ends with the batch.
    accept: Span,
}

/// Ingests all events; one answer per event, in order. An error says that the database is not able to now; what was
/// stored by then is a duplicate the next time.
pub(super) async fn ingest(
    pool: &PgPool,
    events: &[Incoming<'_>],
) -> sqlx::Result<Vec<Result<Ingested, Refused>>> {
    match together(pool, events).await {
        // One event that the database refuses must not hold up the others.
        Err(error) if refusal(&error).is_some() => one_by_one(pool, events).await,
        answered => answered,
    }
}

async fn one_by_one(pool: &PgPool, events: &[Incoming<'_>]) -> sqlx::Result<Vec<Result<Ingested, Refused>>> {
    let mut answers = Vec::with_capacity(events.len());
    for event in events {
        match together(pool, std::slice::from_ref(event)).await {
            Ok(answer) => answers.extend(answer),
            Err(error) => {
                let reason = refusal(&error).ok_or(error)?;
                answers.push(Err(Refused::Unstorable { reason }));
            }
        }
    }
    Ok(answers)
}

/// What the database has against the data itself; none if another try may succeed.
fn refusal(error: &sqlx::Error) -> Option<String> {
    let sqlx::Error::Database(error) = error else { return None };
    if lacks_partition(&**error) {
        return None;
    }
    // Classes: 22 data exception, 23 integrity constraint violation, 54 program limit exceeded.
    let code = error.code()?;
    ["22", "23", "54"].iter().any(|class| code.starts_with(class)).then(|| error.message().to_owned())
}

/// All in one statement: an error concerns the batch as a whole, of which nothing was stored.
async fn together(pool: &PgPool, events: &[Incoming<'_>]) -> sqlx::Result<Vec<Result<Ingested, Refused>>> {
    let mut answers: Vec<Result<Ingested, Refused>> = vec![Ok(Ingested::Duplicate); events.len()];
    let mut ready = Vec::with_capacity(events.len());
    let mut known = Known::default();
    for (place, event) in events.iter().enumerate() {
        match prepare(pool, &mut known, place, event).await? {
            Ok(event) => ready.push(event),
            Err(refused) => answers[place] = Err(refused),
        }
    }
    let accepted = store(pool, &ready).await?;
    for event in ready.iter().filter(|event| accepted.contains(&event.execution_id)) {
        answers[event.place] = Ok(Ingested::Accepted);
    }
    Ok(answers)
}

/// What one batch has looked up.
#[derive(Default)]
struct Known {
    workspaces: HashMap<String, Uuid>,
    scripts: HashMap<(Uuid, Uuid), Option<Version>>,
}

async fn prepare(
    pool: &PgPool,
    known: &mut Known,
    place: usize,
    incoming: &Incoming<'_>,
) -> sqlx::Result<Result<Ready, Refused>> {
    let message = match event::read(incoming.body) {
        Ok(message) => message,
        Err(refused) => return Ok(Err(refused)),
    };
    let workspace_id = known.workspace(pool, &message.workspace_slug).await?;
    let Some(Version { runnable, definitions, .. }) =
        known.script(pool, workspace_id, message.script_id).await?
    else {
        return Ok(Err(Refused::UnknownScript));
    };
    let empty = empty_object();
    let given = message.variables.as_ref().unwrap_or(&empty);
    let variables = match variables::complete(given, definitions) {
        Ok(variables) => variables.get().to_owned(),
        Err(errors) => return Ok(Err(Refused::invalid("variables", errors.to_string()))),
    };
    let asked = Asked {
        script_id: message.script_id,
        trigger_type: message.trigger_type,
        event: &message.event,
        context: message.context.as_ref().unwrap_or(&empty),
        variables: given,
    };
    let hash = idempotency::hash(&asked).to_vec();
    let execution_id = execution_ids::next();
    let mut accept = traces::accept(incoming.traceparent.clone());
    accept.set_execution_id(execution_id);
    Ok(Ok(Ready {
        place,
        execution_id,
        workspace_id,
        runnable: runnable.clone(),
        hash,
        message,
        variables,
        accept,
    }))
}

impl Known {
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
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(db::script_versions::newest(pool, workspace_id, id).await?),
        };
        Ok(script.as_ref())
    }
}

/// Stores the events whose keys are new, each with its execution and outbox row. Returns those executions' ids.
async fn store(pool: &PgPool, events: &[Ready]) -> sqlx::Result<HashSet<Uuid>> {
    let rows = events.iter().map(|event| EventRow {
        id: event.execution_id,
        workspace_id: event.workspace_id,
        script_id: event.message.script_id,
        trigger_type: event.message.trigger_type,
        runnable: &event.runnable,
        idempotency_key: &event.message.idempotency_key,
        request_hash: &event.hash,
        event: event.message.event.get(),
        context: event.message.context.as_ref().map_or("{}", |context| context.get()),
        variables: &event.variables,
        traceparent: event.accept.traceparent(),
    });
    db::event_batch::insert(pool, &rows.collect::<Vec<_>>()).await
}
