//! Text that leaves the isolate: bounded before it is copied, and always Unicode.

/// At most `most` UTF-16 units of a string; lone surrogates become U+FFFD.
pub(super) fn bounded(scope: &v8::PinScope<'_, '_>, text: v8::Local<v8::String>, most: usize) -> String {
    let length = text.length().min(most);
    let mut units = vec![0; length];
    text.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
    String::from_utf16_lossy(&units)
}
