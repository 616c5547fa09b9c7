//! Addresses of names: checked when the connection is made, after the name was resolved.

use super::*;
use axum::{http::header, routing::get as on_get};
use std::{net::Ipv4Addr, time::Duration};

const NONE: [&str; 0] = [];

async fn hello(exceptions_of: &str, names: Names) -> (Server, Fetcher) {
    let server = Server::start(Router::new().route("/", on_get(async || "hi"))).await;
    let fetcher =
        Fetcher::new(FetchConfig { names: Some(Arc::new(names)), ..config(exceptions_of) }).unwrap();
    (server, fetcher)
}

#[tokio::test]
async fn a_name_of_a_refused_address_is_not_dialled() {
    let addresses = [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "fd12::1",
        "169.254.1.1",
        "fe80::1",
        "100.64.0.1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "192.0.2.1",
        "198.18.0.1",
        "2001:db8::1",
        "169.254.169.254",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ];
    for address in addresses {
        let (server, fetcher) = hello("", Names::default().answering("a.example", &[&[address]])).await;
        let entry = format!("a.example:{}", server.port());
        let message = refusal(&fetcher, get(format!("http://{entry}/")), &policy(&[&entry])).await;
        assert_eq!(message, not_found(&entry));
        assert_eq!(server.connections(), 0, "{address}");
    }
}

#[tokio::test]
async fn an_address_as_host_is_not_dialled() {
    let (server, fetcher) = hello("", Names::default()).await;
    for host in
        ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "017700000001", "0", "[::ffff:127.0.0.1]", "[::1]"]
    {
        let entry = format!("{host}:{}", server.port());
        let message = refusal(&fetcher, get(format!("http://{entry}/")), &policy(&[&entry])).await;
        assert!(message.starts_with("Address not allowed: "), "{host}: {message}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn localhost_of_the_real_resolver_is_not_dialled() {
    let server = Server::start(Router::new()).await;
    let entry = format!("localhost:{}", server.port());
    let fetcher = Fetcher::new(config("")).unwrap();
    let message = refusal(&fetcher, get(format!("http://{entry}/")), &policy(&[&entry])).await;
    assert_eq!(message, not_found(&entry));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn only_the_permitted_addresses_of_a_name_are_dialled() {
    let names = Names::default().answering("mixed.example", &[&["10.0.0.1", "127.0.0.1", "::1"]]);
    let (server, fetcher) = hello("127.0.0.1", names).await;
    let entry = format!("mixed.example:{}", server.port());
    assert_eq!(response(&fetcher, get(format!("http://{entry}/")), &policy(&[&entry])).await.body, "hi");
}

#[tokio::test]
async fn dns_rebinding_does_not_reach_a_refused_address() {
    let closing = || Router::new().route("/", on_get(async || ([(header::CONNECTION, "close")], "hi")));
    let outside = Server::start(closing()).await;
    let inside = Server::on(&format!("127.0.0.2:{}", outside.port()), closing()).await;
    let names = Names::default().answering("rebind.example", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let fetcher = Fetcher::new(FetchConfig { names: Some(Arc::new(names)), ..config("127.0.0.1") }).unwrap();
    let entry = format!("rebind.example:{}", outside.port());
    let policy = policy(&[&entry]);
    let url = format!("http://{entry}/");
    assert_eq!(response(&fetcher, get(&url), &policy).await.body, "hi");
    let message = refusal(&fetcher, get(&url), &policy).await;
    assert_eq!(message, not_found(&entry));
    assert_eq!((outside.connections(), inside.connections()), (1, 0));
}

#[tokio::test]
async fn an_exception_for_one_port_opens_no_other() {
    let excepted = Server::start(Router::new().route("/", on_get(async || "hi"))).await;
    let other = Server::start(Router::new()).await;
    let names = Names::default().answering("plane.svc", &[&["127.0.0.1"]]);
    let config =
        FetchConfig { names: Some(Arc::new(names)), ..config(&format!("plane.svc:{}", excepted.port())) };
    let fetcher = Fetcher::new(config).unwrap();
    let url = |server: &Server| format!("http://plane.svc:{}/", server.port());
    let policy = policy(&[format!("plane.svc:{}", excepted.port()), format!("plane.svc:{}", other.port())]);
    assert_eq!(response(&fetcher, get(url(&excepted)), &policy).await.body, "hi");
    let message = refusal(&fetcher, get(url(&other)), &policy).await;
    assert_eq!(message, not_found(&format!("plane.svc:{}", other.port())));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn an_excepted_host_still_needs_the_allow_list() {
    let (server, fetcher) = hello("127.0.0.1", Names::default()).await;
    assert_eq!(
        refusal(&fetcher, get(server.url("/")), &policy(&NONE)).await,
        "Domain not allowed: 127.0.0.1"
    );
    assert_eq!(server.connections(), 0);
}

/// Returns the message for a name that does not exist, which is also that for a name of refused addresses.
fn not_found(host: &str) -> String {
    format!("Request to {host} failed: name not found, or none of its addresses may be reached")
}

#[tokio::test]
async fn a_host_without_an_address_is_reported_as_not_found() {
    let (_server, fetcher) = hello("", Names::default()).await;
    let message = refusal(&fetcher, get("https://unknown.example/"), &policy(&["unknown.example"])).await;
    assert_eq!(message, not_found("unknown.example"));
}

#[tokio::test]
async fn a_look_up_that_takes_too_long_is_given_up() {
    struct Silence;
    impl NameService for Silence {
        fn addresses(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let dns_timeout = std::time::Duration::from_millis(10);
    let fetcher =
        Fetcher::new(FetchConfig { names: Some(Arc::new(Silence)), dns_timeout, ..config("") }).unwrap();
    let message = refusal(&fetcher, get("https://silent.example/"), &policy(&["silent.example"])).await;
    assert_eq!(message, "Request to silent.example failed: name look-up timed out");
}

/// Name service that never answers for names below `silent.example`.
struct SometimesSilent;

impl NameService for SometimesSilent {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            if name.ends_with(".silent.example") {
                std::future::pending::<()>().await;
            }
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        })
    }
}

#[tokio::test]
async fn look_ups_of_one_workspace_leave_some_to_others() {
    // As many look-ups at a time as a worker has.
    const RUNS: usize = 26;
    let server = Server::start(Router::new().route("/", on_get(async || "hi"))).await;
    let names = Some(Arc::new(SometimesSilent) as Arc<dyn NameService>);
    let dns_timeout = Duration::from_secs(10);
    let fetcher = Fetcher::new(FetchConfig { names, dns_timeout, ..config("127.0.0.1") }).unwrap();
    let silent = policy_of("greedy", "*.silent.example", RUNS);
    let look_ups = silent.iter().enumerate().flat_map(|(run, policy)| {
        let fetcher = &fetcher;
        (0..10).map(move |number| {
            refusal(fetcher, get(format!("http://{run}-{number}.silent.example/")), policy)
        })
    });
    let entry = format!("known.example:{}", server.port());
    let other = policy_of("other", &entry, 1);
    let known = response(&fetcher, get(format!("http://{entry}/")), &other[0]);
    let (mut look_ups, mut known) =
        (std::pin::pin!(futures_util::future::join_all(look_ups)), std::pin::pin!(known));
    tokio::select! {
        biased;
        ended = &mut look_ups => panic!("names without an answer: {ended:?}"),
        answer = &mut known => assert_eq!(answer.body, "hi"),
    }
}

fn policy_of(workspace: &str, entry: &str, runs: usize) -> Vec<RunPolicy> {
    (0..runs).map(|_| policy(&[entry]).of_workspace(workspace)).collect()
}
