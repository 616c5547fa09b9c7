//! Look-up of names as the host is configured: `/etc/hosts`, and the name servers of `/etc/resolv.conf`.
//!
//! Invariant: a look-up holds no thread, and nothing of it remains once its future is dropped.

use super::NameService;
use futures_util::future::BoxFuture;
use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    system_conf::read_system_conf,
};
use std::{io, net::IpAddr, time::Duration};

/// Limits the answers that are kept.
const CACHED_ANSWERS: u64 = 1024;
/// Limits the time, in seconds, for which an answer is kept, whatever it says itself.
const MAX_TTL: Duration = Duration::from_mins(1);
/// Limits the time, in seconds, for which it is kept that a name does not exist.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(5);
/// Limits the queries to one name server at a time: twice the look-ups of a worker, for addresses of both families.
const ACTIVE_QUERIES: usize = 1024;

/// Resolver with the configuration of the host.
pub(crate) struct SystemNames(TokioResolver);

impl SystemNames {
    /// Reads the configuration. Without name servers only `/etc/hosts` has names.
    pub(crate) fn new() -> Result<Self, NetError> {
        let (config, options) = read_system_conf().unwrap_or_else(|error| {
            tracing::warn!(%error, "no name servers are configured; fetch finds only the names of /etc/hosts");
            (ResolverConfig::from_parts(None, Vec::new(), Vec::new()), ResolverOpts::default())
        });
        Self::with(config, options)
    }

    fn with(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, NetError> {
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = CACHED_ANSWERS;
        options.positive_max_ttl = Some(MAX_TTL);
        options.negative_max_ttl = Some(MAX_NEGATIVE_TTL);
        options.max_active_requests = ACTIVE_QUERIES;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Self(builder.with_options(options).build()?))
    }
}

impl NameService for SystemNames {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.lookup_ip(name).await.map_err(io::Error::other)?;
            Ok(found.iter().collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{Either, join_all, select};
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use std::{net::Ipv4Addr, pin::pin};
    use tokio::net::UdpSocket;

    const ADDRESS: [u8; 4] = [192, 0, 2, 7];

    /// Answers a query of `known.test` for IPv4 with [`ADDRESS`] and for IPv6 with no address. Other names get no
    /// answer.
    fn answer(query: &[u8]) -> Option<Vec<u8>> {
        let question = &query[12..];
        let end = question.iter().position(|byte| *byte == 0)? + 5;
        question.starts_with(b"\x05known\x04test\0").then_some(())?;
        let is_ipv4 = question[end - 4..end - 2] == [0, 1];
        let header = [query[0], query[1], 0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0];
        let mut answer = [&header, &question[..end]].concat();
        if is_ipv4 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(ADDRESS);
        }
        Some(answer)
    }

    async fn names() -> SystemNames {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut connection = ConnectionConfig::udp();
        connection.port = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, client)) = server.recv_from(&mut query).await {
                if let Some(answer) = answer(&query[..length]) {
                    server.send_to(&answer, client).await.unwrap();
                }
            }
        });
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server.connections = vec![connection];
        SystemNames::with(ResolverConfig::from_parts(None, Vec::new(), vec![server]), ResolverOpts::default())
            .unwrap()
    }

    #[tokio::test]
    async fn names_without_an_answer_do_not_hold_up_others() {
        let names = names().await;
        let silent = join_all((0..200).map(|number| names.addresses(format!("silent{number}.test."))));
        let known = pin!(names.addresses("known.test.".to_owned()));
        match select(pin!(silent), known).await {
            Either::Left((ended, _)) => panic!("names without an answer: {ended:?}"),
            Either::Right((found, _)) => assert_eq!(found.unwrap(), [IpAddr::from(ADDRESS)]),
        }
    }

    #[tokio::test]
    async fn the_names_of_the_hosts_file_need_no_server() {
        let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        let names = SystemNames::with(config, ResolverOpts::default()).unwrap();
        let found = names.addresses("localhost".to_owned()).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert!(names.addresses("unknown.test".to_owned()).await.is_err());
    }
}
