-- How many executions of a workspace may run at a time. NULL: what WORKSPACE_CONCURRENCY says.
ALTER TABLE workspaces ADD COLUMN max_running integer CHECK (max_running > 0);
-- Tells in one probe that nobody has a limit.
CREATE INDEX workspaces_limited ON workspaces (id) WHERE max_running IS NOT NULL;
