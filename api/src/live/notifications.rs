//! Receives notifications of the database, on the only LISTEN connection of the process.

use super::Live;
use crate::db::pool::{self, Outage};
use shared::{
    config::Secret,
    delivery::channel::{API_KEY_REVOKED, EXECUTION_CHANGED, OUTBOX},
    telemetry::metrics::RECONNECTS,
};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Milliseconds between two attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Reaction to a notification. It must not block.
pub(crate) type Sink = Box<dyn Fn() + Send + Sync>;

/// Reactions of other parts of the api to notifications of the database.
///
/// Each connect calls `outbox_written` and `api_key_revoked` once, since notifications may have been missed before it.
pub struct NotificationSinks {
    /// Records that a connection was lost.
    pub outage: Arc<Outage>,
    pub execution_changed: Sink,
    pub outbox_written: Sink,
    pub api_key_revoked: Sink,
}

impl fmt::Debug for NotificationSinks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NotificationSinks").finish_non_exhaustive()
    }
}

/// Listens until `stopping`, and reconnects after each failure.
pub(super) async fn run(live: &Live, url: &Secret, sinks: &NotificationSinks, stopping: &CancellationToken) {
    let listening = async {
        let mut connected_before = false;
        loop {
            if let Err(error) = listen(live, url, sinks, &mut connected_before).await {
                tracing::warn!(%error, "the connection for notifications failed; reconnecting");
            }
            sinks.outage.record();
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = listening => {}
    }
}

/// Listens until the connection is lost.
async fn listen(
    live: &Live,
    url: &Secret,
    sinks: &NotificationSinks,
    connected_before: &mut bool,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&own_pool(url)?).await?;
    listener.eager_reconnect(false);
    listener.listen_all([EXECUTION_CHANGED, OUTBOX, API_KEY_REVOKED]).await?;
    if std::mem::replace(connected_before, true) {
        RECONNECTS.with(["database", "listener"]).increment(1);
    }
    // Notifications before this connection were missed.
    live.mark_all_changed();
    (sinks.api_key_revoked)();
    (sinks.outbox_written)();
    while let Some(notification) = listener.try_recv().await? {
        dispatch(&notification, live, sinks);
    }
    Ok(())
}

/// Calls the sink of a notification.
fn dispatch(notification: &PgNotification, live: &Live, sinks: &NotificationSinks) {
    match notification.channel() {
        EXECUTION_CHANGED => {
            if let Ok(id) = Uuid::parse_str(notification.payload()) {
                live.mark_changed(id);
            }
            (sinks.execution_changed)();
        }
        OUTBOX => (sinks.outbox_written)(),
        API_KEY_REVOKED => (sinks.api_key_revoked)(),
        _ => {}
    }
}

/// Returns a pool with one connection, so that the listener uses none of the requests' and has no statement timeout.
fn own_pool(url: &Secret) -> Result<PgPool, sqlx::Error> {
    let options = pool::connect_options(url)?.application_name("runnerctl-api listener");
    Ok(PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options))
}
