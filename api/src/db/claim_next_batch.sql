-- Marks the next outbox rows as published and returns them in order of dispatch, each with the state of the outbox after it.
-- Returns one row without an id if there is none to publish.
-- Parameters: $1 the most rows, $2 the limit of running executions of a workspace that has none of its own (0: no limit).

-- Workspaces that have unpublished rows. One index probe per workspace, however long the backlogs are.
WITH RECURSIVE waiting_workspaces (workspace_id) AS (
    (SELECT workspace_id FROM outbox WHERE published_at IS NULL ORDER BY workspace_id LIMIT 1)
    UNION ALL
    SELECT (SELECT o.workspace_id FROM outbox o
            WHERE o.published_at IS NULL AND o.workspace_id > w.workspace_id
            ORDER BY o.workspace_id LIMIT 1)
    FROM waiting_workspaces w WHERE w.workspace_id IS NOT NULL
),

-- Messages that are published and not claimed yet, per workspace.
in_broker AS (
    SELECT workspace_id, count(*) AS messages FROM outbox WHERE published_at IS NOT NULL GROUP BY workspace_id
),

-- Messages that the broker may still be given: its window is twice the slots of the live workers, at least 8.
broker_window AS (
    SELECT size, greatest(0, size - (SELECT coalesce(sum(messages), 0) FROM in_broker))::bigint AS free_slots
    FROM (
        SELECT greatest(8, 2 * coalesce(sum(slots), 0)) AS size
        FROM workers WHERE NOT draining AND last_seen_at > now() - interval '10 seconds'
    ) live_workers
),

-- Running executions per workspace. Counted only if there is a limit anywhere.
running AS (
    SELECT workspace_id, count(*) AS executions FROM script_executions
    WHERE status = 'running' AND ($2::bigint > 0 OR EXISTS (SELECT FROM workspaces WHERE max_running IS NOT NULL))
    GROUP BY workspace_id
),

-- The weight of each waiting workspace, and the most rows it may publish now.
shares AS (
    SELECT w.workspace_id, coalesce(b.messages, 0) AS messages, coalesce(s.dispatch_weight, 1)::float8 AS weight,
        least($1::bigint, (SELECT free_slots FROM broker_window),
            -- NULL, which `least` ignores, without a limit.
            CASE WHEN s.paused_at IS NOT NULL THEN 0
                 WHEN $2::bigint > 0 OR s.max_running IS NOT NULL
                 THEN greatest(0, coalesce(s.max_running, $2) - coalesce(b.messages, 0) - coalesce(r.executions, 0))
            END) AS max_rows
    FROM waiting_workspaces w
    LEFT JOIN in_broker b ON b.workspace_id = w.workspace_id
    LEFT JOIN running r ON r.workspace_id = w.workspace_id
    LEFT JOIN workspaces s ON s.id = w.workspace_id
),

-- The due rows of each workspace with their turn: the number of the message in its workspace, divided by the weight.
candidates AS (
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
            LIMIT s.max_rows
        ) due LIMIT 64
    ) o
),

-- The rows with the lowest turns, as many as the window has room for.
chosen AS (
    SELECT id, row_number() OVER (ORDER BY priority DESC, turn, available_at, id) AS place
    FROM candidates
    ORDER BY place
    LIMIT least($1::bigint, (SELECT free_slots FROM broker_window))
),

-- Without those that another relay chose at the same moment.
locked AS (
    SELECT id FROM outbox
    WHERE id = ANY (ARRAY(SELECT id FROM chosen)) AND published_at IS NULL
    FOR UPDATE SKIP LOCKED
),

marked AS (
    UPDATE outbox SET published_at = clock_timestamp() WHERE id = ANY (ARRAY(SELECT id FROM locked))
    RETURNING id, execution_id, traceparent, available_at
),

-- What is left: seconds until the next of the other rows is due, and the room in the broker's window.
rest AS (
    SELECT size::bigint AS window_size, (free_slots - (SELECT count(*) FROM marked))::bigint AS room,
        (SELECT extract(epoch FROM available_at - now())::float8 FROM outbox
         WHERE published_at IS NULL AND id <> ALL (ARRAY(SELECT id FROM locked))
         ORDER BY available_at LIMIT 1) AS due_in_s
    FROM broker_window
)

SELECT marked.id AS "id?", marked.execution_id AS "execution_id?", marked.traceparent, marked.available_at AS "available_at?",
    window_size AS "window_size!", room AS "room!", due_in_s
FROM rest LEFT JOIN (marked JOIN chosen USING (id)) ON true
ORDER BY chosen.place
