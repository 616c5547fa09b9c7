//! Native functions of the runtime. The runtime receives them as one object, never as globals.
//!
//! Invariants: no function panics, for any arguments. None holds a borrow of the run's state while it calls into
//! JavaScript. Memory allocated on behalf of a script is counted or bounded first.

#![expect(clippy::needless_pass_by_value, reason = "V8 fixes the signatures of its callbacks")]

mod bytes;
mod crypto;
mod inspect;
mod io;
mod url;

pub(super) use bytes::buffer as array_buffer;

use v8::MapFnTo as _;

/// Functions by their names in the runtime. The snapshot refers to them by position.
fn table() -> [(&'static str, v8::FunctionCallback); 19] {
    [
        ("log", io::log.map_fn_to()),
        ("uncaught", io::uncaught.map_fn_to()),
        ("enqueueMicrotask", io::enqueue_microtask.map_fn_to()),
        ("timerStart", io::timer_start.map_fn_to()),
        ("timerCancel", io::timer_cancel.map_fn_to()),
        ("fetchStart", io::fetch_start.map_fn_to()),
        ("fetchAbort", io::fetch_abort.map_fn_to()),
        ("now", io::now.map_fn_to()),
        ("randomBytes", crypto::random_bytes.map_fn_to()),
        ("digest", crypto::digest.map_fn_to()),
        ("hmac", crypto::hmac.map_fn_to()),
        ("urlParse", url::url_parse.map_fn_to()),
        ("urlSet", url::url_set.map_fn_to()),
        ("utf8Encode", bytes::utf8_encode.map_fn_to()),
        ("utf8Decode", bytes::utf8_decode.map_fn_to()),
        ("classOf", inspect::class_of.map_fn_to()),
        ("promiseState", inspect::promise_state.map_fn_to()),
        ("proxyTarget", inspect::proxy_target.map_fn_to()),
        ("mapEntries", inspect::map_entries.map_fn_to()),
    ]
}

/// Returns the addresses that V8 writes to and reads from the snapshot.
pub(super) fn external_references() -> Vec<v8::ExternalReference> {
    table().into_iter().map(|(_, function)| v8::ExternalReference { function }).collect()
}

/// Makes the object for bootstrap, with a null prototype and one property per function.
pub(super) fn object<'s>(scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Object>> {
    let null = v8::null(scope).into();
    let object = v8::Object::with_prototype_and_properties(scope, null, &[], &[]);
    for (name, callback) in table() {
        let template = v8::FunctionTemplate::builder_raw(callback).build(scope);
        let function = template.get_function(scope)?;
        let key = v8::String::new(scope, name)?;
        function.set_name(key);
        object.create_data_property(scope, key.into(), function.into())?;
    }
    Some(object)
}

/// Throws a `TypeError` into the calling script.
fn throw_type_error(scope: &mut v8::PinScope<'_, '_>, message: &str) {
    if let Some(message) = v8::String::new(scope, message) {
        let error = v8::Exception::type_error(scope, message);
        scope.throw_exception(error);
    }
}

/// Throws a `RangeError` into the calling script.
fn throw_range_error(scope: &mut v8::PinScope<'_, '_>, message: &str) {
    if let Some(message) = v8::String::new(scope, message) {
        let error = v8::Exception::range_error(scope, message);
        scope.throw_exception(error);
    }
}
