//! Allow-list of hosts to which a script may send requests: the author's `allowed_domains`, parsed once.
//!
//! Invariant: both sides of a comparison are canonical in the sense of the WHATWG URL standard (lower case,
//! IDNA to ASCII, `0x7f.1` as `127.0.0.1`) and carry no trailing dot, so that one host has one spelling.

use std::{fmt, net::Ipv6Addr, str::FromStr};
use url::{Host, Url};

/// Ports of an entry without a port: those of http and https.
pub const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// Host with an optional port: `example.com`, `example.com:8443`, `10.0.0.7`, `[::1]:8080`, `::1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: Host,
    pub port: Option<u16>,
}

/// Entry of `allowed_domains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedDomain {
    /// Exactly this host.
    Exact(HostPort),
    /// `*.example.com`: every name below it, at any depth, but not `example.com` itself, as in certificates and CORS
    /// settings. To allow both, list both.
    Subdomains { suffix: String, port: Option<u16> },
}

/// Error of an invalid entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{entry}\" {rule}")]
pub struct InvalidDomain {
    pub entry: String,
    pub rule: DomainRule,
}

/// Rule that an entry breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainRule {
    #[error("is empty")]
    Empty,
    #[error(
        "is an address, not a domain: write the host alone, as in \"example.com\" or \"example.com:8443\""
    )]
    Url,
    #[error("is not a valid host name")]
    Host,
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    #[error("has a wildcard elsewhere than in front, as in \"*.example.com\"")]
    Wildcard,
}

/// Result of checking a URL against the allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Allowed,
    /// The host is listed, but not with this port.
    OtherPort,
    NotListed,
}

/// Allow-list of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedDomains(Vec<AllowedDomain>);

impl AllowedDomains {
    /// Parses all entries. The error lists every invalid one.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, Vec<InvalidDomain>> {
        let (mut domains, mut problems) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.as_ref().parse() {
                Ok(domain) => domains.push(domain),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self(domains)) } else { Err(problems) }
    }

    /// Parses the valid entries. An invalid entry allows nothing.
    pub fn parse_lenient<S: AsRef<str>>(entries: &[S]) -> Self {
        Self(entries.iter().filter_map(|entry| entry.as_ref().parse().ok()).collect())
    }

    /// Checks whether a request to `url` is allowed. A URL without a host is not listed.
    pub fn admits(&self, url: &Url) -> Admission {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Admission::NotListed;
        };
        let mut answer = Admission::NotListed;
        for domain in self.0.iter().filter(|domain| domain.covers_host(&host)) {
            if domain.covers_port(port) {
                return Admission::Allowed;
            }
            answer = Admission::OtherPort;
        }
        answer
    }
}

impl AllowedDomain {
    fn covers_host(&self, host: &Host<&str>) -> bool {
        match self {
            Self::Exact(listed) => listed.is_host(host),
            Self::Subdomains { suffix, .. } => match host {
                Host::Domain(name) => without_trailing_dot(name)
                    .strip_suffix(suffix.as_str())
                    .and_then(|rest| rest.strip_suffix('.'))
                    .is_some_and(|below| !below.is_empty()),
                Host::Ipv4(_) | Host::Ipv6(_) => false,
            },
        }
    }

    fn covers_port(&self, asked: u16) -> bool {
        let (Self::Exact(HostPort { port, .. }) | Self::Subdomains { port, .. }) = self;
        port.map_or_else(|| DEFAULT_PORTS.contains(&asked), |listed| listed == asked)
    }
}

impl FromStr for AllowedDomain {
    type Err = InvalidDomain;

    fn from_str(entry: &str) -> Result<Self, Self::Err> {
        let Some(below) = entry.trim().strip_prefix("*.") else {
            return entry.parse().map(Self::Exact);
        };
        let refused = |rule| InvalidDomain { entry: entry.to_owned(), rule };
        match below.parse::<HostPort>().map_err(|problem| refused(problem.rule))? {
            HostPort { host: Host::Domain(suffix), port } => Ok(Self::Subdomains { suffix, port }),
            HostPort { .. } => Err(refused(DomainRule::Wildcard)),
        }
    }
}

impl HostPort {
    /// Returns whether this is `host`, at any port.
    pub fn is_host(&self, host: &Host<&str>) -> bool {
        match (&self.host, host) {
            (Host::Domain(listed), Host::Domain(asked)) => listed == without_trailing_dot(asked),
            (Host::Ipv4(listed), Host::Ipv4(asked)) => listed == asked,
            (Host::Ipv6(listed), Host::Ipv6(asked)) => listed == asked,
            _ => false,
        }
    }
}

impl FromStr for HostPort {
    type Err = InvalidDomain;

    fn from_str(entry: &str) -> Result<Self, Self::Err> {
        let refused = |rule| InvalidDomain { entry: entry.to_owned(), rule };
        let text = entry.trim();
        if text.is_empty() {
            return Err(refused(DomainRule::Empty));
        }
        if text.contains(['/', '\\', '@', '?', '#']) {
            return Err(refused(DomainRule::Url));
        }
        if text.contains('*') {
            return Err(refused(DomainRule::Wildcard));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self { host: Host::Ipv6(address), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            // Without a port, the last colon of a bracketed address is inside the brackets.
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port != 0).ok_or(refused(DomainRule::Port))?;
                (host, Some(port))
            }
            _ => (text, None),
        };
        let host = match Host::parse(host).map_err(|_| refused(DomainRule::Host))? {
            Host::Domain(name) => match without_trailing_dot(&name) {
                name if is_dns_name(name) => Host::Domain(name.to_owned()),
                _ => return Err(refused(DomainRule::Host)),
            },
            address => address,
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for AllowedDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(listed) => listed.fmt(f),
            Self::Subdomains { suffix, port } => {
                write!(f, "*.{suffix}")?;
                port.iter().try_for_each(|port| write!(f, ":{port}"))
            }
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        self.port.iter().try_for_each(|port| write!(f, ":{port}"))
    }
}

/// Returns whether the lengths of a name and its labels are valid in DNS (RFC 1035 section 2.3.4).
fn is_dns_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// Removes the trailing dot of a fully qualified name: `example.com.` is the same host as `example.com`.
fn without_trailing_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admits(entries: &[&str], url: &str) -> Admission {
        AllowedDomains::parse(entries).unwrap().admits(&Url::parse(url).unwrap())
    }

    #[test]
    fn an_entry_allows_only_its_host_on_ports_80_and_443() {
        for url in [
            "http://example.com/a",
            "https://example.com",
            "https://example.com:80",
            "http://example.com:443",
        ] {
            assert_eq!(admits(&["example.com"], url), Admission::Allowed, "{url}");
        }
        for url in [
            "https://www.example.com",
            "https://example.org",
            "https://notexample.com",
            "https://example.com.evil.net",
        ] {
            assert_eq!(admits(&["example.com"], url), Admission::NotListed, "{url}");
        }
        assert_eq!(admits(&["example.com"], "https://example.com:8443"), Admission::OtherPort);
    }

    #[test]
    fn a_wildcard_allows_every_name_below_and_not_the_apex() {
        for url in ["https://a.example.com", "https://a.b.example.com"] {
            assert_eq!(admits(&["*.example.com"], url), Admission::Allowed, "{url}");
        }
        for url in [
            "https://example.com",
            "https://aexample.com",
            "https://.example.com",
            "https://a.example.com.evil.net",
        ] {
            assert_eq!(admits(&["*.example.com"], url), Admission::NotListed, "{url}");
        }
    }

    #[test]
    fn a_listed_port_is_the_only_one_of_its_entry() {
        assert_eq!(admits(&["example.com:8443"], "https://example.com:8443"), Admission::Allowed);
        assert_eq!(admits(&["example.com:8443"], "https://example.com"), Admission::OtherPort);
        assert_eq!(admits(&["example.com:8443", "example.com"], "https://example.com"), Admission::Allowed);
        assert_eq!(admits(&["*.example.com:8443"], "https://a.example.com:8443"), Admission::Allowed);
    }

    #[test]
    fn spellings_of_one_host_are_equal() {
        for (entry, url) in [
            ("EXAMPLE.com", "https://Example.COM"),
            ("example.com.", "https://example.com"),
            ("example.com", "https://example.com./"),
            ("bücher.example", "https://xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "https://BÜCHER.example"),
            ("*.bücher.example", "https://a.bücher.example"),
            ("ex%41mple.com", "https://example.com"),
            ("127.0.0.1", "http://0x7f.1/"),
            ("0177.0.0.1", "http://2130706433/"),
            ("[::1]:8080", "http://[0:0::1]:8080"),
            ("::1", "http://[::1]"),
            (" example.com ", "https://example.com"),
        ] {
            assert_eq!(admits(&[entry], url), Admission::Allowed, "{entry} {url}");
        }
    }

    #[test]
    fn an_invalid_entry_names_the_rule_it_breaks() {
        for (entry, rule) in [
            ("", DomainRule::Empty),
            ("  ", DomainRule::Empty),
            ("https://example.com", DomainRule::Url),
            ("example.com/path", DomainRule::Url),
            ("user@example.com", DomainRule::Url),
            ("example.com:0", DomainRule::Port),
            ("example.com:65536", DomainRule::Port),
            ("example.com:", DomainRule::Port),
            ("*", DomainRule::Wildcard),
            ("a.*.example.com", DomainRule::Wildcard),
            ("*.*.example.com", DomainRule::Wildcard),
            ("*.10.0.0.1", DomainRule::Wildcard),
            ("exa mple.com", DomainRule::Host),
            ("1.2.3.256", DomainRule::Host),
            (".", DomainRule::Host),
            ("a..b", DomainRule::Host),
            ("a\0.com", DomainRule::Host),
            (&"a".repeat(64), DomainRule::Host),
            (&"a.".repeat(128), DomainRule::Host),
            ("[::1", DomainRule::Host),
        ] {
            let problem = entry.parse::<AllowedDomain>().unwrap_err();
            assert_eq!((problem.entry.as_str(), problem.rule), (entry, rule));
        }
    }

    #[test]
    fn an_entry_is_shown_in_its_canonical_spelling() {
        for (entry, shown) in [
            (" API.example.com. ", "api.example.com"),
            ("*.BÜCHER.example:8443", "*.xn--bcher-kva.example:8443"),
            ("0x7f.1:80", "127.0.0.1:80"),
            ("::1", "[::1]"),
            ("[0::1]:80", "[::1]:80"),
        ] {
            let domain: AllowedDomain = entry.parse().unwrap();
            assert_eq!(domain.to_string(), shown);
            assert_eq!(shown.parse::<AllowedDomain>().unwrap(), domain);
        }
    }

    #[test]
    fn all_invalid_entries_are_reported_together() {
        let problems = AllowedDomains::parse(&["example.com", "*", "https://a"]).unwrap_err();
        assert_eq!(problems.len(), 2);
        assert_eq!(
            problems[0].to_string(),
            "\"*\" has a wildcard elsewhere than in front, as in \"*.example.com\""
        );
    }

    fn label() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9]{0,8}"
    }

    proptest! {
        #[test]
        fn a_wildcard_covers_exactly_the_names_that_end_below_it(
            below in prop::collection::vec(label(), 0..4),
            apex in prop::collection::vec(label(), 1..3),
            other in prop::collection::vec(label(), 1..3),
        ) {
            let apex = apex.join(".");
            let list = AllowedDomains::parse(&[format!("*.{apex}")]).unwrap();
            let inside = below.iter().map(|label| format!("{label}.")).collect::<Vec<_>>().concat() + &apex;
            let outside = other.join(".");
            let admits = |host: &str| list.admits(&Url::parse(&format!("https://{host}/")).unwrap()) == Admission::Allowed;
            prop_assert_eq!(admits(&inside), !below.is_empty());
            prop_assert_eq!(admits(&outside), outside.ends_with(&format!(".{apex}")));
            let glued = format!("x{apex}");
            prop_assert!(!admits(&glued));
        }

        #[test]
        fn case_and_a_trailing_dot_never_matter(labels in prop::collection::vec(label(), 1..4), dot: bool, upper: bool) {
            let host = labels.join(".");
            let mut asked = if upper { host.to_uppercase() } else { host.clone() };
            if dot { asked.push('.'); }
            let list = AllowedDomains::parse(&[host]).unwrap();
            let url = Url::parse(&format!("https://{asked}/")).unwrap();
            prop_assert_eq!(list.admits(&url), Admission::Allowed);
        }

        #[test]
        fn any_entry_that_parses_admits_its_own_host(text in "\\PC{0,40}") {
            if let Ok(AllowedDomain::Exact(HostPort { host, port })) = text.parse::<AllowedDomain>() {
                let port = port.unwrap_or(443);
                let url = Url::parse(&format!("https://{host}:{port}/")).unwrap();
                prop_assert_eq!(AllowedDomains::parse(&[&text]).unwrap().admits(&url), Admission::Allowed);
            }
        }
    }
}
