//! `structuredClone`: V8's own serializer there and back.

use super::throw_type_error;
use v8::{ValueDeserializerHelper as _, ValueSerializerHelper as _};

/// Most buffers one call may transfer.
const MOST_TRANSFERS: u32 = 1_000;

struct Delegate;

impl v8::ValueSerializerImpl for Delegate {
    fn throw_data_clone_error<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        message: v8::Local<'s, v8::String>,
    ) {
        let error = v8::Exception::error(scope, message);
        scope.throw_exception(error);
    }
}

impl v8::ValueDeserializerImpl for Delegate {}

/// `structuredClone(value, transferList)` → the clone; throws what V8 says can't be cloned.
pub(super) fn structured_clone<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let context = scope.get_current_context();
    let Some(transfers) = transfers(scope, args.get(1)) else {
        return throw_type_error(scope, "structuredClone transfers ArrayBuffers only");
    };
    let serializer = v8::ValueSerializer::new(scope, Box::new(Delegate));
    serializer.write_header();
    for (id, buffer) in (0..).zip(&transfers) {
        serializer.transfer_array_buffer(id, *buffer);
    }
    if serializer.write_value(context, args.get(0)) != Some(true) {
        return;
    }
    let wire = serializer.release();
    let deserializer = v8::ValueDeserializer::new(scope, Box::new(Delegate), &wire);
    for (id, buffer) in (0..).zip(&transfers) {
        let moved = v8::ArrayBuffer::with_backing_store(scope, &buffer.get_backing_store());
        if buffer.detach(None) != Some(true) {
            return throw_type_error(scope, "an ArrayBuffer could not be transferred");
        }
        deserializer.transfer_array_buffer(id, moved);
    }
    if deserializer.read_header(context) == Some(true)
        && let Some(clone) = deserializer.read_value(context)
    {
        result.set(clone);
    }
}

fn transfers<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    list: v8::Local<'s, v8::Value>,
) -> Option<Vec<v8::Local<'s, v8::ArrayBuffer>>> {
    if list.is_null_or_undefined() {
        return Some(Vec::new());
    }
    let list = list.try_cast::<v8::Array>().ok()?;
    if list.length() > MOST_TRANSFERS {
        return None;
    }
    (0..list.length())
        .map(|index| {
            let buffer = list.get_index(scope, index)?.try_cast::<v8::ArrayBuffer>().ok()?;
            (buffer.is_detachable() && !buffer.was_detached()).then_some(buffer)
        })
        .collect()
}
