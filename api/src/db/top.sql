-- Scripts by their use of the platform over the last minutes. Reads one range of the primary key, and a limited number of rows.
-- Parameters: $1 minutes, $2 the most executions read, $3 the order, $4 the most scripts returned.

WITH recent AS (
    SELECT workspace_id, script_id, status, queue_ms, cpu_ms,
        -- Time in a slot: of ended runs as measured, of running ones until now.
        CASE WHEN finished_at IS NOT NULL THEN coalesce(init_ms, 0) + coalesce(run_ms, 0) + coalesce(persist_ms, 0)
             WHEN status = 'running' THEN extract(epoch FROM now() - started_at) * 1000
             ELSE 0 END::float8 AS slot_ms
    FROM script_executions
    WHERE id >= uuid_v7_floor(now() - make_interval(mins => $1))
    ORDER BY id DESC LIMIT $2
),

used AS (
    SELECT workspace_id, script_id, count(*) AS executions,
        count(*) FILTER (WHERE status = 'errored') AS errors,
        count(*) FILTER (WHERE status IN ('queued', 'running')) AS unfinished,
        sum(slot_ms) / 1000 AS slot_s, coalesce(sum(cpu_ms), 0) / 1000 AS cpu_s, max(queue_ms) / 1000 AS longest_wait_s
    FROM recent GROUP BY workspace_id, script_id
)

SELECT w.slug AS "workspace!", used.script_id, s.name AS "script?", executions AS "executions!", errors AS "errors!",
    unfinished AS "unfinished!", slot_s::float8 AS "slot_s!", cpu_s::float8 AS "cpu_s!", longest_wait_s::float8 AS longest_wait_s
FROM used JOIN workspaces w ON w.id = used.workspace_id LEFT JOIN scripts s ON s.id = used.script_id
ORDER BY CASE $3::text
    WHEN 'slots' THEN slot_s WHEN 'cpu' THEN cpu_s WHEN 'executions' THEN executions WHEN 'errors' THEN errors
    ELSE coalesce(longest_wait_s, 0) END DESC, w.slug, used.script_id
LIMIT $4
