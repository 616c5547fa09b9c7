-- No default partitions any more: PostgreSQL detaches a partition without locking the table only where there is none.
-- Ids of executions are made by the database's clock (api/src/model/execution_ids.rs), so they fall into a week that exists.

-- Makes the weekly partitions that cover [from_moment, to_moment); those that exist stay. Attaching what was made apart
-- waits for no reader or writer of the table, and makes none wait; CREATE TABLE … PARTITION OF would.
CREATE OR REPLACE FUNCTION create_execution_partitions(from_moment timestamptz, to_moment timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    week timestamptz := date_trunc('week', from_moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    parent text;
    child text;
    made integer := 0;
BEGIN
    WHILE week < to_moment LOOP
        FOREACH parent IN ARRAY ARRAY['script_executions', 'execution_logs'] LOOP
            child := parent || '_' || to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD');
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent, child, uuid_v7_floor(week), uuid_v7_floor(week + interval '7 days'));
                made := made + 1;
            END IF;
        END LOOP;
        week := week + interval '7 days';
    END LOOP;
    RETURN made;
END $$;

-- One row: which api does table maintenance, and until when nobody else may.
CREATE TABLE maintenance (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    -- One round of one process.
    holder uuid,
    lease_expires_at timestamptz,
    -- When all steps last succeeded; at first, when this row was made.
    succeeded_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((holder IS NULL) = (lease_expires_at IS NULL))
);
INSERT INTO maintenance DEFAULT VALUES;

-- Weeks, by their Monday, whose partitions are being detached and dropped: a round that is cut off is finished by the next.
CREATE TABLE retiring_weeks (
    week date PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);

-- The oldest keys are looked for often: they should not lie behind a fifth of the table of dead ones.
ALTER TABLE idempotency_keys SET (autovacuum_vacuum_scale_factor = 0.02);

-- What wrong clocks have put outside all weeks gets a week of its own.
SET LOCAL lock_timeout = '5s';
ALTER TABLE script_executions DETACH PARTITION script_executions_default;
ALTER TABLE execution_logs DETACH PARTITION execution_logs_default;
SELECT create_execution_partitions(week, week + interval '1 day') FROM (
    SELECT DISTINCT date_trunc('week', to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
        AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS week
    FROM (SELECT id FROM script_executions_default UNION SELECT execution_id FROM execution_logs_default) AS misfit
) AS weeks;
INSERT INTO script_executions SELECT * FROM script_executions_default;
INSERT INTO execution_logs SELECT * FROM execution_logs_default;
DROP TABLE script_executions_default, execution_logs_default;

-- Programs of the version before call it, and find nothing to do.
CREATE OR REPLACE FUNCTION delete_misfit_executions(before timestamptz) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
