//! Masks texts of a run without blocking the threads of the runtime.

use shared::masking::Masker;
use std::{future::pending, panic::resume_unwind, sync::Arc};
use tokio::task::spawn_blocking;

/// Limits, in bytes, a text that is masked on the calling thread. It takes a fraction of a millisecond at worst, less than to
/// wake another thread.
const MAX_INLINE_BYTES: usize = 4 * 1024;

/// Calls `mask`, which masks a text of this size. A large text is masked on a thread for blocking work.
pub(super) async fn beside<T: Send + 'static>(
    masker: &Arc<Masker>,
    bytes: usize,
    mask: impl FnOnce(&Masker) -> T + Send + 'static,
) -> T {
    if bytes + masker.bytes_to_index() <= MAX_INLINE_BYTES {
        return mask(masker);
    }
    let masker = Arc::clone(masker);
    match spawn_blocking(move || mask(&masker)).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(masked) => masked,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime is shut down, and drops this future with it.
        Err(Err(_cancelled)) => pending().await,
    }
}
