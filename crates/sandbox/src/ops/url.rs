//! Native functions for URLs, by the WHATWG rules of the `url` crate.

use super::throw_type_error;
use url::{Url, quirks};

/// Maximum length of a URL or one of its parts, in UTF-16 units.
const MAX_UNITS: usize = 1024 * 1024;

fn text(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Option<String> {
    let text = value.try_cast::<v8::String>().ok()?;
    (text.length() <= MAX_UNITS).then(|| text.to_rust_string_lossy(scope))
}

/// Makes `[href, origin, protocol, username, password, host, hostname, port, pathname, search, hash]`.
fn parts<'s>(scope: &mut v8::PinScope<'s, '_>, url: &Url) -> Option<v8::Local<'s, v8::Value>> {
    let origin = quirks::origin(url);
    let parts = [
        quirks::href(url),
        origin.as_str(),
        quirks::protocol(url),
        quirks::username(url),
        quirks::password(url),
        quirks::host(url),
        quirks::hostname(url),
        quirks::port(url),
        quirks::pathname(url),
        quirks::search(url),
        quirks::hash(url),
    ];
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        values.push(v8::String::new(scope, part)?.into());
    }
    Some(v8::Array::new_with_elements(scope, &values).into())
}

/// `urlParse(input, base | undefined)` → parts, or null.
pub(super) fn url_parse(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    result.set_null();
    let Some(input) = text(scope, args.get(0)) else { return };
    let base = if args.get(1).is_undefined() {
        None
    } else {
        match text(scope, args.get(1)).and_then(|base| Url::parse(&base).ok()) {
            Some(base) => Some(base),
            None => return,
        }
    };
    if let Ok(url) = Url::options().base_url(base.as_ref()).parse(&input)
        && let Some(parts) = parts(scope, &url)
    {
        result.set(parts);
    }
}

/// `urlSet(href, part, value)` → parts, unchanged if the value is invalid for the part, or null if `href` is not a URL.
pub(super) fn url_set(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let (Some(href), Some(part), Some(value)) =
        (text(scope, args.get(0)), text(scope, args.get(1)), text(scope, args.get(2)))
    else {
        return throw_type_error(scope, "urlSet takes three strings");
    };
    result.set_null();
    let Ok(mut url) = Url::parse(&href) else { return };
    // An invalid value leaves the URL unchanged, as the standard's setters do.
    match part.as_str() {
        "href" => match Url::parse(&value) {
            Ok(new) => url = new,
            Err(_) => return,
        },
        "protocol" => {
            let _ = quirks::set_protocol(&mut url, &value);
        }
        "username" => {
            let _ = quirks::set_username(&mut url, &value);
        }
        "password" => {
            let _ = quirks::set_password(&mut url, &value);
        }
        "host" => {
            let _ = quirks::set_host(&mut url, &value);
        }
        "hostname" => {
            let _ = quirks::set_hostname(&mut url, &value);
        }
        "port" => {
            let _ = quirks::set_port(&mut url, &value);
        }
        "pathname" => quirks::set_pathname(&mut url, &value),
        "search" => quirks::set_search(&mut url, &value),
        "hash" => quirks::set_hash(&mut url, &value),
        _ => {}
    }
    if let Some(parts) = parts(scope, &url) {
        result.set(parts);
    }
}
