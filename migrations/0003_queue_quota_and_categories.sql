-- Counting one workspace's queue must not read its history.
CREATE INDEX script_executions_queued ON script_executions (workspace_id) WHERE status = 'queued';

-- Where a script is found among others.
ALTER TABLE scripts ADD COLUMN category text NOT NULL DEFAULT '';
