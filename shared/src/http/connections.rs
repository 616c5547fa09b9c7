//! Table of a server's open connections, within limits for all and for each peer.
//!
//! Invariant: a connection that waits for its client never keeps a new one out. At a limit the server closes the
//! connection that has waited longest for bytes of its client, and refuses a new one only if all others are at work.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Share of the connections that no single peer can take: one in this number. It is small, because all clients behind
/// a proxy are one peer. Probes come from the host and not from the proxy.
const RESERVED_FRACTION: usize = 8;

/// Open connections of one server.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    per_peer: usize,
    table: Mutex<Table>,
    /// Notified of each connection that closes. Only the loop that accepts waits for it.
    closed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<u64, Entry>,
    by_peer: HashMap<IpAddr, usize>,
    /// Ids of the connections that wait for their client, by the tick at which they began to wait.
    waiting: BTreeMap<u64, u64>,
    /// Number of changes so far. Orders them, and gives each connection its id.
    ticks: u64,
}

#[derive(Debug)]
struct Entry {
    peer: IpAddr,
    waiting_since: Option<u64>,
    close: CancellationToken,
}

/// Result of one attempt to admit a connection.
#[derive(Debug)]
enum Attempt {
    Admitted(OpenConnection),
    /// The connection with this id is told to close. The attempt can be repeated once it has.
    Closing(u64),
    Refused,
}

impl Connections {
    /// Makes an empty table of at most `limit` connections.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let limit = limit.max(1);
        let per_peer = limit - limit / RESERVED_FRACTION;
        Arc::new(Self { limit, per_peer, table: Mutex::default(), closed: Notify::new() })
    }

    /// Admits a connection of `peer`, or returns `None` if the limit is reached and all connections are at work.
    pub(super) async fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<OpenConnection> {
        loop {
            match self.try_admit(peer_key(peer)) {
                Attempt::Admitted(connection) => return Some(connection),
                Attempt::Closing(id) => self.closed(id).await,
                Attempt::Refused => return None,
            }
        }
    }

    /// Closes the connection that has waited longest for its client, to free its descriptor.
    pub(super) fn close_longest_waiting(&self) {
        self.table().close_longest_waiting(None);
    }

    fn try_admit(self: &Arc<Self>, peer: IpAddr) -> Attempt {
        let mut table = self.table();
        let of_peer = table.by_peer.get(&peer).copied().unwrap_or_default();
        let closing = if of_peer >= self.per_peer {
            table.close_longest_waiting(Some(peer))
        } else if table.open.len() >= self.limit {
            table.close_longest_waiting(None)
        } else {
            let close = CancellationToken::new();
            let id = table.insert(peer, close.clone());
            let asked = AtomicBool::new(false);
            return Attempt::Admitted(OpenConnection {
                id,
                peer,
                close,
                asked,
                connections: Arc::clone(self),
            });
        };
        closing.map_or(Attempt::Refused, Attempt::Closing)
    }

    /// Waits until the connection with this id has closed.
    async fn closed(&self, id: u64) {
        while self.table().open.contains_key(&id) {
            self.closed.notified().await;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// Adds a connection, which waits for its first request. Returns its id.
    fn insert(&mut self, peer: IpAddr, close: CancellationToken) -> u64 {
        let id = self.tick();
        self.open.insert(id, Entry { peer, waiting_since: Some(id), close });
        self.waiting.insert(id, id);
        *self.by_peer.entry(peer).or_default() += 1;
        id
    }

    fn remove(&mut self, id: u64) {
        self.set_waiting(id, false);
        let Some(entry) = self.open.remove(&id) else { return };
        if let Some(count) = self.by_peer.get_mut(&entry.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&entry.peer);
            }
        }
    }

    fn set_waiting(&mut self, id: u64, waits: bool) {
        let tick = self.tick();
        let Some(entry) = self.open.get_mut(&id) else { return };
        if let Some(since) = entry.waiting_since.take() {
            self.waiting.remove(&since);
        }
        if waits && !entry.close.is_cancelled() {
            entry.waiting_since = Some(tick);
            self.waiting.insert(tick, id);
        }
    }

    /// Tells the connection that has waited longest to close: of one peer, or of all. Returns its id.
    fn close_longest_waiting(&mut self, peer: Option<IpAddr>) -> Option<u64> {
        let is_of_peer = |id: &u64| peer.is_none_or(|peer| self.open.get(id).is_some_and(|e| e.peer == peer));
        let id = self.waiting.values().copied().find(is_of_peer)?;
        self.set_waiting(id, false);
        self.open.get(&id)?.close.cancel();
        Some(id)
    }
}

/// An open connection. Dropping the value removes it from the table.
#[derive(Debug)]
pub(super) struct OpenConnection {
    id: u64,
    peer: IpAddr,
    close: CancellationToken,
    asked: AtomicBool,
    connections: Arc<Connections>,
}

impl OpenConnection {
    /// Returns the address under which the client is counted.
    pub(super) const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Marks that the connection waits for its client.
    pub(super) fn set_waiting(&self) {
        self.connections.table().set_waiting(self.id, true);
    }

    /// Marks that a whole request has arrived, and the server works on it.
    pub(super) fn set_working(&self) {
        self.connections.table().set_waiting(self.id, false);
    }

    /// Marks that the head of a request has arrived.
    pub(super) fn set_asked(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// Returns whether the head of a request has ever arrived.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Waits until the connection is told to close.
    pub(super) async fn closing(&self) {
        self.close.cancelled().await;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.table().remove(self.id);
        self.connections.closed.notify_one();
    }
}

/// Returns the address under which a peer is counted. Hosts with IPv6 choose addresses in a network of 64 bits freely.
fn peer_key(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn admitted(connections: &Arc<Connections>, number: u8) -> OpenConnection {
        match connections.try_admit(peer(number)) {
            Attempt::Admitted(connection) => connection,
            other => panic!("not admitted: {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_connection_that_waits_longest_is_closed_first() {
        let connections = Connections::new(2);
        let (first, second) = (admitted(&connections, 1), admitted(&connections, 2));
        first.set_working();
        first.set_waiting();
        let closing = async {
            second.closing().await;
            drop(second);
        };
        let (third, ()) = tokio::join!(connections.admit(peer(3)), closing);
        assert!(third.is_some() && !first.close.is_cancelled());
    }

    #[tokio::test]
    async fn a_connection_at_work_is_never_closed_for_another() {
        let connections = Connections::new(2);
        let (first, second) = (admitted(&connections, 1), admitted(&connections, 2));
        first.set_working();
        second.set_working();
        assert!(connections.admit(peer(3)).await.is_none());
        assert!(!first.close.is_cancelled() && !second.close.is_cancelled());
        drop(first);
        assert!(connections.admit(peer(3)).await.is_some());
    }

    #[test]
    fn one_peer_leaves_an_eighth_to_the_others() {
        let connections = Connections::new(8);
        let of_one: Vec<_> = (0..7).map(|_| admitted(&connections, 1)).collect();
        of_one.iter().for_each(OpenConnection::set_working);
        assert!(matches!(connections.try_admit(peer(1)), Attempt::Refused));
        let other = admitted(&connections, 2);
        of_one[3].set_waiting();
        let closing = connections.try_admit(peer(1));
        assert!(matches!(closing, Attempt::Closing(id) if id == of_one[3].id), "{closing:?}");
        assert!(!other.close.is_cancelled(), "only a connection of the same peer is closed");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_peer() {
        let key = |text: &str| peer_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_eq!(key("::ffff:192.0.2.1"), peer(1));
    }
}
