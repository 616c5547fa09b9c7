//! Masks what a run says without holding up what else the runtime has to do.

use shared::masking::Masker;
use std::{future::pending, panic::resume_unwind, sync::Arc};
use tokio::task::spawn_blocking;

/// Bytes that are masked on the spot: it takes a fraction of a millisecond at worst, less than to wake another thread.
const ON_THE_SPOT_BYTES: usize = 4 * 1024;

/// Lets `mask` mask a text of so many bytes, beside the runtime's threads if it may take a while.
pub(super) async fn beside<T: Send + 'static>(
    masker: &Arc<Masker>,
    bytes: usize,
    mask: impl FnOnce(&Masker) -> T + Send + 'static,
) -> T {
    if bytes + masker.bytes_to_index() <= ON_THE_SPOT_BYTES {
        return mask(masker);
    }
    let masker = Arc::clone(masker);
    match spawn_blocking(move || mask(&masker)).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(masked) => masked,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime ends, and this with it.
        Err(Err(_cancelled)) => pending().await,
    }
}
