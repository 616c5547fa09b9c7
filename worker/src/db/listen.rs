//! LISTEN on a connection of its own that reconnects.

use super::{Database, DatabaseError};
use futures_util::{StreamExt, stream};
use shared::{backoff::Backoff, telemetry::metrics::RECONNECTS};
use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;

/// Event on a listened channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// The connection is established, again perhaps. Payloads sent before may have been missed.
    Listening,
    /// A payload sent on the channel.
    Payload(String),
}

/// Listens on `channel` and sends each payload to `notifications`. Returns only after the receiver was dropped.
pub(crate) async fn listen(
    database: &Database,
    channel: &'static str,
    notifications: mpsc::Sender<Notification>,
) {
    let mut backoff = Backoff::CONNECTION;
    let mut connected_before = false;
    while !notifications.is_closed() {
        match listen_once(database, channel, &notifications, &mut backoff, &mut connected_before).await {
            Ok(()) => tracing::warn!(channel, "the connection that listens for notifications was closed"),
            Err(error) => tracing::warn!(%error, channel, "can't listen for notifications"),
        }
        backoff.wait().await;
    }
}

async fn listen_once(
    database: &Database,
    channel: &'static str,
    notifications: &mpsc::Sender<Notification>,
    backoff: &mut Backoff,
    connected_before: &mut bool,
) -> Result<(), DatabaseError> {
    let mut config = database.target.config.clone();
    config.application_name("runnerctl-worker listener");
    let (client, mut connection) = config.connect(database.target.tls.clone()).await?;
    let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
    // The connection, and so the LISTEN too, proceeds only while the stream is polled.
    let command = format!("LISTEN {channel}");
    let mut listening = std::pin::pin!(client.batch_execute(&command));
    loop {
        tokio::select! {
            listened = &mut listening => { listened?; break }
            message = messages.next() => if message.transpose()?.is_none() { return Ok(()) }
        }
    }
    backoff.reset();
    if std::mem::replace(connected_before, true) {
        RECONNECTS.with(["database", "listener"]).increment(1);
    }
    drop(notifications.send(Notification::Listening).await);
    while let Some(message) = messages.next().await {
        if let AsyncMessage::Notification(notification) = message?
            && notifications.send(Notification::Payload(notification.payload().to_owned())).await.is_err()
        {
            break;
        }
    }
    Ok(())
}
