//! Items that the integration tests use, under their paths in this crate.
//!
//! All other modules are private, so that the compiler finds code without a user. An item belongs here only if a test in
//! `api/tests` imports it.

pub mod app {
    pub mod environment {
        pub use crate::app::environment::open;
    }
}

pub mod background {
    pub mod metrics_sampler {
        pub use crate::background::metrics_sampler::MetricsSampler;
    }
    pub mod retention {
        pub use crate::background::retention::{Report, run_maintenance};
    }
    pub mod scheduler {
        pub use crate::background::scheduler::run;
    }
}

pub mod cli {
    pub mod fixtures {
        pub use crate::cli::fixtures::{Loaded, load};
    }
    pub mod serve {
        pub use crate::cli::serve::{notification_sinks, state};
    }
}

pub mod config {
    pub use crate::config::{Config, DatabaseConfig, HttpConfig};
}

pub mod db {
    pub mod api_keys {
        pub use crate::db::api_keys::insert;
    }
    pub mod enqueue {
        pub use crate::db::enqueue::{Inserted, Mode, Runnable, Submission, insert};
    }
    pub mod executions {
        pub use crate::db::executions::{ExecutionFilter, list};
    }
    pub mod pool {
        pub use crate::db::pool::pools;
    }
    pub mod reencrypt {
        pub use crate::db::reencrypt::{ReencryptError, Reencrypted, reencrypt_all};
    }
    pub mod retention {
        pub use crate::db::retention::{INDEXES_ONLY, Week, end_lease, lag, take_lease, unfinished_sql};
    }
    pub mod workspace_deletion {
        pub use crate::db::workspace_deletion::{DELETE_LOGS, Erased, SELECT_CHUNK, erase};
    }
    pub mod workspaces {
        pub use crate::db::workspaces::{find, id_of, set_paused, set_share};
    }
}

pub mod delivery {
    pub use crate::delivery::{DeadLetterInbox, Dispatcher, FastPath, Relay};

    pub mod ingest {
        pub use crate::delivery::ingest::Ingest;
    }
}

pub mod http {
    pub use crate::http::{EXTERNAL, INTERNAL, document, router};

    pub mod state {
        pub use crate::http::state::AppState;
    }
}

pub mod live {
    pub use crate::live::{Live, NotificationSinks, READERS};
}

pub mod model {
    pub mod api_key {
        pub use crate::model::api_key::{NewKey, Scope};
    }
    pub mod execution {
        pub use crate::model::execution::{Input, empty_object};
    }
    pub mod pagination {
        pub use crate::model::pagination::PageRequest;
    }
}
