//! `fetch` called by a script: through the real sandbox, its socket and the supervisor.

use super::*;
use crate::sandbox::{self, Finished, job};
use axum::{
    extract::{Path, Request},
    http::{HeaderMap, StatusCode, header},
    response::Redirect as RedirectTo,
    routing::{any, get as on_get},
};
use sandbox_protocol::Job;
use serde_json::json;
use shared::execution::LogLevel;
use tokio::sync::{Barrier, Notify, watch};
use worker::testing::supervisor::{Pool, PoolConfig, RunContext};

const TOKEN: &str = "plane_api_0123456789";

/// Starts a pool whose scripts may reach the loopback interface, as `SANDBOX_ALLOW_PRIVATE_NETWORK=127.0.0.1` lets
/// them.
async fn pool(slots: usize, api_base: &str) -> Arc<Pool> {
    let exceptions = "127.0.0.1".parse().unwrap();
    let fetcher = Fetcher::new(FetchConfig::new(api_base.parse().unwrap(), exceptions)).unwrap();
    Pool::start(PoolConfig { fetcher: Arc::new(fetcher), ..sandbox::config(slots) }).await.unwrap()
}

async fn run(pool: &Arc<Pool>, job: Job, allowed: &[String]) -> Finished {
    sandbox::run_with(pool, job, |logs| RunContext {
        allowed_domains: allowed.to_vec(),
        plane_token: Some(TOKEN.to_owned()),
        ..sandbox::bare_context(logs)
    })
    .await
}

/// Runs a script that may reach one server.
async fn run_against(server: &Server, code: &str) -> Finished {
    let code = code.replace("SERVER", &server.url(""));
    run(&pool(1, "http://plane.example").await, job(&code), &[server.entry()]).await
}

#[tokio::test]
async fn a_script_s_request_arrives_and_its_response_comes_back() {
    let router = Router::new().route(
        "/items",
        any(async |headers: HeaderMap, request: Request| {
            let (method, sent) =
                (request.method().to_string(), headers["x-own"].to_str().unwrap().to_owned());
            let body = axum::body::to_bytes(request.into_body(), 1_000).await.unwrap();
            let text = format!("{method} {sent} {}", String::from_utf8(body.to_vec()).unwrap());
            ([("x-answer", "yes")], json!({ "got": text }).to_string())
        }),
    );
    let server = Server::start(router).await;
    let code = "export async function main() {
        const response = await fetch('SERVER/items?secret=1', { method: 'PUT', headers: { 'X-Own': 'a' }, body: 'h\u{e9}' });
        return [response.status, response.ok, response.headers.get('x-answer'), await response.json()];
    }";
    let finished = run_against(&server, code).await;
    assert_eq!(finished.result(), json!([200, true, "yes", { "got": "PUT a h\u{e9}" }]));
    let [line] = &finished.logs[..] else { panic!("{:?}", finished.logs) };
    assert_eq!(line.level, LogLevel::Debug);
    assert!(line.message.starts_with(&format!("PUT {} 200 ", server.address)), "{}", line.message);
}

#[tokio::test]
async fn a_refusal_is_a_type_error_that_says_why() {
    let (server, inside) = (
        Server::start(Router::new().route(
            "/to/{*location}",
            on_get(async |Path(location): Path<String>| RedirectTo::temporary(&location)),
        ))
        .await,
        Server::start(Router::new()).await,
    );
    let code = "export async function main() {
        const told = [];
        for (const url of ['https://evil.example/x', 'http://169.254.169.254/', 'SERVER/to/https://evil.example/',
                           'SERVER/to/http://169.254.169.254/', 'SERVER/to/http://INSIDE/', 'ftp://a.example/']) {
            await fetch(url).then(() => told.push('reached'), (error) => told.push(error.name + ': ' + error.message));
        }
        return told;
    }";
    let finished = run_against(&server, &code.replace("INSIDE", &inside.entry())).await;
    assert_eq!(
        finished.result(),
        json!([
            "TypeError: Domain not allowed: evil.example",
            "TypeError: Domain not allowed: 169.254.169.254",
            "TypeError: Domain not allowed: evil.example",
            "TypeError: Domain not allowed: 169.254.169.254",
            format!(
                "TypeError: Port not allowed: {} (ports other than 80 and 443 are listed as host:port)",
                inside.address
            ),
            "TypeError: Scheme not allowed: ftp (only http and https are)",
        ])
    );
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn an_uncaught_fetch_error_fails_the_run_with_its_message() {
    let server = Server::start(Router::new()).await;
    let finished =
        run_against(&server, "export async function main() { await fetch('https://evil.example/'); }").await;
    assert_eq!(finished.error().message, "Domain not allowed: evil.example");
}

#[tokio::test]
async fn a_response_over_ten_mebibytes_is_refused() {
    let router = Router::new()
        .route("/fits", on_get(async || vec![b'a'; 10 << 20]))
        .route("/over", on_get(async || vec![b'a'; (10 << 20) + 1]));
    let server = Server::start(router).await;
    let code = "export async function main() {
        const fits = await (await fetch('SERVER/fits')).arrayBuffer();
        const over = await fetch('SERVER/over').catch((error) => error.message);
        return [fits.byteLength, over];
    }";
    let finished = run_against(&server, code).await;
    assert_eq!(finished.result(), json!([10 << 20, "Response too large: over 10485760 bytes"]));
}

/// Starts a server whose `/never` gets no response, and whose `/arrived` responds once `/never` was requested. Returns it with
/// the signal that the request of `/never` was given up.
async fn silent() -> (Server, Arc<Notify>) {
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (arrived, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let tell = (arrived.clone(), ended.clone());
    let router = Router::new().route("/arrived", on_get(async move || arrived.notified().await)).route(
        "/never",
        on_get(async move || {
            let _ended = OnDrop(tell.1.clone());
            tell.0.notify_one();
            std::future::pending::<()>().await;
        }),
    );
    let server = Server::start(router).await;
    (server, ended)
}

#[tokio::test]
async fn an_aborted_request_is_given_up() {
    let (server, ended) = silent().await;
    let code = "export async function main() {
        const controller = new AbortController();
        const never = fetch('SERVER/never', { signal: controller.signal });
        await fetch('SERVER/arrived');
        controller.abort();
        return never.catch((error) => error.name);
    }";
    assert_eq!(run_against(&server, code).await.result(), json!("AbortError"));
    ended.notified().await;
}

#[tokio::test]
async fn ending_a_run_aborts_its_requests_and_keeps_its_result() {
    let (server, ended) = silent().await;
    let code = "export async function main() {
        fetch('SERVER/never');
        await fetch('SERVER/arrived');
        return 'done';
    }";
    assert_eq!(run_against(&server, code).await.result(), json!("done"));
    ended.notified().await;
}

#[tokio::test]
async fn the_sdk_sends_a_token_that_the_script_cannot_see() {
    let router = Router::new().fallback(async |uri: axum::http::Uri, headers: HeaderMap| {
        let key = headers["x-api-key"].to_str().unwrap().to_owned();
        let agent = headers.get(header::AUTHORIZATION).is_some();
        json!({ "id": format!("{} {}", uri.path(), key == TOKEN && !agent) }).to_string()
    });
    let plane = Server::start(router).await;
    let code = "export async function main(input, { Plane }) {
        const me = await Plane.users.me();
        const own = await fetch('SERVER/').catch((error) => error.message);
        return [me.id, own, JSON.stringify(Plane.users.config)];
    }";
    let mut job = job(&code.replace("SERVER", &plane.url("")));
    job.api_base_url = plane.url("");
    let result = run(&pool(1, &plane.url("/")).await, job, &[]).await.result();
    assert_eq!(
        (&result[0], &result[1]),
        (&json!("/api/v1/users/me/ true"), &json!("Domain not allowed: 127.0.0.1"))
    );
    assert!(!result[2].as_str().unwrap().contains(TOKEN));
}

#[tokio::test]
async fn a_token_echoed_by_a_server_is_masked_everywhere() {
    let router = Router::new()
        .route(
            "/api/v1/users/me/",
            on_get(async |headers: HeaderMap| {
                json!({ "id": headers["x-api-key"].to_str().unwrap() }).to_string()
            }),
        )
        .fallback(async |headers: HeaderMap| {
            let key = headers["x-api-key"].to_str().unwrap();
            (StatusCode::BAD_REQUEST, json!({ "message": format!("no such thing for {key}") }).to_string())
        });
    let plane = Server::start(router).await;
    let pool = pool(1, &plane.url("/")).await;
    let run = async |code: &str| {
        let mut job = job(code);
        job.api_base_url = plane.url("");
        run(&pool, job, &[]).await
    };
    let finished = run("export async function main(input, { Plane }) {
            const { id } = await Plane.users.me();
            console.log('I am', { id });
            const refusal = await Plane.projects.list('demo').catch((error) => error);
            console.error(refusal);
            return { id, message: refusal.message, body: refusal.body };
        }")
    .await;
    let masked = "no such thing for [masked]";
    assert_eq!(
        finished.result(),
        json!({ "id": "[masked]", "message": masked, "body": { "message": masked } })
    );
    let lines = finished.messages().join("\n");
    assert!(lines.contains("I am { id: '[masked]' }") && lines.contains(masked), "{lines}");
    assert!(!lines.contains(TOKEN), "{lines}");

    let failed =
        run("export async function main(input, { Plane }) { await Plane.projects.list('demo'); }").await;
    let error = failed.error();
    assert_eq!(error.message, format!("{masked} (status 400)"));
    let stack = error.stack.as_deref().unwrap();
    assert!(stack.contains(masked) && !stack.contains(TOKEN), "{stack}");
}

#[tokio::test]
async fn two_hundred_runs_wait_on_fetch_eight_at_once_in_eight_slots() {
    const SLOTS: usize = 8;
    let all_slots = Arc::new(Barrier::new(SLOTS));
    let router = Router::new().route(
        "/{number}",
        on_get(async move |Path(number): Path<String>| {
            // The response is sent when every slot has a run that waits here.
            all_slots.wait().await;
            number
        }),
    );
    let server = Server::start(router).await;
    let pool = pool(SLOTS, "http://plane.example").await;
    let allowed = [server.entry()];
    let runs = (0..200).map(async |number| {
        let code = format!(
            "export async function main() {{ return (await fetch('{}')).text(); }}",
            server.url(&format!("/{number}"))
        );
        run(&pool, job(&code), &allowed).await.result() == json!(number.to_string())
    });
    let answers = futures_util::future::join_all(runs).await;
    assert_eq!(answers.iter().filter(|right| **right).count(), 200);
}

#[tokio::test]
async fn at_most_two_large_request_bodies_are_sent_at_once() {
    let (held, released) = (watch::Sender::new(0_usize), watch::Sender::new(false));
    let router = {
        let (held, of_held, released) = (held.clone(), held, released.clone());
        let large = move |request: Request| {
            let (held, mut released) = (held.clone(), released.subscribe());
            async move {
                let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
                held.send_modify(|count| *count += 1);
                released.wait_for(|released| *released).await.unwrap();
                format!("{} {}", body.len(), body[0])
            }
        };
        let count = move || {
            let mut held = of_held.subscribe();
            async move { held.wait_for(|count| *count >= 2).await.unwrap().to_string() }
        };
        Router::new().route("/large", any(large)).route("/held", any(count))
    };
    let release = move || {
        released.send_replace(true);
        async { "released" }
    };
    let server = Server::start(router.route("/release", any(release))).await;
    let code = "export async function main() {
        const body = new Uint8Array(300 * 1024);
        const large = [1, 2, 3].map(() => fetch('SERVER/large', { method: 'POST', body }).then((answer) => answer.text()));
        const controller = new AbortController();
        const aborted = fetch('SERVER/large', { method: 'POST', body, signal: controller.signal }).catch((error) => error.name);
        controller.abort();
        body.fill(7);
        const counts = new Set();
        for (let asked = 0; asked < 30; asked += 1) {
            counts.add(await (await fetch('SERVER/held', { method: 'POST', body: 'small' })).text());
        }
        await fetch('SERVER/release');
        return [[...counts], await Promise.all(large), await aborted];
    }";
    let finished = run_against(&server, code).await;
    let sent = "307200 0";
    assert_eq!(finished.result(), json!([["2"], [sent, sent, sent], "AbortError"]));
}
