//! Trigger of automations, which publishes events like Plane.

use anyhow::Context as _;
use e2e::stack::Stack;
use serde_json::{Value, json};
use shared::{
    amqp::{Broker, Publication, Publisher, Topology},
    message::{self, ExecutionMessage},
    telemetry::traces::TRACEPARENT,
};
use uuid::Uuid;

/// Publisher without the stack's link.
pub(crate) struct Trigger(Publisher);

impl Trigger {
    pub(crate) async fn connect(stack: &Stack) -> anyhow::Result<Self> {
        let broker = Broker::connect(stack.queues.url(), "trigger")?;
        let publisher = Publisher::new(broker, Topology::with_prefix(stack.queues.prefix()));
        publisher.ready().await.context("a channel")?;
        Ok(Self(publisher))
    }

    /// Requests an execution of `script` with `event`, once per `key`.
    pub(crate) async fn publish(
        &self,
        script: &str,
        key: &str,
        event: Value,
        traceparent: Option<&str>,
    ) -> anyhow::Result<()> {
        let message = json!({
            "v": message::VERSION, "idempotency_key": key, "workspace_slug": "demo", "script_id": script,
            "trigger_type": "automation", "event": event,
        });
        self.publish_text(message.to_string(), traceparent).await
    }

    /// Publishes any text as an event.
    pub(crate) async fn publish_text(&self, body: String, traceparent: Option<&str>) -> anyhow::Result<()> {
        let headers = traceparent.map(|value| (TRACEPARENT, value.to_owned())).into_iter().collect();
        let events = self.0.topology().events.clone();
        let publication = Publication {
            exchange: events,
            routing_key: "demo.test".to_owned(),
            body: body.into_bytes(),
            headers,
        };
        self.send(publication).await
    }

    /// Publishes the message of an execution, like the relay.
    pub(crate) async fn dispatch(&self, execution_id: Uuid) -> anyhow::Result<()> {
        let executions = self.0.topology().executions.clone();
        let message = ExecutionMessage { v: message::VERSION, execution_id };
        let publication = Publication {
            exchange: executions.clone(),
            routing_key: executions,
            body: serde_json::to_vec(&message)?,
            headers: Vec::new(),
        };
        self.send(publication).await
    }

    async fn send(&self, publication: Publication) -> anyhow::Result<()> {
        Ok(self.0.publish(&[publication]).await.pop().context("one answer per message")??)
    }
}
