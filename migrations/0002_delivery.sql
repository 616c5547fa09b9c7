-- Delivery: what the relay, the workers' claims and the schedules need.

-- An outbox row lives until a worker has claimed its execution. `published_at` says that a message is, or was, on
-- its way: the relay sets it before it publishes and clears it when the broker did not confirm. So the database
-- knows how many messages the broker holds, in which order to hand out the next, and which were lost with a queue.
ALTER TABLE outbox
    ADD COLUMN published_at timestamptz,
    -- Every row is updated once and deleted soon: clean up often, in small steps.
    SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
DROP INDEX outbox_order;
CREATE INDEX outbox_waiting ON outbox (workspace_id, priority DESC, available_at, id) WHERE published_at IS NULL;
CREATE INDEX outbox_due ON outbox (available_at) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
CREATE INDEX outbox_by_execution ON outbox (execution_id);

-- A workspace's share of the workers while others wait too.
ALTER TABLE workspaces ADD COLUMN dispatch_weight integer NOT NULL DEFAULT 1 CHECK (dispatch_weight BETWEEN 1 AND 100);

-- Seconds before the first retry of a script's own fault; doubled for every further one.
ALTER TABLE scripts ADD COLUMN retry_backoff_s integer NOT NULL DEFAULT 10 CHECK (retry_backoff_s BETWEEN 1 AND 86400);

ALTER TABLE workers ADD COLUMN draining boolean NOT NULL DEFAULT false;
CREATE INDEX workers_seen ON workers (last_seen_at);

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
    -- What becomes of runs that were due while nobody could fire them: none is made up, or the latest one is.
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
