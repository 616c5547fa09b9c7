//! Native functions for bytes and text.

use super::{throw_range_error, throw_type_error};

/// Buffer for the bytes of a view that V8 keeps on its heap. The bytes of larger views are read in place.
pub(super) type OnHeap = [u8; v8::TYPED_ARRAY_MAX_SIZE_IN_HEAP];
pub(super) const ON_HEAP: OnHeap = [0; v8::TYPED_ARRAY_MAX_SIZE_IN_HEAP];

/// Converts a view or buffer to a view. `None` for any other value. The bytes are not copied, because a script chooses
/// their number.
pub(super) fn view<'s>(
    scope: &v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Option<v8::Local<'s, v8::ArrayBufferView>> {
    if let Ok(view) = value.try_cast::<v8::ArrayBufferView>() {
        return Some(view);
    }
    let buffer = value.try_cast::<v8::ArrayBuffer>().ok()?;
    v8::Uint8Array::new(scope, buffer, 0, buffer.byte_length()).map(Into::into)
}

/// Makes a buffer with these bytes, which counts against the run's memory.
pub(crate) fn buffer<'s>(scope: &v8::PinScope<'s, '_>, bytes: &[u8]) -> v8::Local<'s, v8::ArrayBuffer> {
    let buffer = v8::ArrayBuffer::new(scope, bytes.len());
    for (cell, &byte) in buffer.get_backing_store().iter().zip(bytes) {
        cell.set(byte);
    }
    buffer
}

/// `utf8Encode(string)` → `Uint8Array`. Lone surrogates become U+FFFD.
pub(super) fn utf8_encode(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let Ok(text) = args.get(0).try_cast::<v8::String>() else {
        return throw_type_error(scope, "utf8Encode takes a string");
    };
    // Written directly to the buffer, whose memory counts against the run, because a script chooses the length.
    let length = text.utf8_length(scope);
    let buffer = v8::ArrayBuffer::new(scope, length);
    if let Some(data) = buffer.data() {
        // SAFETY: the buffer was just created with this length, nothing else refers to it yet, and it is not
        // resizable.
        let target = unsafe { std::slice::from_raw_parts_mut(data.cast().as_ptr(), length) };
        text.write_utf8_v2(scope, target, v8::WriteFlags::kReplaceInvalidUtf8, None);
    }
    if let Some(array) = v8::Uint8Array::new(scope, buffer, 0, length) {
        result.set(array.into());
    }
}

/// `utf8Decode(bytes, fatal, ignoreBOM)` → string. Throws `TypeError` if `fatal` and the bytes are not UTF-8.
pub(super) fn utf8_decode<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(view) = view(scope, args.get(0)) else {
        return throw_type_error(scope, "utf8Decode takes bytes");
    };
    let mut on_heap = ON_HEAP;
    let bytes = view.get_contents(&mut on_heap);
    let (fatal, keep_mark) = (args.get(1).is_true(), args.get(2).is_true());
    let bytes = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) if !keep_mark => rest,
        _ => bytes,
    };
    if fatal && std::str::from_utf8(bytes).is_err() {
        return throw_type_error(scope, "The encoded data was not valid for encoding utf-8");
    }
    match v8::String::new_from_utf8(scope, bytes, v8::NewStringType::Normal) {
        Some(text) => result.set(text.into()),
        None => throw_range_error(scope, "Invalid string length"),
    }
}
