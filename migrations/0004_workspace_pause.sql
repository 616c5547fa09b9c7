-- Time since which a workspace is paused: its executions are accepted and wait. NULL: not paused.
ALTER TABLE workspaces ADD COLUMN paused_at timestamptz;
