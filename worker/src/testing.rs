//! Items that the integration tests use, under their paths in this crate.
//!
//! All other modules are private, so that the compiler finds code without a user. An item belongs here only if a test in
//! `worker/tests` imports it.

pub mod db {
    pub use crate::db::Database;
}

pub mod execution {
    pub use crate::execution::BusyTime;

    pub mod plane_token {
        pub use crate::execution::plane_token::PlaneTokens;
    }
}

pub mod http {
    pub use crate::http::{Connections, MAX_BODY_BYTES, Nonces, Readiness, ServerState, router};
}

pub mod lease {
    pub use crate::lease::{
        Attempt, AttemptEnd, ClaimResult, Claimed, Claims, FencedWrite, HeartbeatReply, PREPARED, Phases,
        WorkerRow,
    };

    pub mod reaper {
        pub use crate::lease::reaper::{Reaped, Reaper};
    }
}

pub mod supervisor {
    pub use crate::supervisor::{LaunchMode, Pool, PoolConfig, PoolStartError, RunContext, Slot, SpawnError};

    pub mod egress {
        pub use crate::supervisor::egress::Exceptions;
    }
    pub mod fetch {
        pub use crate::supervisor::fetch::{FetchConfig, Fetcher, NameService, RunPolicy, ScriptRequest};
    }
}
