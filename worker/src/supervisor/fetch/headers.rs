//! Which headers a script may send, and how values cross between bytes and JavaScript's strings.
//!
//! The Fetch standard's forbidden list guards two things: the framing of the connection, and the authority a
//! browser adds (cookies, origin). The second has no meaning here: nothing is added, so `Cookie`, `Origin`,
//! `Referer`, `Date` and `Sec-*` are the script's to set, as in Node. The first holds: a header that only
//! repeats what the client does anyway is dropped without a word, as a browser does, since people paste them
//! from other tools; one whose loss would change the meaning is refused.

use super::error::Failure;
use crate::outbound::HEAD_BYTES;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use url::{Position, Url};

/// Bytes of the names and values of one request's headers. Servers refuse at 8 to 64 KiB.
const REQUEST_BYTES: usize = 64 * 1024;

/// The client says these itself.
const DROPPED: [&str; 4] = ["accept-encoding", "connection", "content-length", "keep-alive"];
const FRAMING: [&str; 6] = ["expect", "http2-settings", "te", "trailer", "transfer-encoding", "upgrade"];
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// The headers a request to `url` is sent with.
pub(super) fn from_script(headers: &[(String, String)], url: &Url) -> Result<HeaderMap, Failure> {
    let size: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > REQUEST_BYTES {
        return Err(Failure::RequestHeaders(REQUEST_BYTES));
    }
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let refused = |rule| Failure::Header { name: name.chars().take(64).collect(), rule };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("not a header name"))?;
        let mut value = bytes(value)
            .and_then(|value| HeaderValue::from_bytes(&value).ok())
            .ok_or_else(|| refused("its value holds characters that a header can't"))?;
        if name == HOST {
            // A Host of one's own would reach other sites behind the same server than the allow-list names.
            if !value
                .as_bytes()
                .eq_ignore_ascii_case(url[Position::BeforeHost..Position::AfterPort].as_bytes())
            {
                return Err(refused("it must be the URL's host"));
            }
            continue;
        }
        if DROPPED.contains(&name.as_str()) {
            continue;
        }
        if FRAMING.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
            return Err(refused("it belongs to the connection"));
        }
        if name == AUTHORIZATION && signs_in_the_connection(value.as_bytes()) {
            return Err(refused("NTLM and Negotiate sign in a connection, which runs share"));
        }
        if METHOD_OVERRIDES.contains(&name.as_str()) && names_a_forbidden_method(value.as_bytes()) {
            return Err(refused("it names a method that is not allowed"));
        }
        // Keeps the value out of HPACK's table, which lives as long as the connection, and out of debug
        // output.
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

/// Checks the size of a response's head. The client limits what it buffers; this limits what a script receives.
pub(super) fn check_response(headers: &HeaderMap) -> Result<(), Failure> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > HEAD_BYTES { Err(Failure::ResponseHeaders) } else { Ok(()) }
}

/// The headers a script sees, in the order they came, repeated ones apart.
pub(super) fn to_script(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), latin1(value.as_bytes()))).collect()
}

/// The Fetch standard's isomorphic decode: a character per byte.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The reverse: a byte per character, if each fits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}

/// Methods the Fetch standard forbids.
pub(super) fn is_forbidden_method(method: &str) -> bool {
    ["CONNECT", "TRACE", "TRACK"].iter().any(|forbidden| method.eq_ignore_ascii_case(forbidden))
}

fn names_a_forbidden_method(value: &[u8]) -> bool {
    latin1(value).split(',').any(|method| is_forbidden_method(method.trim()))
}

fn signs_in_the_connection(authorization: &[u8]) -> bool {
    let scheme =
        authorization.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = Url::parse("https://example.com:8443/").unwrap();
        from_script(&headers, &url).map(|map| to_script(&map)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn headers_set_by_the_http_client_are_dropped() {
        let dropped = [
            ("Connection", "close"),
            ("Content-Length", "7"),
            ("accept-encoding", "zstd"),
            ("Keep-Alive", "1"),
            ("HOST", "Example.com:8443"),
            ("X-Kept", "yes"),
        ];
        assert_eq!(sent(&dropped), Ok(vec![("x-kept".into(), "yes".into())]));
    }

    #[test]
    fn headers_that_change_the_requests_meaning_are_refused() {
        for (name, value) in [
            ("Host", "other.example"),
            ("Host", "example.com"),
            ("Transfer-Encoding", "chunked"),
            ("TE", "trailers"),
            ("Upgrade", "websocket"),
            ("Expect", "100-continue"),
            ("Trailer", "X"),
            ("Proxy-Authorization", "Basic x"),
            ("Authorization", "NTLM TlRM"),
            ("authorization", " negotiate x"),
            ("HTTP2-Settings", "x"),
            ("X-HTTP-Method-Override", "get, trace"),
            ("bad name", "x"),
            ("", "x"),
            (":authority", "x"),
            ("x", "a\r\nb: c"),
            ("x", "a\nb"),
            ("x", "a\0b"),
            ("x", "snow \u{2603}"),
        ] {
            let refused = sent(&[(name, value)]).unwrap_err();
            assert!(refused.starts_with(&format!("Header not allowed: {name} (")), "{refused}");
            assert!(!refused.contains(value) || value == "x", "{refused}");
        }
    }

    #[test]
    fn headers_forbidden_in_browsers_may_be_set_by_scripts() {
        let headers =
            [("cookie", "a=1"), ("origin", "https://a.com"), ("referer", "https://a.com/"), ("sec-x", "1")];
        assert_eq!(sent(&headers).unwrap().len(), headers.len());
    }

    #[test]
    fn values_are_latin_1() {
        assert_eq!(
            sent(&[("x", "\u{fc}"), ("x", "b")]),
            Ok(vec![("x".into(), "\u{fc}".into()), ("x".into(), "b".into())])
        );
    }

    #[test]
    fn too_many_bytes_are_refused() {
        assert_eq!(
            sent(&[("x", &"a".repeat(REQUEST_BYTES))]),
            Err("Request headers too large: over 65536 bytes".into())
        );
    }
}
