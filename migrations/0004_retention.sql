-- Drops the weekly partitions of executions and logs that ended before a moment, unless one still holds an execution
-- that is to be run. Returns how many tables went.
CREATE FUNCTION drop_execution_partitions(before timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
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
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE status IN (''queued'', ''running''))',
            'script_executions_' || week) INTO unfinished;
        CONTINUE WHEN unfinished;
        EXECUTE format('DROP TABLE %I', 'script_executions_' || week);
        EXECUTE format('DROP TABLE IF EXISTS %I', 'execution_logs_' || week);
        dropped := dropped + 2;
    END LOOP;
    RETURN dropped;
END $$;
