//! Random bytes from the kernel, without a file.

/// Fills `target`; false when the kernel gives none.
pub(super) fn fill(target: &mut [u8]) -> bool {
    // 256 bytes: what the kernel gives without ever being interrupted.
    target.chunks_mut(256).all(|chunk| {
        // SAFETY: the pointer and the length are the chunk's own.
        let given = unsafe { libc::getrandom(chunk.as_mut_ptr().cast(), chunk.len(), 0) };
        usize::try_from(given) == Ok(chunk.len())
    })
}
