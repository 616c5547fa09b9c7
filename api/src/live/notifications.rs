//! The process's one LISTEN connection.

use super::Live;
use crate::db::{
    channels::{API_KEY_REVOKED, EXECUTION_CHANGED, OUTBOX},
    pool::{self, Outage},
};
use shared::{config::Secret, telemetry::metrics::RECONNECTS};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Pause between two attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// A reaction to a notification. Must not block.
pub type Sink = Box<dyn Fn() + Send + Sync>;

/// Reactions of other parts of the api to notifications of the database.
///
/// After a reconnect `outbox_written` and `api_key_revoked` are called once: notifications may have been missed.
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

pub(super) async fn run(live: &Live, url: &Secret, sinks: &NotificationSinks, stopping: &CancellationToken) {
    let listening = async {
        let mut connected_before = false;
        loop {
            if let Err(error) = listen(live, url, sinks, &mut connected_before).await {
                tracing::warn!(%error, "not listening for changes; trying again");
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
    // Whatever happened while nobody listened.
    live.mark_all_changed();
    (sinks.api_key_revoked)();
    (sinks.outbox_written)();
    while let Some(notification) = listener.try_recv().await? {
        dispatch(&notification, live, sinks);
    }
    Ok(())
}

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

/// One connection of its own: a listener must not take one from the requests, nor have their statement limit.
fn own_pool(url: &Secret) -> Result<PgPool, sqlx::Error> {
    let options = pool::connect_options(url)?;
    Ok(PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options))
}
