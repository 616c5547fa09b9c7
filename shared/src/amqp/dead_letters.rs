//! Dead letters: messages that could not be processed, as they are in the queue.

use super::Delivery;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Header with the id of the letter, which stays the same when it is published or delivered again.
pub const ID_HEADER: &str = "x-letter-id";
/// Header with the reason why the message was not processed.
pub const REASON_HEADER: &str = "x-reason";
/// Header with the exchange to which the message was first published.
pub const EXCHANGE_HEADER: &str = "x-exchange";
/// Header with the reason, as set by the broker when a consumer rejects a message.
const BROKER_REASON_HEADER: &str = "x-first-death-reason";
/// Header with the exchange, as set by the broker when a consumer rejects a message.
const BROKER_EXCHANGE_HEADER: &str = "x-first-death-exchange";

/// Message that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// `None` for a message that the broker or another program moved to the queue.
    pub id: Option<Uuid>,
    pub reason: String,
    /// Exchange to which the message was first published.
    pub exchange: String,
    pub routing_key: String,
    pub body: Vec<u8>,
}

impl DeadLetter {
    /// Reads a delivery of the dead-letter queue.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Self {
        let header = |name, other| delivery.header(name).or_else(|| delivery.header(other));
        Self {
            id: delivery.header(ID_HEADER).and_then(|id| id.parse().ok()),
            reason: header(REASON_HEADER, BROKER_REASON_HEADER).unwrap_or_default(),
            exchange: header(EXCHANGE_HEADER, BROKER_EXCHANGE_HEADER).unwrap_or_default(),
            routing_key: delivery.routing_key().to_owned(),
            body: delivery.body().to_vec(),
        }
    }

    /// Returns a hash of the content: equal for letters that differ in their id alone.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let Self { id: _, reason, exchange, routing_key, body } = self;
        let mut hash = Sha256::new();
        for part in [reason.as_bytes(), exchange.as_bytes(), routing_key.as_bytes(), body] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_in_one_part_have_other_fingerprints() {
        let letter = |[reason, exchange, routing_key, body]: [&str; 4]| DeadLetter {
            id: None,
            reason: reason.into(),
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            body: body.into(),
        };
        let letters =
            [["a", "b", "c", "d"], ["ab", "", "c", "d"], ["a", "b", "cd", ""], ["a", "b", "c", "e"]];
        let all: std::collections::BTreeSet<_> =
            letters.iter().map(|parts| letter(*parts).fingerprint()).collect();
        assert_eq!(all.len(), letters.len());
        assert_eq!(letter(letters[0]).fingerprint(), letter(letters[0]).fingerprint());
    }
}
