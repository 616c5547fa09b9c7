-- The schema of 0.1.0. Rules that every later migration keeps are in migrations/README.md.
--
-- Ids are UUIDv7, so an id carries the time at which it was made. Executions and logs are partitioned by range of the
-- execution's id: a look-up by id touches one partition, and history is dropped partition by partition. There is no default
-- partition: PostgreSQL detaches a partition without locking the table only where there is none. Ids of executions are made
-- by the database's clock (api/src/model/execution_ids.rs), so they fall into a week that exists.

CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug <> ''),
    -- Sealed with ENCRYPTION_KEY; see shared::encryption.
    plane_token_sealed bytea,
    -- Share of the workers while executions of other workspaces wait.
    dispatch_weight integer NOT NULL DEFAULT 1 CHECK (dispatch_weight BETWEEN 1 AND 100),
    -- Executions that may run at a time. NULL: the value of WORKSPACE_CONCURRENCY.
    max_running integer CHECK (max_running > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Answers in one probe whether any workspace has a limit.
CREATE INDEX workspaces_limited ON workspaces (id) WHERE max_running IS NOT NULL;

-- Build outputs, content-addressed and immutable: the hash covers code, kind and builder version.
CREATE TABLE builds (
    hash text PRIMARY KEY,
    code text NOT NULL,
    function_names text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE script_functions (
    id uuid PRIMARY KEY,
    workspace_id uuid REFERENCES workspaces (id),
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    category text NOT NULL DEFAULT 'custom',
    parameters jsonb NOT NULL DEFAULT '[]',
    return_type text NOT NULL DEFAULT 'any',
    usage_example text NOT NULL DEFAULT '',
    code text NOT NULL,
    build_hash text NOT NULL REFERENCES builds (hash),
    -- Names that this function itself calls, directly.
    function_names text[] NOT NULL DEFAULT '{}',
    is_system boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CHECK (is_system = (workspace_id IS NULL))
);
CREATE UNIQUE INDEX script_functions_name ON script_functions (workspace_id, name) NULLS NOT DISTINCT WHERE deleted_at IS NULL;
CREATE INDEX script_functions_newest ON script_functions (workspace_id, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE scripts (
    id uuid PRIMARY KEY,
    workspace_id uuid REFERENCES workspaces (id),
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    category text NOT NULL DEFAULT '',
    platform text NOT NULL DEFAULT 'node22',
    code_type text NOT NULL CHECK (code_type IN ('main_fn', 'raw')),
    trigger_type text NOT NULL CHECK (trigger_type IN ('automation', 'workflow_transition', 'cron')),
    code text NOT NULL,
    build_hash text NOT NULL REFERENCES builds (hash),
    variables jsonb NOT NULL DEFAULT '[]',
    -- Sealed JSON object of the script's own environment.
    env_sealed bytea,
    allowed_domains text[] NOT NULL DEFAULT '{}',
    max_retries integer NOT NULL DEFAULT 0 CHECK (max_retries BETWEEN 0 AND 10),
    -- Seconds before the first retry of a script's own fault; doubled for every further one.
    retry_backoff_s integer NOT NULL DEFAULT 10 CHECK (retry_backoff_s BETWEEN 1 AND 86400),
    -- Names that the script needs, transitively.
    function_names text[] NOT NULL DEFAULT '{}',
    is_system boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CHECK (is_system = (workspace_id IS NULL))
);
CREATE UNIQUE INDEX scripts_name ON scripts (workspace_id, name) NULLS NOT DISTINCT WHERE deleted_at IS NULL;
CREATE INDEX scripts_newest ON scripts (workspace_id, id DESC) WHERE deleted_at IS NULL;

-- The builds of each version of a script, and their source. `functions` pins the build of every function that the script
-- needs: [{"name": …, "build_hash": …}].
CREATE TABLE script_versions (
    script_id uuid NOT NULL REFERENCES scripts (id),
    version integer NOT NULL,
    code text NOT NULL,
    code_type text NOT NULL,
    build_hash text NOT NULL REFERENCES builds (hash),
    functions jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (script_id, version)
);

CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are immutable', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER builds_are_immutable BEFORE UPDATE ON builds FOR EACH ROW EXECUTE FUNCTION refuse_update();
CREATE TRIGGER script_versions_are_immutable BEFORE UPDATE ON script_versions FOR EACH ROW EXECUTE FUNCTION refuse_update();

CREATE TABLE schedules (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    script_id uuid NOT NULL REFERENCES scripts (id),
    -- Five fields: minute, hour, day of month, month, day of week.
    cron text NOT NULL,
    -- IANA name.
    timezone text NOT NULL DEFAULT 'UTC',
    variables json NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true,
    -- A run starts up to this many seconds late, at random, so that full hours do not pile up.
    jitter_s integer NOT NULL DEFAULT 0 CHECK (jitter_s BETWEEN 0 AND 3600),
    -- Runs that were due while no api could fire them: none is made up for, or the latest one is.
    catch_up text NOT NULL DEFAULT 'latest' CHECK (catch_up IN ('none', 'latest')),
    -- NULL: disabled, or the expression never matches again.
    next_run_at timestamptz,
    last_run_at timestamptz,
    last_execution_id uuid,
    missed_runs bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX schedules_by_workspace ON schedules (workspace_id, id DESC);
CREATE INDEX schedules_by_script ON schedules (script_id);
CREATE INDEX schedules_due ON schedules (next_run_at) WHERE enabled;

-- Executions and their log lines.

CREATE TABLE script_executions (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    script_id uuid,
    script_version integer,
    trigger_type text NOT NULL CHECK (trigger_type IN ('automation', 'workflow_transition', 'cron', 'test', 'api')),
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'completed', 'errored', 'cancelled')),
    -- Raised by every claim; every later write of a worker names it.
    attempt integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 3,
    -- Retries left for the script's own faults.
    retries_left integer NOT NULL DEFAULT 0,

    build_hash text NOT NULL,
    -- Pinned like script_versions.functions.
    functions jsonb NOT NULL DEFAULT '[]',
    code_type text NOT NULL,
    function_names text[] NOT NULL DEFAULT '{}',
    allowed_domains text[] NOT NULL DEFAULT '{}',
    -- `json`, not `jsonb`: kept as it came, also where jsonb would refuse it (\u0000).
    event json NOT NULL DEFAULT '{}',
    context json NOT NULL DEFAULT '{}',
    variables json NOT NULL DEFAULT '{}',
    env_sealed bytea,
    priority smallint NOT NULL DEFAULT 0,
    traceparent text,
    replay_of uuid,

    result json,
    error_code text,
    error_message text,
    error_stack text,
    error_line integer,
    error_column integer,

    queued_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    queue_ms double precision,
    init_ms double precision,
    run_ms double precision,
    persist_ms double precision,
    cpu_ms double precision,
    memory_peak_bytes bigint,

    worker_id text,
    lease_expires_at timestamptz,
    cancel_requested_at timestamptz,

    CHECK ((status IN ('completed', 'errored', 'cancelled')) = (finished_at IS NOT NULL)),
    CONSTRAINT script_executions_error_code_tells_the_end CHECK (
        CASE status
            WHEN 'cancelled' THEN error_code IS NOT DISTINCT FROM 'cancelled'
            WHEN 'errored' THEN error_code IS NOT NULL AND error_code <> 'cancelled'
            ELSE error_code IS NULL
        END
    )
) PARTITION BY RANGE (id);

-- Groups executions by trigger and by how they ended, as far as `error_code` tells: it stays NULL unless an execution fails
-- or is cancelled. Immutable for good: indexes hold its values.
--
-- Not in SQL: the planner looks into functions of SQL and counts this one as cheap, and while a table is small it would
-- compute it for every row of a workspace instead of using the index. It keeps such a plan when the table has grown.
CREATE FUNCTION execution_kind(trigger_type text, error_code text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
BEGIN
    RETURN CASE trigger_type
        WHEN 'automation' THEN 0 WHEN 'workflow_transition' THEN 1 WHEN 'cron' THEN 2 WHEN 'test' THEN 3
        WHEN 'api' THEN 4 ELSE 5
    END * 3 + CASE WHEN error_code IS NULL THEN 0 WHEN error_code <> 'cancelled' THEN 1 ELSE 2 END;
END $$;

-- Indexes of lists: docs/adr/0016. None names `status`, which changes three times in an execution's life: an index on it
-- would have to be written each time, and with it all others.
CREATE INDEX script_executions_by_kind
    ON script_executions (workspace_id, execution_kind(trigger_type, error_code), id);
-- After the one above: of two that cost the same, as all do while a table is empty, the planner takes the younger.
CREATE INDEX script_executions_by_script_and_kind
    ON script_executions (workspace_id, script_id, execution_kind(trigger_type, error_code), id);
-- For the list of queued executions, and to count a workspace's queue without reading its history.
CREATE INDEX script_executions_waiting ON script_executions (workspace_id, id) WHERE status = 'queued';
CREATE INDEX script_executions_leases ON script_executions (lease_expires_at) WHERE status = 'running';

CREATE FUNCTION refuse_leaving_terminal_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'execution % is already %', OLD.id, OLD.status USING ERRCODE = 'integrity_constraint_violation';
END $$;
-- Terminal rows are final as a whole: not the status alone, the result and the error too.
CREATE TRIGGER terminal_status_is_final BEFORE UPDATE ON script_executions FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'errored', 'cancelled'))
    EXECUTE FUNCTION refuse_leaving_terminal_status();

-- Sets the code whichever program cancels, an operator's statement included.
CREATE FUNCTION give_cancelled_its_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.error_code := 'cancelled';
    RETURN NEW;
END $$;
CREATE TRIGGER cancelled_has_its_code BEFORE INSERT OR UPDATE ON script_executions FOR EACH ROW
    WHEN (NEW.status = 'cancelled' AND NEW.error_code IS DISTINCT FROM 'cancelled')
    EXECUTE FUNCTION give_cancelled_its_code();

CREATE TABLE execution_logs (
    execution_id uuid NOT NULL,
    -- 1-based, over all attempts.
    seq integer NOT NULL,
    ts timestamptz NOT NULL,
    level text NOT NULL CHECK (level IN ('debug', 'info', 'warn', 'error')),
    message text NOT NULL,
    PRIMARY KEY (execution_id, seq)
) PARTITION BY RANGE (execution_id);

-- The smallest UUIDv7 of a moment: 48 bits of Unix milliseconds, then zeros (RFC 9562 §5.7).
CREATE FUNCTION uuid_v7_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT rpad(lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

-- Makes the weekly partitions that cover [from_moment, to_moment); those that exist stay. Attaching a table that was made
-- apart waits for no reader or writer of the parent, and makes none wait; CREATE TABLE … PARTITION OF would.
CREATE FUNCTION create_execution_partitions(from_moment timestamptz, to_moment timestamptz) RETURNS integer
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
SELECT create_execution_partitions(now() - interval '7 days', now() + interval '28 days');

-- Delivery.

-- An outbox row lives until a worker has claimed its execution. `published_at` says that the broker holds a message, or did:
-- the publisher sets it first and clears it when the broker did not confirm. So the database knows how many messages the
-- broker holds, in which order to publish the next, and which were lost with a queue.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    priority smallint NOT NULL DEFAULT 0,
    available_at timestamptz NOT NULL DEFAULT now(),
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz
) WITH (
    -- Every row is updated once and deleted soon: clean up often, in small steps.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX outbox_waiting ON outbox (workspace_id, priority DESC, available_at, id) WHERE published_at IS NULL;
CREATE INDEX outbox_due ON outbox (available_at) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
CREATE INDEX outbox_by_execution ON outbox (execution_id);

CREATE TABLE idempotency_keys (
    workspace_id uuid NOT NULL,
    key text NOT NULL,
    -- SHA-256 of the request, to tell a repeat from a conflict.
    request_hash bytea NOT NULL,
    execution_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
) WITH (
    -- The oldest keys are looked for often: they must not lie behind dead ones that fill a fifth of the table.
    autovacuum_vacuum_scale_factor = 0.02
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Live workers with their slots, for /health and for the relay's window.
CREATE TABLE workers (
    id text PRIMARY KEY,
    slots integer NOT NULL,
    busy integer NOT NULL DEFAULT 0,
    layers text[] NOT NULL DEFAULT '{}',
    draining boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX workers_seen ON workers (last_seen_at);

-- Access and environment.

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    name text NOT NULL,
    prefix text NOT NULL,
    -- SHA-256 of the whole key; the key has 256 random bits, so a slow hash adds nothing.
    key_hash bytea NOT NULL UNIQUE,
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'execute']),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id DESC);
CREATE INDEX api_keys_in_use ON api_keys (workspace_id, id DESC) WHERE revoked_at IS NULL;

-- Nonces of signed requests, so that none is accepted twice whichever process it reaches. Unlogged: losing
-- them in a crash reopens a window of 300 s at most, which the timestamp bounds.
CREATE UNLOGGED TABLE request_nonces (
    nonce text PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX request_nonces_age ON request_nonces (seen_at);

CREATE TABLE environment_variables (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    key text NOT NULL,
    value_sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text,
    PRIMARY KEY (workspace_id, key)
);

CREATE TABLE environment_changes (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    key text NOT NULL,
    action text NOT NULL CHECK (action IN ('set', 'deleted')),
    changed_by text,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX environment_changes_by_key ON environment_changes (workspace_id, key, id DESC);

-- Maintenance.

-- One row: the api that does table maintenance, and the end of its lease.
CREATE TABLE maintenance (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    -- One round of one process.
    holder uuid,
    lease_expires_at timestamptz,
    -- Moment at which all steps last succeeded; at first, when this row was made.
    succeeded_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((holder IS NULL) = (lease_expires_at IS NULL))
);
INSERT INTO maintenance DEFAULT VALUES;

-- Weeks, by their Monday, whose partitions are being detached and dropped: a round that is cut off is finished by the next.
CREATE TABLE retiring_weeks (
    week date PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
