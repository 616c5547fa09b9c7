//! Dead letters by workspace. The broker knows no workspaces, so each letter's content decides.
//!
//! Invariant: a workspace sees and changes only its own letters. A letter without a workspace is left to
//! `api dead-letters`.

use crate::{db, model::error::ApiError};
use serde::Deserialize;
use shared::amqp::{DeadLetter, DeadLetterError, DeadLetters, SCAN_LIMIT};
use sqlx::PgPool;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Lists the letters of one workspace, oldest first.
pub(crate) async fn of_workspace(
    letters: &DeadLetters,
    pool: &PgPool,
    workspace_id: Uuid,
    slug: &str,
) -> Result<Vec<DeadLetter>, ApiError> {
    let all = letters.list(SCAN_LIMIT).await?;
    let executions: Vec<Uuid> = all.iter().filter_map(execution_of).collect();
    let own: BTreeSet<Uuid> =
        db::executions::owned(pool, workspace_id, &executions).await?.into_iter().collect();
    let is_own = |letter: &DeadLetter| {
        execution_of(letter)
            .map_or_else(|| workspace_of(letter).as_deref() == Some(slug), |id| own.contains(&id))
    };
    Ok(all.into_iter().filter(is_own).collect())
}

#[derive(Deserialize)]
struct ExecutionBody {
    execution_id: Uuid,
}

#[derive(Deserialize)]
struct EventBody {
    workspace_slug: String,
}

fn execution_of(letter: &DeadLetter) -> Option<Uuid> {
    Some(serde_json::from_slice::<ExecutionBody>(&letter.body).ok()?.execution_id)
}

/// Returns the workspace at the start of the routing key, which a broker may have checked. Without a dot in the key,
/// the body decides.
fn workspace_of(letter: &DeadLetter) -> Option<String> {
    let of_key = letter.routing_key.split_once('.').map(|(slug, _)| slug.to_owned());
    of_key.or_else(|| Some(serde_json::from_slice::<EventBody>(&letter.body).ok()?.workspace_slug))
}

impl From<DeadLetterError> for ApiError {
    fn from(error: DeadLetterError) -> Self {
        tracing::warn!(%error, "can't reach the dead letters in the broker");
        Self::unavailable("The broker is not available; try again shortly.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(routing_key: &str, body: &str) -> DeadLetter {
        DeadLetter {
            id: String::new(),
            reason: String::new(),
            exchange: String::new(),
            routing_key: routing_key.into(),
            body: body.into(),
        }
    }

    #[test]
    fn a_dead_letter_names_its_workspace_or_execution() {
        let event = letter("demo.issue.updated", r#"{"workspace_slug": "demo", "v": 9}"#);
        assert_eq!(workspace_of(&event).as_deref(), Some("demo"));
        assert_eq!(workspace_of(&letter("demo.issue.updated", "not JSON")).as_deref(), Some("demo"));
        let of_another_key = letter("demo.issue.updated", r#"{"workspace_slug": "victim"}"#);
        assert_eq!(workspace_of(&of_another_key).as_deref(), Some("demo"));
        assert_eq!(workspace_of(&letter("", r#"{"workspace_slug": "demo"}"#)).as_deref(), Some("demo"));
        assert_eq!(workspace_of(&letter("nothing", "not JSON")), None);
        let execution = letter("", r#"{"v": 1, "execution_id": "01900000-0000-7000-8000-000000000000"}"#);
        assert!(execution_of(&execution).is_some());
    }
}
