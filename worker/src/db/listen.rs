//! LISTEN, over all reconnects.

use super::{Database, DatabaseError};
use futures_util::{StreamExt, stream};
use shared::{backoff::Backoff, telemetry::metrics::RECONNECTS};
use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;

/// What a listener hears.
#[derive(Debug, PartialEq, Eq)]
pub enum Notification {
    /// The connection stands (again): whatever was sent before may have been missed.
    Listening,
    /// A payload sent on the channel.
    Payload(String),
}

/// Listens on `channel` for as long as the receiver lives; never returns before.
pub async fn listen(database: &Database, channel: &'static str, heard: mpsc::Sender<Notification>) {
    let mut backoff = Backoff::CONNECTION;
    let mut connected_before = false;
    while !heard.is_closed() {
        match listen_once(database, channel, &heard, &mut backoff, &mut connected_before).await {
            Ok(()) => tracing::warn!(channel, "the listening connection ended"),
            Err(error) => tracing::warn!(%error, channel, "can't listen"),
        }
        backoff.wait().await;
    }
}

async fn listen_once(
    database: &Database,
    channel: &'static str,
    heard: &mpsc::Sender<Notification>,
    backoff: &mut Backoff,
    connected_before: &mut bool,
) -> Result<(), DatabaseError> {
    let (client, mut connection) = database.target.config.connect(database.target.tls.clone()).await?;
    let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
    // The connection moves only while it is polled, the LISTEN included.
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
    drop(heard.send(Notification::Listening).await);
    while let Some(message) = messages.next().await {
        if let AsyncMessage::Notification(notification) = message?
            && heard.send(Notification::Payload(notification.payload().to_owned())).await.is_err()
        {
            break;
        }
    }
    Ok(())
}
