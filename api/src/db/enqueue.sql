-- Writes an execution and the outbox row that asks for its delivery. Nothing, if the script has changed.
-- Parameters: $1 to $18 the execution, $19 whether the fast path is open, $20 the most messages in the broker at which it is
-- used, $21 the version of the script's row (NULL: any).

WITH execution AS (
    INSERT INTO script_executions (id, workspace_id, script_id, script_version, trigger_type, retries_left,
        build_hash, functions, code_type, function_names, allowed_domains, event, context, variables, env_sealed,
        priority, traceparent, replay_of)
    SELECT $1::uuid, $2::uuid, $3::uuid, $4::integer, $5::text, $6::integer, $7::text, $8::jsonb, $9::text,
        -- From text, never through `jsonb`: that writes `1e131071` out in 131,072 digits, and refuses values that `json` holds.
        $10::text[], $11::text[], $12::text::json, $13::text::json, $14::text::json, $15::bytea, $16::smallint, $17::text,
        $18::uuid
    WHERE $21::bigint IS NULL OR EXISTS (SELECT FROM scripts WHERE id = $3 AND xmin::text::bigint = $21)
    RETURNING id, workspace_id, priority, traceparent, queued_at
),

-- Whether the writer publishes the row: not while another row is due, nor where running executions are limited or paused, nor
-- while the broker holds enough. Both probes look at the last minute only, in the order of an index, however many dead rows lie
-- behind it; of older rows the relay of this process knows.
fast_path AS (
    SELECT CASE
        WHEN NOT $19 OR NOT EXISTS (SELECT FROM workspaces WHERE id = $2 AND max_running IS NULL AND paused_at IS NULL)
            THEN false
        WHEN (SELECT id FROM outbox
              WHERE published_at IS NULL AND available_at BETWEEN now() - interval '1 minute' AND now()
              ORDER BY available_at LIMIT 1) IS NOT NULL THEN false
        ELSE $20 > (SELECT count(*) FROM (
                        SELECT FROM outbox WHERE published_at > now() - interval '1 minute'
                        ORDER BY published_at DESC LIMIT $20) in_broker)
        END AS is_taken
),

enqueued AS (
    INSERT INTO outbox (execution_id, workspace_id, priority, traceparent, published_at)
    SELECT id, workspace_id, priority, traceparent, CASE WHEN is_taken THEN clock_timestamp() END
    FROM execution, fast_path
    RETURNING id, available_at, published_at
)

-- On the fast path the commit does not wait for the disk: the writer publishes first, and flushes then.
SELECT queued_at, enqueued.id AS outbox_id, available_at, published_at IS NOT NULL AS "is_marked!",
    CASE WHEN published_at IS NOT NULL THEN set_config('synchronous_commit', 'off', true) END AS synchronous_commit
FROM execution, enqueued
