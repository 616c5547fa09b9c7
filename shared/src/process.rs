//! Set-up that both programs share: signals to stop, and the limit of descriptors.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Returns a token that SIGTERM or SIGINT cancels.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopping = CancellationToken::new();
    let signalled = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signalled.cancel();
    });
    Ok(stopping)
}

/// Returns the maximum number of descriptors that this process may open, or `None` if there is no limit.
pub fn descriptor_limit() -> Option<usize> {
    soft_descriptor_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// Reads the soft limit from the text of `/proc/self/limits`.
fn soft_descriptor_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_descriptors_is_read() {
        let of = |soft: &str| {
            soft_descriptor_limit(&format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max processes             63457                63457                processes\n\
                 Max open files            {soft}                 1048576              files\n"
            ))
        };
        assert_eq!((of("1024"), of("unlimited"), soft_descriptor_limit("")), (Some(1024), None, None));
        assert!(descriptor_limit().is_none_or(|limit| limit > 0));
    }
}
