//! The process's one LISTEN connection.

use super::Live;
use crate::{
    auth::api_key::KeyCache,
    database::{self, Outage},
    relay::Outgoing,
};
use shared::{config::Secret, telemetry::metrics::RECONNECTS};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Payload: the id of an execution whose status or logs changed.
const EXECUTION_CHANGED: &str = "execution_changed";
/// Others have written outbox rows.
const OUTBOX: &str = "outbox";
/// An API key was revoked, in whichever process.
pub const API_KEY_REVOKED: &str = "api_key_revoked";

const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Who else wants to know what the database announces.
#[derive(Clone, Debug)]
pub struct Announcements {
    pub keys: Arc<KeyCache>,
    pub outage: Arc<Outage>,
    pub outgoing: Arc<Outgoing>,
}

pub(super) async fn run(
    live: &Live,
    url: &Secret,
    announcements: &Announcements,
    stopping: &CancellationToken,
) {
    let listening = async {
        let mut connected_before = false;
        loop {
            if let Err(error) = listen(live, url, announcements, &mut connected_before).await {
                tracing::warn!(%error, "not listening for changes; trying again");
            }
            announcements.outage.note();
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
    announcements: &Announcements,
    connected_before: &mut bool,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&own_pool(url)?).await?;
    listener.eager_reconnect(false);
    listener.listen_all([EXECUTION_CHANGED, OUTBOX, API_KEY_REVOKED]).await?;
    if std::mem::replace(connected_before, true) {
        RECONNECTS.with(["database", "listener"]).increment(1);
    }
    // Whatever happened while nobody listened.
    live.note_all_moved();
    announcements.keys.clear();
    announcements.outgoing.wake().notify_one();
    while let Some(notification) = listener.try_recv().await? {
        pass_on(&notification, live, announcements);
    }
    Ok(())
}

fn pass_on(notification: &PgNotification, live: &Live, announcements: &Announcements) {
    match notification.channel() {
        EXECUTION_CHANGED => {
            if let Ok(id) = Uuid::parse_str(notification.payload()) {
                live.note_moved(id);
            }
            announcements.outgoing.note_change();
        }
        OUTBOX => announcements.outgoing.wake().notify_one(),
        API_KEY_REVOKED => announcements.keys.clear(),
        _ => {}
    }
}

/// One connection of its own: a listener must not take one from the requests, nor have their statement limit.
fn own_pool(url: &Secret) -> Result<PgPool, sqlx::Error> {
    let options = database::connect_options(url)?;
    Ok(PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options))
}
