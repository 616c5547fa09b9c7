-- Workspaces with due outbox rows that are not published: their number, the age of the oldest, the row that the relay takes
-- next, and the number of rows that the workspace's limit lets it publish now (NULL: no limit).
-- Parameter: $1 the limit of running executions of a workspace that has none of its own (0: no limit).

WITH due AS (
    SELECT workspace_id, count(*) AS rows, min(available_at) AS oldest FROM outbox
    WHERE published_at IS NULL AND available_at <= now()
    GROUP BY workspace_id
),

in_broker AS (
    SELECT workspace_id, count(*) AS messages FROM outbox WHERE published_at IS NOT NULL GROUP BY workspace_id
),

-- Counted only if there is a limit anywhere.
running AS (
    SELECT workspace_id, count(*) AS executions FROM script_executions
    WHERE status = 'running' AND ($1::bigint > 0 OR EXISTS (SELECT FROM workspaces WHERE max_running IS NOT NULL))
    GROUP BY workspace_id
)

SELECT d.workspace_id AS "workspace_id!", d.rows AS "rows!", extract(epoch FROM now() - d.oldest)::float8 AS "oldest_s!",
    CASE WHEN s.paused_at IS NOT NULL THEN 0
         WHEN $1 > 0 OR s.max_running IS NOT NULL
         THEN greatest(0, coalesce(s.max_running, $1) - coalesce(b.messages, 0) - coalesce(r.executions, 0))
    END AS publishable,
    CASE WHEN $1 > 0 OR s.max_running IS NOT NULL OR s.paused_at IS NOT NULL
         THEN (SELECT id FROM outbox o
               WHERE o.workspace_id = d.workspace_id AND o.published_at IS NULL AND o.available_at <= now()
               ORDER BY o.priority DESC, o.available_at, o.id LIMIT 1)
    END AS next_row
FROM due d
LEFT JOIN in_broker b ON b.workspace_id = d.workspace_id
LEFT JOIN running r ON r.workspace_id = d.workspace_id
LEFT JOIN workspaces s ON s.id = d.workspace_id
