//! Random bytes from the kernel, without opening a file.

/// Fills `target`. Returns false if the kernel fails.
pub(super) fn fill(target: &mut [u8]) -> bool {
    // The kernel returns up to 256 bytes without interruption.
    target.chunks_mut(256).all(|chunk| {
        // SAFETY: the pointer and the length are the chunk's own.
        let given = unsafe { libc::getrandom(chunk.as_mut_ptr().cast(), chunk.len(), 0) };
        usize::try_from(given) == Ok(chunk.len())
    })
}
