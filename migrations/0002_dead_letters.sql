-- Messages that could not be processed. Each api moves them here from the queue runnerctl.dead, where one client that
-- looks at them would hide them from the others.

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    -- Workspace that the message or its execution names. NULL: only `api dead-letters` shows the letter.
    workspace_slug text,
    reason text NOT NULL,
    exchange text NOT NULL,
    routing_key text NOT NULL,
    -- The message as it was sent. Of a message over 16 MiB, only the beginning is kept.
    body bytea NOT NULL,
    body_bytes bigint NOT NULL,
    -- Hash of the content, by which a letter without an id of its own is stored once if the broker delivers it again.
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_letters_by_workspace ON dead_letters (workspace_slug, id DESC);
CREATE INDEX dead_letters_by_fingerprint ON dead_letters (fingerprint);
CREATE INDEX dead_letters_age ON dead_letters (created_at);
