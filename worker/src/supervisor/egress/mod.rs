//! Hosts and addresses to which scripts may connect. Pure: decides on URLs and addresses, resolves and connects nothing.
//!
//! Invariant: a request passes two gates. The URL is admitted ([`Egress::admit`]: scheme, credentials,
//! allow-list, port), for the first request and for every redirect; then every address is
//! ([`Egress::permits`]), at the moment a connection is made, so that a name which changes its answer in
//! between gains nothing.

mod addresses;
mod api_base;
mod exceptions;

pub(crate) use addresses::{Class, classify};
pub(crate) use api_base::ApiBase;
pub use exceptions::Exceptions;

use shared::allowed_domains::{Admission, AllowedDomains};
use std::net::IpAddr;
use url::{Host, Url};

/// The worker's rules. A script's own allow-list comes with each question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Egress {
    exceptions: Exceptions,
}

/// Which addresses a request may connect to. Connections of one lane are never lent to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Public addresses and excepted networks.
    Public,
    /// The operator excepted this host: private addresses, too.
    Excepted,
}

/// Reason why a URL is not admitted, as the script reads it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("Scheme not allowed: {0} (only http and https are)")]
    Scheme(String),
    #[error("URL not allowed: it holds a user name or password; send an Authorization header instead")]
    Credentials,
    #[error("Domain not allowed: {0}")]
    Domain(String),
    #[error("Port not allowed: {host}:{port} (ports other than 80 and 443 are listed as host:port)")]
    Port { host: String, port: u16 },
    #[error("Address not allowed: {host} is a {} address", .class.as_str())]
    Address { host: String, class: Class },
}

impl Egress {
    pub(crate) fn new(exceptions: Exceptions) -> Self {
        Self { exceptions }
    }

    /// Checks that a script with this allow-list may request `url`. Returns the rules for its addresses.
    pub(crate) fn admit(&self, url: &Url, allowed: &AllowedDomains) -> Result<Lane, Denied> {
        let (_, host, port) = http_parts(url)?;
        match allowed.admits(url) {
            Admission::Allowed => self.lane(url),
            Admission::OtherPort => Err(Denied::Port { host, port }),
            Admission::NotListed => Err(Denied::Domain(host)),
        }
    }

    /// The lane of a URL that needs no allow-list: Plane's API.
    pub(crate) fn lane(&self, url: &Url) -> Result<Lane, Denied> {
        let (parsed, host, port) = http_parts(url)?;
        let lane = if self.exceptions.cover_host(&parsed, port) { Lane::Excepted } else { Lane::Public };
        // A host that is an address never passes the resolver, so its gate is here.
        let address = match parsed {
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
            Host::Domain(_) => return Ok(lane),
        };
        match classify(address) {
            Some(class) if lane == Lane::Public && !self.exceptions.cover_address(address) => {
                Err(Denied::Address { host, class })
            }
            _ => Ok(lane),
        }
    }

    /// Checks that a connection of this lane may be made to an address that a name resolved to.
    pub(crate) fn permits(&self, lane: Lane, address: IpAddr) -> Result<(), Class> {
        match classify(address) {
            None => Ok(()),
            Some(_) if self.exceptions.cover_address(address) => Ok(()),
            Some(Class::Loopback | Class::Private | Class::SharedSpace) if lane == Lane::Excepted => Ok(()),
            Some(class) => Err(class),
        }
    }
}

/// Host (parsed and as text) and port of an http or https URL without credentials.
fn http_parts(url: &Url) -> Result<(Host<&str>, String, u16), Denied> {
    let scheme = || Denied::Scheme(url.scheme().to_owned());
    if !matches!(url.scheme(), "http" | "https") {
        return Err(scheme());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Denied::Credentials);
    }
    let host = url.host().ok_or_else(scheme)?;
    let port = url.port_or_known_default().ok_or_else(scheme)?;
    let text = host.to_string();
    Ok((host, text, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(exceptions: &str, allowed: &[&str], url: &str) -> Result<Lane, Denied> {
        Egress::new(exceptions.parse().unwrap())
            .admit(&Url::parse(url).unwrap(), &AllowedDomains::parse(allowed).unwrap())
    }

    fn message(exceptions: &str, allowed: &[&str], url: &str) -> String {
        admit(exceptions, allowed, url).unwrap_err().to_string()
    }

    #[test]
    fn a_listed_public_host_uses_the_public_lane() {
        assert_eq!(admit("", &["example.com"], "https://example.com/"), Ok(Lane::Public));
        assert_eq!(admit("", &["1.1.1.1"], "https://1.1.1.1/"), Ok(Lane::Public));
    }

    #[test]
    fn a_refusal_says_why() {
        assert_eq!(message("", &["a.com"], "https://b.com:8443/x?y"), "Domain not allowed: b.com");
        assert_eq!(message("", &[], "http://[::1]:8080/"), "Domain not allowed: [::1]");
        assert_eq!(
            message("", &["a.com"], "http://a.com:22/"),
            "Port not allowed: a.com:22 (ports other than 80 and 443 are listed as host:port)"
        );
        assert_eq!(
            message("", &["a.com"], "ftp://a.com/"),
            "Scheme not allowed: ftp (only http and https are)"
        );
        assert_eq!(
            message("", &[], "data:text/plain,hi"),
            "Scheme not allowed: data (only http and https are)"
        );
        for url in ["https://user@a.com/", "https://:pass@a.com/", "https://user:pass@a.com/"] {
            assert_eq!(admit("", &["a.com"], url), Err(Denied::Credentials));
        }
    }

    #[test]
    fn every_spelling_of_a_loopback_address_is_refused() {
        let spellings = [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "2130706433",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "0X7F.1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "0",
            "0.0.0.0",
            "[::]",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "[fd00:ec2::254]",
            "[fe80::1]",
        ];
        for spelling in spellings {
            let url = format!("http://{spelling}/latest/meta-data/");
            // Even a script that lists it gets nothing.
            let refused = admit("", &[spelling], &url);
            assert!(matches!(refused, Err(Denied::Address { .. })), "{spelling}: {refused:?}");
        }
    }

    #[test]
    fn an_exception_opens_the_address_and_not_the_allow_list() {
        assert_eq!(admit("127.0.0.1", &["127.0.0.1:8000"], "http://127.1:8000/"), Ok(Lane::Public));
        assert_eq!(admit("127.0.0.1:8000", &["127.0.0.1:8000"], "http://127.1:8000/"), Ok(Lane::Excepted));
        assert!(matches!(
            admit("127.0.0.1:8000", &["127.0.0.1"], "http://127.1/"),
            Err(Denied::Address { class: Class::Loopback, .. })
        ));
        assert_eq!(admit("127.0.0.1", &[], "http://127.0.0.1/"), Err(Denied::Domain("127.0.0.1".into())));
        assert_eq!(
            admit("localhost:8000", &["localhost:8000"], "http://localhost:8000/"),
            Ok(Lane::Excepted)
        );
    }

    #[test]
    fn an_excepted_host_reaches_private_but_not_metadata_addresses() {
        let egress = Egress::new("plane.svc,10.4.0.0/16".parse().unwrap());
        let permits = |lane, address: &str| egress.permits(lane, address.parse().unwrap());
        assert_eq!(permits(Lane::Public, "1.1.1.1"), Ok(()));
        assert_eq!(permits(Lane::Public, "10.0.0.1"), Err(Class::Private));
        assert_eq!(permits(Lane::Public, "10.4.0.1"), Ok(()));
        assert_eq!(permits(Lane::Excepted, "10.0.0.1"), Ok(()));
        assert_eq!(permits(Lane::Excepted, "127.0.0.1"), Ok(()));
        assert_eq!(permits(Lane::Excepted, "fd12::1"), Ok(()));
        assert_eq!(permits(Lane::Excepted, "169.254.169.254"), Err(Class::Metadata));
        assert_eq!(permits(Lane::Excepted, "169.254.7.7"), Err(Class::LinkLocal));
        assert_eq!(permits(Lane::Excepted, "::ffff:10.0.0.1"), Err(Class::EmbedsIpv4));
    }
}
