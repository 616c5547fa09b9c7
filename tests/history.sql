-- A history of executions for tests and measurements of lists: `SELECT make_history(rows, weeks, event_bytes)` writes so many,
-- spread evenly over the weeks up to now.
--
--   workspace 1   40 %  all completed, by automations and transitions; one script has two thirds of them
--   workspace 2   10 %  all failed
--   workspace 3   10 %  everything: each trigger, each way to end
--   workspace 4   10 %  completed, with a queue: its newest 2 % wait
--   the others    30 %  197 of them, mixed
CREATE FUNCTION workspace_of_history(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid
$$;

CREATE FUNCTION script_of_history(workspace bigint, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT ('00000000-0000-7000-9000-' || lpad(to_hex(workspace * 100 + number), 12, '0'))::uuid
$$;

CREATE FUNCTION make_history(total bigint, weeks integer, event_bytes integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_execution_partitions(now() - make_interval(weeks => weeks), now());
    INSERT INTO workspaces (id, slug)
    SELECT workspace_of_history(number), 'history-' || number FROM generate_series(1, 201) number
    ON CONFLICT DO NOTHING;

    INSERT INTO script_executions (id, workspace_id, script_id, script_version, trigger_type, status, attempt, build_hash,
        code_type, event, result, error_code, error_message, queued_at, started_at, finished_at, queue_ms, init_ms, run_ms,
        persist_ms, cpu_ms, memory_peak_bytes, worker_id, lease_expires_at)
    SELECT (lpad(to_hex(ms), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
        workspace_of_history(workspace), script_of_history(workspace, script), 1, trigger_type, status,
        (status <> 'queued')::integer, 'none', 'main_fn', json_build_object('data', repeat('x', event_bytes)),
        CASE status WHEN 'completed' THEN '{"ok":true}'::json END,
        CASE status WHEN 'errored' THEN 'script_error' WHEN 'cancelled' THEN 'cancelled' END,
        CASE status WHEN 'errored' THEN 'TypeError: it is not a function' END,
        queued_at, CASE WHEN status <> 'queued' THEN queued_at END,
        CASE WHEN status NOT IN ('queued', 'running') THEN queued_at + interval '30 ms' END,
        5, 2, 20, 1, 10, 20000000, 'worker', CASE status WHEN 'running' THEN now() + interval '1 hour' END
    FROM (
        SELECT *, to_timestamp(ms / 1000.0) + interval '2 ms' AS queued_at,
            CASE
                WHEN workspace = 2 THEN 'errored'
                WHEN workspace = 4 AND i > total * 98 / 100 THEN 'queued'
                WHEN workspace = 3 AND i > total * 9999 / 10000 THEN 'running'
                WHEN workspace IN (1, 4) THEN 'completed'
                WHEN i / 10 % 7 = 0 THEN 'errored'
                WHEN i / 10 % 11 = 0 THEN 'cancelled'
                ELSE 'completed'
            END AS status,
            CASE
                WHEN workspace = 1 THEN (ARRAY['automation', 'automation', 'workflow_transition'])[1 + i / 10 % 3]
                WHEN workspace IN (2, 4) THEN 'automation'
                ELSE (ARRAY['automation', 'workflow_transition', 'cron', 'test', 'api'])[1 + i / 10 % 5]
            END AS trigger_type,
            CASE WHEN workspace = 1 AND i % 3 > 0 THEN 0 ELSE i / 10 % 13 END AS script
        FROM (
            SELECT i, md5(i::text) AS hash,
                ((extract(epoch FROM now()) - (total - i) * (weeks * 604800.0 / nullif(total, 0))) * 1000)::bigint AS ms,
                CASE WHEN i % 10 < 4 THEN 1 WHEN i % 10 < 7 THEN i % 10 - 2 ELSE 5 + i / 10 % 197 END AS workspace
            FROM generate_series(1, total) i
        ) times
    ) executions;
END $$;
