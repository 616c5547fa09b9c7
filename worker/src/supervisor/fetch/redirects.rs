//! Redirects: the next request, as the Fetch standard's "HTTP-redirect fetch" defines it.

use super::{error::Failure, headers};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
        CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
    },
};
use sandbox_protocol::{FetchRequest, Redirect};
use url::Url;

/// The Fetch standard's number.
const MAX_REDIRECTS: u32 = 20;
/// Servers take 8 KiB or so; the `http` crate no more than 64 KiB.
const URL_BYTES: usize = 32 * 1024;
/// The `User-Agent` of scripts that set none.
const USER_AGENT_VALUE: &str = concat!("RunnerCtl/", env!("CARGO_PKG_VERSION"));
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A request that may lead to another.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) mode: Redirect,
    /// Number of redirects that led here.
    pub(super) redirects: u32,
    /// The SDK's, and within Plane's API all the way.
    pub(super) plane: bool,
    /// The workspace's token, for this hop alone.
    pub(super) token: Option<HeaderValue>,
}

impl Hop {
    /// Checks a script's request, whose body is set when it is needed. `body_bytes` is the length of the body.
    pub(super) fn first(
        request: &FetchRequest,
        body_bytes: Option<usize>,
        body_limit: usize,
    ) -> Result<Self, Failure> {
        if request.url.len() > URL_BYTES {
            return Err(Failure::UrlTooLong(URL_BYTES));
        }
        let url = Url::parse(&request.url).map_err(Failure::Url)?;
        let method = method(&request.method)?;
        let mut headers = headers::from_script(&request.headers, &url)?;
        if request.plane {
            // The SDK fills these in from its placeholder.
            headers.remove(API_KEY);
            headers.remove(AUTHORIZATION);
        }
        if body_bytes.is_some_and(|bytes| bytes > body_limit) {
            return Err(Failure::RequestBody(body_limit));
        }
        if body_bytes.is_some() && matches!(method, Method::GET | Method::HEAD) {
            return Err(Failure::BodyOfGet(method.to_string()));
        }
        Ok(Self {
            method,
            url,
            headers,
            body: None,
            mode: request.redirect,
            redirects: 0,
            plane: request.plane,
            token: None,
        })
    }

    /// Host, with the port unless it is the scheme's own.
    pub(super) fn host(&self) -> String {
        self.url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
    }

    /// Builds the request that is sent.
    pub(super) fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(Full::from(self.body.clone().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::try_from(self.url.as_str()).map_err(|_| Failure::Uri(self.host()))?;
        *request.headers_mut() = self.headers.clone();
        for (name, value) in [(ACCEPT, "*/*"), (USER_AGENT, USER_AGENT_VALUE)] {
            request.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        if let Some(token) = &self.token {
            request.headers_mut().insert(API_KEY, token.clone());
        }
        if self.body.is_none() && matches!(self.method, Method::POST | Method::PUT) {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
        }
        Ok(request)
    }
}

/// The request that a response asks for instead, if it does and the request's mode lets it.
pub(super) fn next(hop: &Hop, status: StatusCode, response: &HeaderMap) -> Result<Option<Hop>, Failure> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    match hop.mode {
        Redirect::Follow => {}
        Redirect::Error => return Err(Failure::RedirectRefused),
        // As in Node: the script gets the redirect itself, to read its Location.
        Redirect::Manual => return Ok(None),
    }
    let Some(location) = response.get(LOCATION) else { return Ok(None) };
    if hop.redirects == MAX_REDIRECTS {
        return Err(Failure::TooManyRedirects(MAX_REDIRECTS));
    }
    let location = str::from_utf8(location.as_bytes())
        .map_or_else(|_| headers::latin1(location.as_bytes()), str::to_owned);
    let mut url = hop.url.join(&location).map_err(|reason| Failure::Location { host: hop.host(), reason })?;
    if url.as_str().len() > URL_BYTES {
        return Err(Failure::UrlTooLong(URL_BYTES));
    }
    if url.fragment().is_none() {
        url.set_fragment(hop.url.fragment());
    }

    let mut next = Hop { redirects: hop.redirects + 1, token: None, ..hop.clone() };
    let becomes_get = match status.as_u16() {
        301 | 302 => hop.method == Method::POST,
        303 => !matches!(hop.method, Method::GET | Method::HEAD),
        _ => false,
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = None;
        for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE] {
            next.headers.remove(name);
        }
    }
    if url.origin() != hop.url.origin() {
        next.headers.remove(AUTHORIZATION);
        // The standard has none to drop: browsers keep cookies apart.
        next.headers.remove(COOKIE);
    }
    next.url = url;
    Ok(Some(next))
}

/// A method token, the standard's own in upper case.
fn method(text: &str) -> Result<Method, Failure> {
    let refused = || Failure::Method(text.chars().take(32).collect());
    if headers::is_forbidden_method(text) {
        return Err(refused());
    }
    for known in [Method::DELETE, Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::PUT] {
        if text.eq_ignore_ascii_case(known.as_str()) {
            return Ok(known);
        }
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(method: &str, url: &str) -> Hop {
        let headers = [
            ("content-type", "text/plain"),
            ("authorization", "Bearer x"),
            ("cookie", "a=1"),
            ("x-own", "1"),
        ];
        let request = FetchRequest {
            method: method.into(),
            url: url.into(),
            headers: headers.map(|(name, value)| (name.into(), value.into())).to_vec(),
            body_bytes: None,
            redirect: Redirect::Follow,
            plane: false,
        };
        let body =
            (!method.eq_ignore_ascii_case("get") && method != "HEAD").then_some(Bytes::from_static(b"hi"));
        Hop { body: body.clone(), ..Hop::first(&request, body.map(|body| body.len()), 100).unwrap() }
    }

    fn after(hop: &Hop, status: u16, location: &str) -> Result<Option<Hop>, Failure> {
        let headers =
            HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap())]);
        next(hop, StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn the_method_and_body_change_as_the_standard_says() {
        for (method, status, expected) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("POST", 307, "POST"),
            ("POST", 308, "POST"),
            ("PUT", 301, "PUT"),
            ("PUT", 302, "PUT"),
            ("PUT", 303, "GET"),
            ("HEAD", 303, "HEAD"),
            ("GET", 302, "GET"),
            ("DELETE", 303, "GET"),
            ("patch", 302, "patch"),
        ] {
            let first = hop(method, "https://a.com/");
            let next = after(&first, status, "/b").unwrap().unwrap();
            assert_eq!(next.method.as_str(), expected, "{method} {status}");
            let kept = expected != "GET" || method == "GET";
            assert_eq!(next.headers.contains_key(CONTENT_TYPE), kept, "{method} {status}");
            assert_eq!(next.body.is_some(), first.body.is_some() && kept, "{method} {status}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let first = hop("GET", "https://a.com/");
        let same = after(&first, 302, "https://a.com:443/b").unwrap().unwrap();
        assert!(same.headers.contains_key(AUTHORIZATION) && same.headers.contains_key(COOKIE));
        for elsewhere in ["http://a.com/", "https://a.com:8443/", "https://b.a.com/", "//b.com/"] {
            let next = after(&first, 302, elsewhere).unwrap().unwrap();
            assert!(!next.headers.contains_key(AUTHORIZATION), "{elsewhere}");
            assert!(!next.headers.contains_key(COOKIE), "{elsewhere}");
            assert!(next.headers.contains_key("x-own"), "{elsewhere}");
        }
    }

    #[test]
    fn a_location_is_relative_and_keeps_the_fragment() {
        let url = |location| {
            after(&hop("GET", "https://a.com/x/y?q#f"), 302, location).unwrap().unwrap().url.to_string()
        };
        assert_eq!(url("z"), "https://a.com/x/z#f");
        assert_eq!(url("?p#g"), "https://a.com/x/y?p#g");
        assert_eq!(url("/ü"), "https://a.com/%C3%BC#f");
    }

    #[test]
    fn a_response_that_is_not_a_redirect_is_returned() {
        let first = hop("GET", "https://a.com/");
        for status in [200, 204, 300, 304, 305, 306, 309, 404] {
            assert!(after(&first, status, "/b").unwrap().is_none(), "{status}");
        }
        assert!(next(&first, StatusCode::FOUND, &HeaderMap::new()).unwrap().is_none());
        assert!(after(&Hop { mode: Redirect::Manual, ..first.clone() }, 302, "/b").unwrap().is_none());
        assert!(matches!(
            after(&Hop { mode: Redirect::Error, ..first }, 302, "/b"),
            Err(Failure::RedirectRefused)
        ));
    }

    #[test]
    fn the_twenty_first_redirect_is_one_too_many() {
        let mut hop = hop("GET", "https://a.com/");
        for _ in 0..20 {
            hop = after(&hop, 302, "/").unwrap().unwrap();
        }
        assert!(matches!(after(&hop, 302, "/"), Err(Failure::TooManyRedirects(20))));
    }

    #[test]
    fn a_location_that_is_no_url_is_an_error() {
        assert!(matches!(
            after(&hop("GET", "https://a.com/"), 302, "http://[/"),
            Err(Failure::Location { .. })
        ));
    }

    #[test]
    fn methods_are_tokens_and_not_those_of_proxies() {
        assert_eq!(method("get").unwrap(), Method::GET);
        assert_eq!(method("patch").unwrap().as_str(), "patch");
        for text in ["CONNECT", "trace", "Track", "", "A B", "A\r\nB", "GÉT"] {
            assert!(matches!(method(text), Err(Failure::Method(_))), "{text}");
        }
    }
}
