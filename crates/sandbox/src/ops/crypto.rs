//! Native functions for random bytes, digests and message authentication.

use super::{bytes, throw_type_error};
use crate::random;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// `randomBytes(uint8array)` fills the array from the kernel.
pub(super) fn random_bytes(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _result: v8::ReturnValue<'_, v8::Value>,
) {
    let Ok(array) = args.get(0).try_cast::<v8::Uint8Array>() else {
        return throw_type_error(scope, "randomBytes takes a Uint8Array");
    };
    let (offset, length) = (array.byte_offset(), array.byte_length());
    let mut filled = vec![0; length];
    if !random::fill(&mut filled) {
        return throw_type_error(scope, "no random bytes are at hand");
    }
    let store = array.get_backing_store();
    let cells = store.as_ref().and_then(|store| store.get(offset..)).unwrap_or_default();
    for (cell, byte) in cells.iter().zip(filled) {
        cell.set(byte);
    }
}

fn name(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Option<String> {
    let name = value.try_cast::<v8::String>().ok()?;
    (name.length() <= 16).then(|| name.to_rust_string_lossy(scope).to_ascii_uppercase())
}

/// `digest(algorithm, bytes)` → `ArrayBuffer`.
pub(super) fn digest<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let (Some(algorithm), Some(data)) = (name(scope, args.get(0)), bytes::view(scope, args.get(1))) else {
        return throw_type_error(scope, "digest takes an algorithm's name and bytes");
    };
    let mut on_heap = bytes::ON_HEAP;
    let data = data.get_contents(&mut on_heap);
    let digest = match algorithm.as_str() {
        "SHA-1" => Sha1::digest(data).to_vec(),
        "SHA-256" => Sha256::digest(data).to_vec(),
        "SHA-384" => Sha384::digest(data).to_vec(),
        "SHA-512" => Sha512::digest(data).to_vec(),
        _ => return throw_type_error(scope, "unknown digest algorithm"),
    };
    result.set(bytes::buffer(scope, &digest).into());
}

/// `hmac(hash, key, bytes)` → `ArrayBuffer`.
pub(super) fn hmac<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let (Some(hash), Some(key), Some(data)) =
        (name(scope, args.get(0)), bytes::view(scope, args.get(1)), bytes::view(scope, args.get(2)))
    else {
        return throw_type_error(scope, "hmac takes a hash's name, a key and bytes");
    };
    let (mut key_on_heap, mut data_on_heap) = (bytes::ON_HEAP, bytes::ON_HEAP);
    let (key, data) = (key.get_contents(&mut key_on_heap), data.get_contents(&mut data_on_heap));
    let code = match hash.as_str() {
        "SHA-1" => authenticate::<Hmac<Sha1>>(key, data),
        "SHA-256" => authenticate::<Hmac<Sha256>>(key, data),
        "SHA-384" => authenticate::<Hmac<Sha384>>(key, data),
        "SHA-512" => authenticate::<Hmac<Sha512>>(key, data),
        _ => None,
    };
    match code {
        Some(code) => result.set(bytes::buffer(scope, &code).into()),
        None => throw_type_error(scope, "unknown hash algorithm"),
    }
}

fn authenticate<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    mac.update(data);
    Some(mac.finalize().into_bytes().to_vec())
}
