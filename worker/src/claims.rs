//! Claim, heartbeat and finish: every write is fenced by the attempt.
