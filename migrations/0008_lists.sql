-- What lists read, whatever they are narrowed to: ADR 18. No index here names `status`, which changes three times in an
-- execution's life: an index on it would have to be written each time, and with it all others.

-- Groups executions by what asked for them and by how they ended, as far as `error_code` tells: it stays NULL unless an
-- execution fails or is cancelled. Immutable for good: indexes hold its values.
--
-- Not in SQL: what the planner can look into it counts as cheap, and while a table is small it would rather compute this for
-- every row of a workspace than use the index. It keeps such a plan when the table has grown.
CREATE FUNCTION execution_kind(trigger_type text, error_code text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
BEGIN
    RETURN CASE trigger_type
        WHEN 'automation' THEN 0 WHEN 'workflow_transition' THEN 1 WHEN 'cron' THEN 2 WHEN 'test' THEN 3
        WHEN 'api' THEN 4 ELSE 5
    END * 3 + CASE WHEN error_code IS NULL THEN 0 WHEN error_code <> 'cancelled' THEN 1 ELSE 2 END;
END $$;

CREATE INDEX script_executions_by_kind
    ON script_executions (workspace_id, execution_kind(trigger_type, error_code), id);
-- After the one above: of two that cost the same, as all do while a table is empty, the planner takes the younger.
CREATE INDEX script_executions_by_script_and_kind
    ON script_executions (workspace_id, script_id, execution_kind(trigger_type, error_code), id);
-- In the order of a list. It counts a queue as well as `script_executions_queued` does.
CREATE INDEX script_executions_waiting ON script_executions (workspace_id, id) WHERE status = 'queued';
-- One release later, when no program needs them any more:
--   DROP INDEX script_executions_by_workspace, script_executions_by_script, script_executions_queued;

-- Whoever cancels: an operator's statement as well.
CREATE FUNCTION give_cancelled_its_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.error_code := 'cancelled';
    RETURN NEW;
END $$;
CREATE TRIGGER cancelled_has_its_code BEFORE INSERT OR UPDATE ON script_executions FOR EACH ROW
    WHEN (NEW.status = 'cancelled' AND NEW.error_code IS DISTINCT FROM 'cancelled')
    EXECUTE FUNCTION give_cancelled_its_code();
-- All programs keep it. Rows of before are not looked at: that would take a lock for as long as the history is large.
ALTER TABLE script_executions ADD CONSTRAINT script_executions_error_code_tells_the_end CHECK (
    CASE status
        WHEN 'cancelled' THEN error_code = 'cancelled'
        WHEN 'errored' THEN error_code <> 'cancelled'
        ELSE error_code IS NULL
    END
) NOT VALID;

-- Looks for unfinished executions by the indexes on those alone: the whole week was read before.
CREATE OR REPLACE FUNCTION drop_execution_partitions(before timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    week text;
    unfinished boolean;
    dropped integer := 0;
BEGIN
    FOR week IN
        SELECT right(child.relname, 8)
        FROM pg_inherits
        JOIN pg_class child ON child.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = 'script_executions'::regclass AND child.relname ~ '^script_executions_\d{8}$'
        ORDER BY 1
    LOOP
        -- A week's name is its Monday, in UTC.
        CONTINUE WHEN (to_timestamp(week || '+00', 'YYYYMMDDTZH') + interval '7 days') > before;
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$I WHERE status = ''queued'')
                            OR EXISTS (SELECT FROM %1$I WHERE status = ''running'')',
            'script_executions_' || week) INTO unfinished;
        CONTINUE WHEN unfinished;
        EXECUTE format('DROP TABLE %I', 'script_executions_' || week);
        EXECUTE format('DROP TABLE IF EXISTS %I', 'execution_logs_' || week);
        dropped := dropped + 2;
    END LOOP;
    RETURN dropped;
END $$;

-- Lists of what is not history, but was read with everybody else's rows or with those that are gone.
CREATE INDEX script_functions_newest ON script_functions (workspace_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX api_keys_in_use ON api_keys (workspace_id, id DESC) WHERE revoked_at IS NULL;
CREATE INDEX environment_changes_by_key ON environment_changes (workspace_id, key, id DESC);
