//! `SANDBOX_ALLOW_PRIVATE_NETWORK`: what an operator lets scripts reach besides the public Internet.
//!
//! Invariant: an exception widens the address check alone. A script's `allowed_domains` are asked all the
//! same.

use super::addresses::{Class, classify};
use ipnet::IpNet;
use shared::allowed_domains::{HostPort, InvalidDomain};
use std::{net::IpAddr, str::FromStr};
use url::Host;

/// Comma-separated entries, each a host (`plane-api.default.svc`), a host with a port (`localhost:8000`) or a
/// network in CIDR notation (`10.4.0.0/16`).
///
/// - A name lifts the check for what that name resolves to, if that is private, loopback or shared space.
/// - An address without a port is the network of that one address; with a port it stands for URLs that are
///   written with it.
/// - A network stands for its addresses at every port, whatever name led there.
/// - A metadata service is reached only through an entry that is exactly its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    hosts: Vec<HostPort>,
    networks: Vec<IpNet>,
}

/// An entry that can't be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidException {
    #[error(transparent)]
    Host(#[from] InvalidDomain),
    #[error("\"{0}\" is not a network in CIDR notation, as in \"10.4.0.0/16\"")]
    Network(String),
}

impl Exceptions {
    /// Returns true if a URL with this host and port may lead to addresses that are not public.
    pub fn cover_host(&self, host: &Host<&str>, port: u16) -> bool {
        self.hosts.iter().any(|entry| entry.is_host(host) && entry.port.is_none_or(|listed| listed == port))
    }

    /// Returns true if this address is excepted, by whatever name it was found.
    pub fn cover_address(&self, address: IpAddr) -> bool {
        let metadata = classify(address) == Some(Class::Metadata);
        self.networks
            .iter()
            .filter(|network| !metadata || network.prefix_len() == network.max_prefix_len())
            .any(|network| network.contains(&address))
    }
}

impl FromStr for Exceptions {
    type Err = InvalidException;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut exceptions = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if entry.contains('/') {
                let network = entry.parse().map_err(|_| InvalidException::Network(entry.to_owned()))?;
                exceptions.networks.push(network);
                continue;
            }
            match entry.parse()? {
                HostPort { host: Host::Ipv4(address), port: None } => {
                    exceptions.networks.push(IpAddr::V4(address).into());
                }
                HostPort { host: Host::Ipv6(address), port: None } => {
                    exceptions.networks.push(IpAddr::V6(address).into());
                }
                host => exceptions.hosts.push(host),
            }
        }
        Ok(exceptions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceptions(text: &str) -> Exceptions {
        text.parse().unwrap()
    }

    fn covers_host(text: &str, host: &str, port: u16) -> bool {
        let host = Host::parse(host).unwrap();
        let host = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        exceptions(text).cover_host(&host, port)
    }

    fn covers_address(text: &str, address: &str) -> bool {
        exceptions(text).cover_address(address.parse().unwrap())
    }

    #[test]
    fn an_empty_exception_list_excepts_nothing() {
        assert!(!covers_host("", "localhost", 80));
        assert!(!covers_address(" , ", "127.0.0.1"));
    }

    #[test]
    fn a_name_stands_for_every_port_unless_it_names_one() {
        assert!(covers_host("Plane-API.svc, localhost:8000", "plane-api.svc.", 8080));
        assert!(covers_host("plane-api.svc, localhost:8000", "localhost", 8000));
        assert!(!covers_host("plane-api.svc, localhost:8000", "localhost", 8001));
        assert!(!covers_host("plane-api.svc", "other.plane-api.svc", 80));
    }

    #[test]
    fn a_network_covers_its_addresses() {
        assert!(covers_address("10.4.0.0/16", "10.4.255.1"));
        assert!(!covers_address("10.4.0.0/16", "10.5.0.1"));
        assert!(covers_address("fd12::/16,127.0.0.1", "fd12::7"));
        assert!(covers_address("127.0.0.1", "127.0.0.1"));
        assert!(!covers_address("127.0.0.1:80", "127.0.0.1"));
        assert!(covers_host("127.0.0.1:80,[::1]:80", "[::1]", 80));
    }

    #[test]
    fn a_metadata_service_needs_an_entry_that_is_its_address() {
        assert!(!covers_address("0.0.0.0/0,169.254.0.0/16", "169.254.169.254"));
        assert!(!covers_address("fd00::/8", "fd00:ec2::254"));
        assert!(covers_address("169.254.169.254", "169.254.169.254"));
        assert!(covers_address("0.0.0.0/0", "169.254.0.1"));
    }

    #[test]
    fn an_invalid_exception_is_named() {
        let problem = "localhost,10.0.0.0/33".parse::<Exceptions>().unwrap_err();
        assert_eq!(
            problem.to_string(),
            "\"10.0.0.0/33\" is not a network in CIDR notation, as in \"10.4.0.0/16\""
        );
        assert!("http://x".parse::<Exceptions>().is_err());
        assert!("*.svc".parse::<Exceptions>().is_err());
    }
}
