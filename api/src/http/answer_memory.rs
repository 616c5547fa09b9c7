//! Memory that large answers may take: lists and types, limited per process and per workspace.
//!
//! A request reserves the memory of a full page before it reads rows. Once its answer is made, the answer's own bytes
//! stay reserved until the last of them is sent. An answer that its client does not read in time is cut off, so that
//! slow clients take no memory from others for long.

use crate::model::{
    error::ApiError,
    pagination::{MAX_PAGE_BYTES, PageText},
};
use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use shared::{fair_pool::KeySemaphores, telemetry::metrics::RATE_LIMITED};
use std::{io, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// KiB that a request reserves while it makes an answer: for the rows, and for the text made of them.
const RESERVED_KIB: u32 = 8 * 1024;
const _: () =
    assert!(RESERVED_KIB as usize * 1024 == 2 * MAX_PAGE_BYTES, "room for the rows and the text of a page");
/// Limits the KiB of all answers of a process that are made or sent: below the memory that the chart gives an api.
const PROCESS_KIB: u32 = 8 * RESERVED_KIB;
/// Limits the KiB of the answers of one workspace.
const WORKSPACE_KIB: u32 = PROCESS_KIB / 2;
/// Longest wait for memory, in seconds: as long as for a connection to the database.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time, in seconds, in which a client reads an answer that is sent in parts.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one part of an answer. An answer of one part is sent as a whole, and reserves nothing while it is sent.
const PART_BYTES: usize = 64 * 1024;
/// Content type of a page.
const JSON: &str = "application/json";
/// Seconds after which a busy workspace may try again.
const RETRY_AFTER_S: u64 = 1;

/// Memory for answers, by process and workspace.
#[derive(Debug)]
pub struct AnswerMemory {
    process: Arc<Semaphore>,
    workspaces: KeySemaphores<Uuid>,
    acquire_timeout: Duration,
    send_timeout: Duration,
}

impl Default for AnswerMemory {
    fn default() -> Self {
        Self::new(ACQUIRE_TIMEOUT, SEND_TIMEOUT)
    }
}

impl AnswerMemory {
    fn new(acquire_timeout: Duration, send_timeout: Duration) -> Self {
        Self {
            process: Arc::new(Semaphore::new(PROCESS_KIB as usize)),
            workspaces: KeySemaphores::new(WORKSPACE_KIB as usize),
            acquire_timeout,
            send_timeout,
        }
    }

    /// Waits for the memory of one answer. Answers 429 if the workspace's other answers take all of its memory for too
    /// long, and 503 if the answers of all workspaces do.
    pub(crate) async fn reserve(&self, workspace_id: Uuid) -> Result<Reservation, ApiError> {
        let workspace = self.acquire(self.workspaces.of(workspace_id)).await.ok_or_else(|| {
            RATE_LIMITED.with(["share"]).increment(1);
            let detail = "The workspace's other large answers are still made or sent, and they take long.";
            ApiError::too_many_requests("workspace_busy", detail, RETRY_AFTER_S)
        })?;
        let process = self.acquire(self.process.clone()).await.ok_or_else(|| {
            tracing::warn!("the memory for large answers is in use; a request was refused");
            ApiError::unavailable("Too many large answers are made at the same time; try again shortly.")
        })?;
        Ok(Reservation { permits: [workspace, process], send_timeout: self.send_timeout })
    }

    /// Returns `None` if the time is up.
    async fn acquire(&self, semaphore: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let acquired = tokio::time::timeout(self.acquire_timeout, semaphore.acquire_many_owned(RESERVED_KIB));
        // The semaphores are never closed.
        acquired.await.ok()?.ok()
    }
}

/// Reserved memory of one answer, given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    permits: [OwnedSemaphorePermit; 2],
    send_timeout: Duration,
}

impl Reservation {
    /// Returns the answer with this text. Its bytes stay reserved until they are sent.
    pub(crate) fn answer(mut self, content_type: &'static str, text: Vec<u8>) -> Response {
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        if text.len() <= PART_BYTES {
            return (content_type, text).into_response();
        }
        let kib = text.len().div_ceil(1024);
        for permit in &mut self.permits {
            drop(permit.split(permit.num_permits().saturating_sub(kib)));
        }
        (content_type, in_parts(text, self)).into_response()
    }

    /// Returns the answer with this page.
    pub(crate) fn page(self, PageText(text): PageText) -> Response {
        self.answer(JSON, text)
    }
}

/// A page of small rows, for which no memory is reserved.
impl IntoResponse for PageText {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(JSON))], self.0).into_response()
    }
}

/// An answer that is being sent.
struct Sending {
    text: Vec<u8>,
    /// Number of bytes that are sent.
    sent: usize,
    /// Held until the answer is sent or dropped.
    _reservation: Reservation,
}

/// Returns a body that is sent in parts. After the time limit it gives its memory back, and the answer is cut off.
fn in_parts(text: Vec<u8>, reservation: Reservation) -> Body {
    let send_timeout = reservation.send_timeout;
    let sending = Arc::new(Mutex::new(Some(Sending { text, sent: 0, _reservation: reservation })));
    let unsent = Arc::downgrade(&sending);
    tokio::spawn(async move {
        tokio::time::sleep(send_timeout).await;
        if let Some(sending) = unsent.upgrade() {
            sending.lock().take();
        }
    });
    let parts = stream::unfold(sending, |sending| async move {
        // Parts are compressed as they are read: other requests of this thread go on in between.
        tokio::task::yield_now().await;
        let part = next_part(&mut sending.lock())?;
        Some((part, sending))
    });
    // The compression polls a body again after its end.
    Body::from_stream(parts.fuse())
}

/// Returns a copy of the next part, since a shared one would keep the whole text in memory. `None` after the last one.
fn next_part(sending: &mut Option<Sending>) -> Option<io::Result<Bytes>> {
    let Some(Sending { text, sent, .. }) = sending else {
        return Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the client read the answer too slowly")));
    };
    let end = text.len().min(*sent + PART_BYTES);
    let part = (*sent < end).then(|| Ok(Bytes::copy_from_slice(&text[*sent..end])));
    *sent = end;
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    const LARGE: usize = 3 * PART_BYTES + 1;

    fn memory(send_timeout: Duration) -> AnswerMemory {
        AnswerMemory::new(Duration::from_millis(10), send_timeout)
    }

    fn reserved_kib(memory: &AnswerMemory) -> usize {
        PROCESS_KIB as usize - memory.process.available_permits()
    }

    fn large_text() -> Vec<u8> {
        (0..=u8::MAX).cycle().take(LARGE).collect()
    }

    fn large_answer(reservation: Reservation) -> Body {
        reservation.page(PageText(large_text())).into_body()
    }

    #[tokio::test]
    async fn a_workspace_without_memory_is_refused_and_others_are_not() {
        let memory = memory(SEND_TIMEOUT);
        let mut held = Vec::new();
        for _ in 0..WORKSPACE_KIB / RESERVED_KIB {
            held.push(memory.reserve(Uuid::from_u128(1)).await.unwrap());
        }
        let refused = memory.reserve(Uuid::from_u128(1)).await.unwrap_err();
        assert!(matches!(refused, ApiError::Problem(problem) if problem.code == "workspace_busy"));
        held.push(memory.reserve(Uuid::from_u128(2)).await.unwrap());
        held.remove(0);
        held.push(memory.reserve(Uuid::from_u128(1)).await.unwrap());
        while reserved_kib(&memory) < PROCESS_KIB as usize {
            held.push(memory.reserve(Uuid::from_u128(3 + held.len() as u128)).await.unwrap());
        }
        let refused = memory.reserve(Uuid::nil()).await.unwrap_err();
        assert!(matches!(refused, ApiError::Problem(problem) if problem.code == "unavailable"));
    }

    #[tokio::test]
    async fn a_small_answer_reserves_nothing_while_it_is_sent() {
        let memory = memory(SEND_TIMEOUT);
        let answer = memory.reserve(Uuid::nil()).await.unwrap().page(PageText(b"{}".to_vec()));
        assert_eq!(reserved_kib(&memory), 0);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(to_bytes(answer.into_body(), LARGE).await.unwrap(), "{}");
    }

    #[tokio::test]
    async fn a_large_answer_reserves_its_bytes_until_it_is_sent() {
        let memory = memory(SEND_TIMEOUT);
        let body = large_answer(memory.reserve(Uuid::nil()).await.unwrap());
        assert_eq!(reserved_kib(&memory), LARGE.div_ceil(1024));
        assert!(to_bytes(body, LARGE).await.unwrap() == large_text());
        assert_eq!(reserved_kib(&memory), 0);
        drop(large_answer(memory.reserve(Uuid::nil()).await.unwrap()));
        assert_eq!(reserved_kib(&memory), 0);
    }

    #[tokio::test]
    async fn an_answer_that_is_not_read_in_time_is_cut_off() {
        let memory = memory(Duration::ZERO);
        let body = large_answer(memory.reserve(Uuid::nil()).await.unwrap());
        let all = tokio::time::timeout(Duration::from_secs(20), memory.process.acquire_many(PROCESS_KIB));
        drop(all.await.expect("the memory is given back").unwrap());
        assert!(to_bytes(body, LARGE).await.is_err());
    }
}
