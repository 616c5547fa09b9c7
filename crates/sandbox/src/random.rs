//! Random bytes from the kernel, without opening a file, and the seed of V8's own generator.

use std::ffi::c_void;

// SAFETY: the names and parameters are those of the pinned version of V8. Another signature has another mangled name.
unsafe extern "C" {
    /// `v8::internal::Isolate::random_number_generator()`.
    #[link_name = "_ZN2v88internal7Isolate23random_number_generatorEv"]
    fn random_number_generator(isolate: v8::UnsafeRawIsolatePtr) -> *mut c_void;
    /// `v8::base::RandomNumberGenerator::SetSeed(int64_t)`.
    #[link_name = "_ZN2v84base21RandomNumberGenerator7SetSeedEl"]
    fn set_seed(generator: *mut c_void, seed: i64);
}

/// Fills `target`. Returns false if the kernel fails.
pub(super) fn fill(target: &mut [u8]) -> bool {
    // The kernel returns up to 256 bytes without interruption.
    target.chunks_mut(256).all(|chunk| {
        // SAFETY: the pointer and the length are the chunk's own.
        let given = unsafe { libc::getrandom(chunk.as_mut_ptr().cast(), chunk.len(), 0) };
        usize::try_from(given) == Ok(chunk.len())
    })
}

/// Seeds the isolate's generator anew, from which come the seed of `Math.random` and the hashes of objects. Returns
/// false if the kernel fails.
///
/// V8 seeds it when it makes a context, so copies of one process have the same numbers. V8's interface has no function
/// for this; its version is pinned, and a build in which these two are missing does not link.
pub(super) fn reseed(isolate: &mut v8::Isolate) -> bool {
    let mut seed = [0; 8];
    if !fill(&mut seed) {
        return false;
    }
    // SAFETY: a `v8::Isolate` is V8's internal isolate. Its generator lives as long as it does, and only the thread
    // that runs V8, which this is, uses it.
    unsafe { set_seed(random_number_generator(isolate.as_raw_isolate_ptr()), i64::from_ne_bytes(seed)) };
    true
}
