//! Native functions for `console` that read internal slots of values.

/// `classOf(value)` → the kind of an object by its internal slots, or undefined for a primitive.
pub(super) fn class_of(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let value = args.get(0);
    if value.is_object()
        && let Some(name) = v8::String::new(scope, class_name(value))
    {
        result.set(name.into());
    }
}

fn class_name(value: v8::Local<v8::Value>) -> &'static str {
    type Test = fn(&v8::Value) -> bool;
    const CLASSES: [(&str, Test); 22] = [
        // A proxy comes first, because it passes no other test.
        ("Proxy", v8::Value::is_proxy),
        ("Array", v8::Value::is_array),
        ("Function", v8::Value::is_function),
        ("Map", v8::Value::is_map),
        ("Set", v8::Value::is_set),
        ("Error", v8::Value::is_native_error),
        ("Promise", v8::Value::is_promise),
        ("Date", v8::Value::is_date),
        ("RegExp", v8::Value::is_reg_exp),
        ("TypedArray", v8::Value::is_typed_array),
        ("DataView", v8::Value::is_data_view),
        ("ArrayBuffer", v8::Value::is_array_buffer),
        ("MapIterator", v8::Value::is_map_iterator),
        ("SetIterator", v8::Value::is_set_iterator),
        ("WeakMap", v8::Value::is_weak_map),
        ("WeakSet", v8::Value::is_weak_set),
        ("Arguments", v8::Value::is_arguments_object),
        ("Number", v8::Value::is_number_object),
        ("String", v8::Value::is_string_object),
        ("Boolean", v8::Value::is_boolean_object),
        ("BigInt", v8::Value::is_big_int_object),
        ("Symbol", v8::Value::is_symbol_object),
    ];
    let value: &v8::Value = &value;
    CLASSES.iter().find(|(_, test)| test(value)).map_or("Object", |(name, _)| *name)
}

/// `promiseState(promise)` → `[state, value]`, or undefined for any other value.
pub(super) fn promise_state(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let Ok(promise) = args.get(0).try_cast::<v8::Promise>() else { return };
    let (state, value) = match promise.state() {
        v8::PromiseState::Pending => ("pending", v8::undefined(scope).into()),
        v8::PromiseState::Fulfilled => ("fulfilled", promise.result(scope)),
        v8::PromiseState::Rejected => ("rejected", promise.result(scope)),
    };
    if let Some(state) = v8::String::new(scope, state) {
        result.set(v8::Array::new_with_elements(scope, &[state.into(), value]).into());
    }
}

/// `proxyTarget(value)` → the target of a proxy, null for a revoked one, undefined for anything else.
pub(super) fn proxy_target(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    if let Ok(proxy) = args.get(0).try_cast::<v8::Proxy>() {
        result.set(proxy.get_target(scope));
    }
}

/// `mapEntries(iterator)` → `[entries, keyed]`: the remaining entries of a map's or set's iterator, with keys and
/// values alternating if `keyed`.
pub(super) fn map_entries(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    if let Ok(object) = args.get(0).try_cast::<v8::Object>()
        && let (Some(entries), keyed) = object.preview_entries(scope)
    {
        let keyed = v8::Boolean::new(scope, keyed).into();
        result.set(v8::Array::new_with_elements(scope, &[entries.into(), keyed]).into());
    }
}
