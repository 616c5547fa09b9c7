//! The one place that gets a workspace's Plane token.
//!
//! Invariant: a URL is within the base only if no server could read its path as leading out of it.

use url::Url;

/// `API_BASE_URL`: scheme, host, port and path prefix of Plane's API.
#[derive(Clone, Debug)]
pub struct ApiBase {
    url: Url,
    /// Without the trailing slash.
    prefix: String,
}

impl ApiBase {
    pub fn new(url: Url) -> Self {
        let prefix = url.path().trim_end_matches('/').to_owned();
        Self { url, prefix }
    }

    /// Returns true if `url` has the base's origin and lies under its path.
    pub fn contains(&self, url: &Url) -> bool {
        self.url.origin().is_tuple()
            && self.url.origin() == url.origin()
            && url
                .path()
                .strip_prefix(&self.prefix)
                .is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
            && !climbs(url.path())
    }
}

/// Percent-encoded bytes that Plane's API never needs, and that some servers read as a dot, a slash or the end of the
/// path: control characters, `%u` of old Microsoft servers, and UTF-8 that is longer than it has to be.
const AMBIGUOUS: [&str; 10] =
    ["%0", "%1", "%7f", "%u", "%c0", "%c1", "%e0%80", "%e0%81", "%f0%80%80", "%f0%80%81"];
/// Percent-encoded characters, and those that some servers read in their place.
const SPELLINGS: [(&str, &str); 11] = [
    ("%2e", "."),
    ("%ef%bc%8e", "."),
    ("%e2%80%a4", "."),
    ("%e2%80%a5", ".."),
    ("%2f", "/"),
    ("%ef%bc%8f", "/"),
    ("%5c", "/"),
    ("%ef%bc%bc", "/"),
    ("%3b", ";"),
    ("%20", " "),
    ("%c2%a0", " "),
];

/// Returns true if a server could read a path as one with a `..` that URL parsing left, because it is percent-encoded,
/// once or several times, or stands beside characters that the server drops.
fn climbs(path: &str) -> bool {
    let mut path = path.to_ascii_lowercase();
    while path.contains("%25") {
        path = path.replace("%25", "%");
    }
    if AMBIGUOUS.iter().any(|form| path.contains(form)) {
        return true;
    }
    for (encoded, character) in SPELLINGS {
        path = path.replace(encoded, character);
    }
    path.split(['/', '\\']).any(is_parent)
}

/// Returns true for a segment of two dots or more. What stands after a semicolon is a parameter of the segment, to some
/// servers, and some drop spaces at its ends.
fn is_parent(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default().trim_matches(' ');
    name.len() > 1 && name.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(base: &str, url: &str) -> bool {
        ApiBase::new(Url::parse(base).unwrap()).contains(&Url::parse(url).unwrap())
    }

    #[test]
    fn the_origin_and_the_path_prefix_must_agree() {
        for url in ["https://api.plane.so/", "https://API.plane.so:443/api/v1/x?y", "https://api.plane.so"] {
            assert!(contains("https://api.plane.so", url), "{url}");
        }
        for url in [
            "http://api.plane.so/",
            "https://api.plane.so:8443/",
            "https://plane.so/",
            "https://api.plane.so.evil.net/",
            "https://evil.net/https://api.plane.so/",
            "https://api.plane.so@evil.net/",
            "blob:https://api.plane.so/",
        ] {
            assert!(!contains("https://api.plane.so", url), "{url}");
        }
    }

    #[test]
    fn a_path_prefix_ends_at_a_slash_and_can_not_be_climbed_out_of() {
        let base = "http://plane.svc:8000/plane/";
        for path in
            ["", "/api/v1/a..b/%2e%2ex", "/a%20b/.well-known/100%25/%C3%BC/%E0%A4%A8", "/x?q=..%2f%00"]
        {
            let url = format!("http://plane.svc:8000/plane{path}");
            assert!(contains(base, &url), "{url}");
        }
        for path in [
            "/",
            "/planet",
            "/plane/..",
            "/plane/%2e%2E/x",
            "/plane/..%2fx",
            "/plane/a%2F..%2F..%2fx",
            "/plane/..%5cx",
            "/plane/%252e%252e%252fx",
            "/plane\\..\\x",
            "/plane/..;/x",
            "/plane/..%3Ba=b/x",
            "/plane/..%20/x",
            "/plane/%20..%2520/x",
            "/plane/..%c2%a0/x",
            "/plane/.../x",
            "/plane/..%00/x",
            "/plane/..%09/x",
            "/plane/x%00/y",
            "/plane/%u002e%u002e/x",
            "/plane/%25u002e./x",
            "/plane/%c0%ae%c0%ae/x",
            "/plane/%C0%2E./x",
            "/plane/%e0%80%ae./x",
            "/plane/%f0%80%80%ae./x",
            "/plane/..%c0%af/x",
            "/plane/%ef%bc%8e%EF%BC%8E/x",
            "/plane/%e2%80%a5/x",
            "/plane/..%ef%bc%8fx",
        ] {
            assert!(!contains(base, &format!("http://plane.svc:8000{path}")), "{path}");
        }
    }
}
