-- The first schema. Rules every later migration keeps are in migrations/README.md.
--
-- Ids are UUIDv7, so an id carries its time of birth. Executions and logs are partitioned by range of the
-- execution's id: a look-up by id touches one partition, and history is dropped partition by partition.

CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug <> ''),
    -- Sealed with ENCRYPTION_KEY; see shared::encryption.
    plane_token_sealed bytea,
    created_at timestamptz NOT NULL DEFAULT now()
);

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
    -- Names this function itself calls, directly.
    function_names text[] NOT NULL DEFAULT '{}',
    is_system boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CHECK (is_system = (workspace_id IS NULL))
);
CREATE UNIQUE INDEX script_functions_name ON script_functions (workspace_id, name) NULLS NOT DISTINCT WHERE deleted_at IS NULL;

CREATE TABLE scripts (
    id uuid PRIMARY KEY,
    workspace_id uuid REFERENCES workspaces (id),
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
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
    -- Names the script needs, transitively.
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

-- What was built, and from what. `functions` pins the build of every function the script needs:
-- [{"name": …, "build_hash": …}].
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
    CHECK (status <> 'errored' OR error_code IS NOT NULL)
) PARTITION BY RANGE (id);

CREATE INDEX script_executions_by_workspace ON script_executions (workspace_id, id DESC);
CREATE INDEX script_executions_by_script ON script_executions (script_id, id DESC);
CREATE INDEX script_executions_leases ON script_executions (lease_expires_at) WHERE status = 'running';

CREATE FUNCTION refuse_leaving_terminal_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'execution % is already %', OLD.id, OLD.status USING ERRCODE = 'integrity_constraint_violation';
END $$;
-- Terminal rows are final as a whole: not the status alone, the result and the error too.
CREATE TRIGGER terminal_status_is_final BEFORE UPDATE ON script_executions FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'errored', 'cancelled'))
    EXECUTE FUNCTION refuse_leaving_terminal_status();

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

-- Makes the weekly partitions that cover [from_moment, to_moment); those that exist stay.
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
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    child, parent, uuid_v7_floor(week), uuid_v7_floor(week + interval '7 days'));
                made := made + 1;
            END IF;
        END LOOP;
        week := week + interval '7 days';
    END LOOP;
    RETURN made;
END $$;

-- A row is never refused for want of a partition: what no week covers lands here.
CREATE TABLE script_executions_default PARTITION OF script_executions DEFAULT;
CREATE TABLE execution_logs_default PARTITION OF execution_logs DEFAULT;
SELECT create_execution_partitions(now() - interval '7 days', now() + interval '28 days');

-- Work that must be published: written in the same transaction as the change that asks for it.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    priority smallint NOT NULL DEFAULT 0,
    available_at timestamptz NOT NULL DEFAULT now(),
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_order ON outbox (priority DESC, available_at, id);

CREATE TABLE idempotency_keys (
    workspace_id uuid NOT NULL,
    key text NOT NULL,
    -- SHA-256 of what was asked, to tell a repeat from a clash.
    request_hash bytea NOT NULL,
    execution_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

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

-- Nonces of signed requests, so that none is accepted twice whichever process it reaches. Unlogged: losing
-- them in a crash reopens a window of 300 s at most, which the timestamp bounds.
CREATE UNLOGGED TABLE request_nonces (
    nonce text PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX request_nonces_age ON request_nonces (seen_at);

-- Who is running scripts, for /health.
CREATE TABLE workers (
    id text PRIMARY KEY,
    slots integer NOT NULL,
    busy integer NOT NULL DEFAULT 0,
    layers text[] NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now()
);
