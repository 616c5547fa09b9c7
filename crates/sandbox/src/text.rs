//! Text that leaves the isolate. It is bounded before it is copied, and always valid Unicode.

/// Copies at most `max` UTF-16 units of a string. Lone surrogates become U+FFFD.
pub(super) fn bounded(scope: &v8::PinScope<'_, '_>, text: v8::Local<v8::String>, max: usize) -> String {
    let length = text.length().min(max);
    let mut units = vec![0; length];
    text.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
    String::from_utf16_lossy(&units)
}
