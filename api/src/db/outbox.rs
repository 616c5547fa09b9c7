//! The relay's statements.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// An outbox row that was marked and must now be published.
#[derive(Debug)]
pub struct Departure {
    pub id: i64,
    pub execution_id: Uuid,
    pub traceparent: Option<String>,
    pub available_at: DateTime<Utc>,
}

impl Departure {
    /// A row that its writer marked itself: see [`crate::db::enqueue`].
    pub(crate) const fn new(
        id: i64,
        execution_id: Uuid,
        traceparent: Option<String>,
        available_at: DateTime<Utc>,
    ) -> Self {
        Self { id, execution_id, traceparent, available_at }
    }
}

/// Why there was nothing to publish.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Nothing,
    /// Rows are due, but the broker's window is full.
    ForRoom,
    /// The next row is due after this time.
    ForTime(Duration),
}

/// Marks the next rows as published and returns them in order of dispatch.
///
/// Weighted round robin: a workspace's n-th row (those in the broker counted) has turn n divided by its weight, and
/// the lowest turns go first; rows with priority (test runs of the editor) go before all. The window is twice the
/// slots of the live workers, so that a slot never waits for the relay and nothing waits long in the broker.
///
/// A workspace with a limit of its own, or else with `workspace_limit` (0 is none), gets no more than that many
/// executions running or in the broker; two relays that look at the same moment may exceed it by one batch, once.
pub(crate) async fn depart(pool: &PgPool, most: i64, workspace_limit: i64) -> sqlx::Result<Vec<Departure>> {
    sqlx::query_as!(
        Departure,
        r#"
        WITH RECURSIVE pending (workspace_id) AS (
            -- One index probe per waiting workspace, however long the backlogs are.
            (SELECT workspace_id FROM outbox WHERE published_at IS NULL ORDER BY workspace_id LIMIT 1)
            UNION ALL
            SELECT (SELECT o.workspace_id FROM outbox o
                    WHERE o.published_at IS NULL AND o.workspace_id > p.workspace_id
                    ORDER BY o.workspace_id LIMIT 1)
            FROM pending p WHERE p.workspace_id IS NOT NULL
        ), in_broker AS (
            SELECT workspace_id, count(*) AS messages FROM outbox WHERE published_at IS NOT NULL GROUP BY workspace_id
        ), capacity AS (
            SELECT greatest(0, greatest(8, 2 * coalesce(sum(slots), 0))
                - (SELECT coalesce(sum(messages), 0) FROM in_broker))::bigint AS room
            FROM workers WHERE NOT draining AND last_seen_at > now() - interval '10 seconds'
        ), running AS (
            -- Counted only where somebody has a limit.
            SELECT workspace_id, count(*) AS runs FROM script_executions
            WHERE status = 'running' AND ($2::bigint > 0 OR EXISTS (SELECT FROM workspaces WHERE max_running IS NOT NULL))
            GROUP BY workspace_id
        ), shares AS (
            SELECT p.workspace_id, coalesce(b.messages, 0) AS messages, coalesce(w.dispatch_weight, 1)::float8 AS weight,
                least($1::bigint, (SELECT room FROM capacity),
                    -- Null, and so passed over, without a limit.
                    CASE WHEN $2::bigint > 0 OR w.max_running IS NOT NULL
                         THEN greatest(0, coalesce(w.max_running, $2) - coalesce(b.messages, 0) - coalesce(r.runs, 0))
                    END) AS most
            FROM pending p
            LEFT JOIN in_broker b ON b.workspace_id = p.workspace_id
            LEFT JOIN running r ON r.workspace_id = p.workspace_id
            LEFT JOIN workspaces w ON w.id = p.workspace_id
        ), candidates AS (
            SELECT o.id, o.priority, o.available_at,
                (s.messages + row_number() OVER (
                    PARTITION BY s.workspace_id ORDER BY o.priority DESC, o.available_at, o.id)) / s.weight AS turn
            FROM shares s
            CROSS JOIN LATERAL (
                -- The outer limit only tells the planner how few rows to expect.
                SELECT * FROM (
                    SELECT id, priority, available_at FROM outbox
                    WHERE workspace_id = s.workspace_id AND published_at IS NULL AND available_at <= now()
                    ORDER BY priority DESC, available_at, id
                    LIMIT s.most
                ) few LIMIT 64
            ) o
        ), chosen AS (
            SELECT id, row_number() OVER (ORDER BY priority DESC, turn, available_at, id) AS place
            FROM candidates
            ORDER BY place
            LIMIT least($1::bigint, (SELECT room FROM capacity))
        ), locked AS (
            -- Another relay may have chosen the same rows at the same moment.
            SELECT id FROM outbox
            WHERE id = ANY (ARRAY(SELECT id FROM chosen)) AND published_at IS NULL
            FOR UPDATE SKIP LOCKED
        ), marked AS (
            UPDATE outbox SET published_at = clock_timestamp() WHERE id = ANY (ARRAY(SELECT id FROM locked))
            RETURNING id, execution_id, traceparent, available_at
        )
        SELECT marked.id, marked.execution_id, marked.traceparent, marked.available_at
        FROM marked JOIN chosen USING (id)
        ORDER BY chosen.place
        "#,
        most,
        workspace_limit,
    )
    .fetch_all(pool)
    .await
}

/// Why [`depart`] came back empty.
pub(crate) async fn waiting(pool: &PgPool) -> sqlx::Result<Waiting> {
    let wait = sqlx::query_scalar!(
        r#"SELECT extract(epoch FROM min(available_at) - now())::float8 FROM outbox WHERE published_at IS NULL"#
    )
    .fetch_one(pool)
    .await?;
    Ok(match wait {
        None => Waiting::Nothing,
        Some(seconds) if seconds <= 0.0 => Waiting::ForRoom,
        Some(seconds) => Waiting::ForTime(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)),
    })
}

/// Takes the mark from rows whose message the broker does not have.
pub(crate) async fn take_back(pool: &PgPool, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE outbox SET published_at = NULL WHERE id = ANY($1) AND published_at IS NOT NULL",
        ids
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Moves what was written before the database's clock went back to the present, delays and all. Returns how many rows
/// that were.
pub(crate) async fn follow_clock(pool: &PgPool) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "UPDATE outbox SET
             available_at = available_at - greatest(created_at - now(), interval '0'),
             created_at = least(created_at, now()),
             published_at = least(published_at, now())
         WHERE greatest(created_at, published_at) > now() + interval '1 second'"
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}

/// How many rows are marked, and for how many of them that was `min_age` ago.
pub(crate) async fn published(pool: &PgPool, min_age: Duration) -> sqlx::Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE published_at < now() - make_interval(secs => $1)) AS "old!"
           FROM outbox WHERE published_at IS NOT NULL"#,
        min_age.as_secs_f64(),
    )
    .fetch_one(pool)
    .await?;
    Ok((row.all, row.old))
}

/// Takes the mark from every row published `min_age` ago or earlier. Returns how many.
pub(crate) async fn take_back_old(pool: &PgPool, min_age: Duration) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "UPDATE outbox SET published_at = NULL WHERE published_at < now() - make_interval(secs => $1)",
        min_age.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}
