-- The default partitions hold what a clock that was wrong put outside all weeks. Such rows must neither keep the week
-- they belong to from being made, nor stay for ever.
CREATE OR REPLACE FUNCTION create_execution_partitions(from_moment timestamptz, to_moment timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    week timestamptz := date_trunc('week', from_moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    parent text;
    key text;
    child text;
    made integer := 0;
BEGIN
    WHILE week < to_moment LOOP
        FOREACH parent IN ARRAY ARRAY['script_executions', 'execution_logs'] LOOP
            key := CASE parent WHEN 'script_executions' THEN 'id' ELSE 'execution_id' END;
            child := parent || '_' || to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD');
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
                -- Attaching locks it anyway; earlier, nothing comes in between the move and that.
                EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
                EXECUTE format(
                    'WITH moved AS (DELETE FROM %1$I WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING *)
                     INSERT INTO %5$I SELECT * FROM moved',
                    parent || '_default', key, uuid_v7_floor(week), uuid_v7_floor(week + interval '7 days'), child);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent, child, uuid_v7_floor(week), uuid_v7_floor(week + interval '7 days'));
                made := made + 1;
            END IF;
        END LOOP;
        week := week + interval '7 days';
    END LOOP;
    RETURN made;
END $$;

-- Deletes from the default partitions what ended before a moment. Returns how many executions went.
CREATE FUNCTION delete_misfit_executions(before timestamptz) RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM script_executions_default WHERE finished_at < before RETURNING id
    ), their_logs AS (
        DELETE FROM execution_logs_default WHERE execution_id IN (SELECT id FROM gone)
    )
    SELECT count(*) FROM gone
$$;
