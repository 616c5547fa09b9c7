-- Slots that the workers need now: one for each execution that runs, and one for each that has waited longer than is
-- accepted and may run. Executions beyond the limit of their workspace, or of a paused one, may not run, and need no slot.
WITH running AS (
    SELECT workspace_id, count(*) AS executions FROM script_executions WHERE status = 'running' GROUP BY workspace_id
),
waiting AS (
    SELECT workspace_id, count(*) AS executions FROM outbox
    WHERE available_at <= now() - interval ':accepted_wait_seconds seconds' GROUP BY workspace_id
),
demand AS (
    SELECT coalesce(r.executions, 0) AS running, coalesce(w.executions, 0) AS waiting,
        CASE WHEN s.paused_at IS NULL THEN nullif(coalesce(s.max_running, :workspace_limit), 0) ELSE 0 END AS most
    FROM running r FULL JOIN waiting w USING (workspace_id) LEFT JOIN workspaces s ON s.id = workspace_id
)
SELECT coalesce(sum(CASE
    WHEN most IS NULL THEN running + waiting
    ELSE greatest(running, least(running + waiting, most))
END), 0)::float8 FROM demand
