//! Sends claims and ends of executions to the database, those that arrive together in one transaction.
//!
//! While load is low, an operation arrives alone, and is sent alone at once. Under load, operations arrive while
//! earlier ones are on their way. They share one commit, one wait for the disk, and one signal to the processes that
//! listen.
//!
//! Invariant: each operation has the effect and the answer that it would have alone. An operation that the database
//! rejects undoes the transaction of its batch; each is then sent alone.

use super::{
    LEASE,
    claim::{CLAIM, FLUSH},
    finish::{FINISH, Finish},
};
use crate::db::{Database, DatabaseError};
use deadpool_postgres::PoolError;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Either, join, join_all, join3, ready, select},
};
use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

/// Limits the operations of one transaction, so that no row is locked for long. Up to 30 futures are polled in their order
/// by `join_all`, which a transaction needs.
const MAX_BATCH: usize = 30;
/// Limits the transactions of one worker that are on their way at the same time. Two, so that an operation waits for
/// less than one round trip, and few, so that others can gather meanwhile.
const MAX_IN_FLIGHT: usize = 2;
/// Limits the time in which a claim must reach the disk, to half a lease: 5 s. A later claim is given up, since the
/// reaper may have queued the execution again in the meantime.
pub(super) const MAX_FLUSH_WAIT: Duration = LEASE.checked_div(2).expect("two is not zero");
/// Makes the commit wait for the disk. A claim has switched off that wait for its transaction.
const WAIT_FOR_DISK: &str = "SET LOCAL synchronous_commit TO DEFAULT";

/// Row that a statement returned, if any, and the flush that puts its commit on disk.
pub(super) struct OperationAnswer {
    pub(super) row: Option<Row>,
    pub(super) flush: PendingFlush,
}

/// A flush whose response is pending. The server carries it out without polling.
pub(super) struct PendingFlush(pub(super) BoxFuture<'static, Result<(), DatabaseError>>);

/// Statement about one execution.
pub(super) enum Operation {
    /// Claims the execution of this id.
    Claim(Uuid),
    Finish(Box<Finish>),
}

impl Operation {
    fn execution_id(&self) -> Uuid {
        match self {
            Self::Claim(execution_id) => *execution_id,
            Self::Finish(finish) => finish.attempt.execution_id,
        }
    }
}

struct Request {
    operation: Operation,
    answer: oneshot::Sender<Result<OperationAnswer, DatabaseError>>,
}

/// Sends operations to the database. Clones share its transactions.
#[derive(Clone, Debug)]
pub(super) struct Batcher(mpsc::UnboundedSender<Request>);

impl Batcher {
    /// Starts the task that sends. It ends with the last clone.
    pub(super) fn start(database: Database, worker_id: Arc<str>) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let connection = Connection { database, worker_id };
        tokio::spawn(send_batches(connection, requests));
        Self(sender)
    }

    /// Returns the answer of an operation, once it is committed.
    pub(super) async fn perform(&self, operation: Operation) -> Result<OperationAnswer, DatabaseError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(Request { operation, answer });
        // The task ends only with its runtime.
        if sent.is_err() {
            Err(PoolError::Closed.into())
        } else {
            answered.await.map_err(|_| PoolError::Closed)?
        }
    }
}

/// Sends batches until the last [`Batcher`] is dropped.
async fn send_batches(connection: Connection, mut requests: mpsc::UnboundedReceiver<Request>) {
    let mut in_flight = JoinSet::new();
    loop {
        while in_flight.len() >= MAX_IN_FLIGHT {
            in_flight.join_next().await;
        }
        let mut batch = Vec::new();
        if requests.recv_many(&mut batch, MAX_BATCH).await == 0 {
            break;
        }
        // A run that ends frees its slot. Lets the claim that gets the slot join the end of the run.
        tokio::task::yield_now().await;
        while batch.len() < MAX_BATCH
            && let Ok(request) = requests.try_recv()
        {
            batch.push(request);
        }
        in_flight.spawn(connection.clone().send(batch));
        while in_flight.try_join_next().is_some() {}
    }
    in_flight.join_all().await;
}

#[derive(Clone)]
struct Connection {
    database: Database,
    worker_id: Arc<str>,
}

impl Connection {
    /// Sends a batch and answers its requests.
    async fn send(self, mut batch: Vec<Request>) {
        if batch.len() > 1 {
            // Transactions that lock rows in one order don't wait for each other in a circle.
            batch.sort_by_key(|request| request.operation.execution_id());
            match self.transaction(&batch).await {
                Ok(answers) => {
                    for (request, answer) in batch.into_iter().zip(answers) {
                        // The caller may have stopped waiting.
                        drop(request.answer.send(Ok(answer)));
                    }
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "a transaction failed: its operations are sent one by one");
                }
            }
        }
        let connection = &self;
        let alone = batch.into_iter().map(|Request { operation, answer }| async move {
            drop(answer.send(connection.alone(&operation).await));
        });
        join_all(alone).await;
    }

    /// Performs all operations in one transaction, which is on disk at the return.
    async fn transaction(&self, batch: &[Request]) -> Result<Vec<OperationAnswer>, DatabaseError> {
        let client = self.database.connection().await?;
        let claim = client.prepare_cached(CLAIM).await?;
        let finish = client.prepare_cached(FINISH).await?;
        let sent_at = Instant::now();
        let operations = batch.iter().map(|request| {
            let statement = match request.operation {
                Operation::Claim(_) => &claim,
                Operation::Finish(_) => &finish,
            };
            self.execute(&client, statement, &request.operation)
        });
        // Polled in this order, which sends them in this order, without waiting in between. After an error, COMMIT ends the
        // transaction as well, so it is a statement of its own.
        let commit = join(client.batch_execute(WAIT_FOR_DISK), client.batch_execute("COMMIT"));
        let (began, rows, committed) =
            join3(client.batch_execute("BEGIN"), join_all(operations), commit).await;
        began?;
        let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
        committed.0.and(committed.1)?;
        let answer = |row| OperationAnswer { row, flush: PendingFlush(ready(in_time(sent_at)).boxed()) };
        Ok(rows.into_iter().map(answer).collect())
    }

    async fn alone(&self, operation: &Operation) -> Result<OperationAnswer, DatabaseError> {
        let client = Arc::new(self.database.connection().await?);
        match operation {
            Operation::Claim(_) => {
                let claim = client.prepare_cached(CLAIM).await?;
                let flush = client.prepare_cached(FLUSH).await?;
                let (sent_at, flushing) = (Instant::now(), Arc::clone(&client));
                let flush = async move {
                    flushing.execute(&flush, &[]).await?;
                    in_time(sent_at)
                };
                let (row, flush) =
                    PendingFlush::pipelined(self.execute(&client, &claim, operation), flush).await;
                Ok(OperationAnswer { row: row?, flush })
            }
            Operation::Finish(_) => {
                let finish = client.prepare_cached(FINISH).await?;
                let row = self.execute(&client, &finish, operation).await?;
                Ok(OperationAnswer { row, flush: PendingFlush(ready(Ok(())).boxed()) })
            }
        }
    }

    /// Executes the statement of one operation.
    async fn execute(
        &self,
        client: &tokio_postgres::Client,
        statement: &Statement,
        operation: &Operation,
    ) -> Result<Option<Row>, DatabaseError> {
        Ok(match operation {
            Operation::Claim(execution_id) => {
                let worker_id = &*self.worker_id;
                client.query_opt(statement, &[execution_id, &worker_id, &LEASE.as_secs_f64()]).await?
            }
            Operation::Finish(finish) => finish.execute(client, statement, &self.worker_id).await?,
        })
    }
}

/// Returns an error if a claim that was sent then may belong to another worker by now.
fn in_time(sent_at: Instant) -> Result<(), DatabaseError> {
    if sent_at.elapsed() < MAX_FLUSH_WAIT { Ok(()) } else { Err(DatabaseError::FlushTimeout(MAX_FLUSH_WAIT)) }
}

impl PendingFlush {
    /// Sends the statement `first`, and `flush` right after it on the same connection. Returns the response of `first`
    /// as soon as it arrives.
    pub(super) async fn pipelined<T>(
        first: impl Future<Output = T>,
        flush: impl Future<Output = Result<(), DatabaseError>> + Send + 'static,
    ) -> (T, Self) {
        // Polls `first` before `flush`, which sends them in this order.
        match select(pin!(first), flush.boxed()).await {
            Either::Left((answer, flush)) => (answer, Self(flush)),
            // Both responses arrived between the two polls.
            Either::Right((flushed, first)) => (first.await, Self(ready(flushed).boxed())),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a flush that ends when its result is sent.
    pub(crate) fn flush() -> (oneshot::Sender<bool>, impl Future<Output = Result<(), DatabaseError>> + Send) {
        let (sender, result) = oneshot::channel();
        let flush = async {
            if result.await.unwrap() { Ok(()) } else { Err(DatabaseError::FlushTimeout(MAX_FLUSH_WAIT)) }
        };
        (sender, flush)
    }

    #[tokio::test]
    async fn the_first_answer_is_returned_while_the_flush_is_pending() {
        let (flushed, flush) = flush();
        let (answer, mut flush) = PendingFlush::pipelined(async { 1 }, flush).await;
        assert_eq!(answer, 1);
        assert!((&mut flush.0).now_or_never().is_none());
        flushed.send(true).unwrap();
        flush.0.await.unwrap();
    }

    #[tokio::test]
    async fn a_flush_that_ends_first_is_kept_until_the_answer() {
        let ((flushed, flush), (answered, answer)) = (flush(), oneshot::channel());
        flushed.send(false).unwrap();
        let mut both = Box::pin(PendingFlush::pipelined(answer, flush));
        assert!((&mut both).now_or_never().is_none());
        answered.send(1).unwrap();
        let (answer, flush) = both.await;
        assert_eq!(answer, Ok(1));
        assert!(matches!(flush.0.await, Err(DatabaseError::FlushTimeout(_))));
    }

    #[tokio::test]
    async fn two_answers_at_once_are_both_returned() {
        let (flushed, flush) = flush();
        flushed.send(true).unwrap();
        let (answer, flush) = PendingFlush::pipelined(async { 1 }, flush).await;
        assert_eq!(answer, 1);
        flush.0.await.unwrap();
    }
}
