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

/// Returns true if a path holds a `..` that URL parsing left because its slashes are percent-encoded, once or several
/// times.
fn climbs(path: &str) -> bool {
    let mut path = path.to_ascii_lowercase();
    while path.contains("%25") {
        path = path.replace("%25", "%");
    }
    let path = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace("%3b", ";");
    // What stands after a semicolon is a parameter of the segment, to some servers.
    path.split(['/', '\\']).any(|segment| segment.split(';').next() == Some(".."))
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
        for url in ["http://plane.svc:8000/plane", "http://plane.svc:8000/plane/api/v1/a..b/%2e%2ex"] {
            assert!(contains(base, url), "{url}");
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
        ] {
            assert!(!contains(base, &format!("http://plane.svc:8000{path}")), "{path}");
        }
    }
}
