WITH lost AS (
    SELECT id FROM script_executions
    WHERE id = ANY($2::uuid[]) AND status = 'running' AND lease_expires_at < now()
    FOR UPDATE SKIP LOCKED
), reaped AS (
    UPDATE script_executions e SET
        status = next.status,
        error_code = next.error_code,
        error_message = CASE next.error_code
            WHEN 'worker_lost' THEN 'the worker that ran it stopped answering, ' || e.attempt || ' times'
            WHEN 'cancelled' THEN 'cancelled' END,
        finished_at = CASE WHEN next.status <> 'queued' THEN clock_timestamp() END,
        started_at = CASE WHEN next.status <> 'queued' THEN e.started_at END,
        worker_id = NULL, lease_expires_at = NULL
    FROM lost JOIN script_executions l USING (id), LATERAL (
        SELECT
            CASE WHEN l.cancel_requested_at IS NOT NULL THEN 'cancelled'
                WHEN l.attempt >= l.max_attempts THEN 'errored' ELSE 'queued' END AS status,
            CASE WHEN l.cancel_requested_at IS NOT NULL THEN 'cancelled'
                WHEN l.attempt >= l.max_attempts THEN 'worker_lost' END AS error_code
    ) next
    WHERE e.id = lost.id
    RETURNING e.id, e.workspace_id, e.priority, e.traceparent, e.status, e.attempt
), enqueued AS (
    INSERT INTO outbox (execution_id, workspace_id, priority, traceparent, available_at)
    SELECT id, workspace_id, greatest(priority, $3::smallint), traceparent,
        now() + make_interval(secs => $1::float8 * 2 ^ (attempt - 1) * (0.5 + random() / 2))
    FROM reaped WHERE status = 'queued'
)
SELECT id, status, attempt, pg_notify('execution_changed', id::text)::text, pg_notify('outbox', '')::text FROM reaped
