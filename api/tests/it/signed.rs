//! Signed requests of the web app's backend: accepted once, for the method, path and body that they were signed for.

use crate::{
    client::{Answer, Client, send},
    server::{HMAC_SECRET, Server},
};
use chrono::Utc;
use reqwest::Method;
use serde_json::json;
use shared::signing::{SignedParts, SigningKeys};
use std::sync::Arc;
use uuid::Uuid;

/// A request to be signed and sent.
pub(crate) struct Signed<'a> {
    method: Method,
    path: &'a str,
    workspace: &'a str,
    body: &'a str,
    nonce: String,
    timestamp: i64,
    secret: &'a str,
}

impl<'a> Signed<'a> {
    pub(crate) fn get(path: &'a str, workspace: &'a str) -> Self {
        let nonce = Uuid::now_v7().simple().to_string();
        let timestamp = Utc::now().timestamp();
        Self { method: Method::GET, path, workspace, body: "", nonce, timestamp, secret: HMAC_SECRET }
    }

    /// Returns the request with another method and a body.
    pub(crate) fn sending(self, method: Method, body: &'a str) -> Self {
        Self { method, body, ..self }
    }

    fn signature(&self) -> String {
        SigningKeys::parse(self.secret).unwrap().sign(&SignedParts {
            timestamp: self.timestamp,
            nonce: &self.nonce,
            method: self.method.as_str(),
            path_and_query: self.path,
            workspace_slug: self.workspace,
            user_id: "user-1",
            body: self.body.as_bytes(),
        })
    }

    pub(crate) async fn send(&self, server: &Server) -> Answer {
        self.send_with(server, &self.signature()).await
    }

    async fn send_with(&self, server: &Server, signature: &str) -> Answer {
        let client = Client::new(&server.address, "no key");
        let request = client
            .bare(self.method.clone(), &format!("{}{}", server.address, self.path))
            .header("x-runner-timestamp", self.timestamp)
            .header("x-runner-nonce", &self.nonce)
            .header("x-workspace-slug", self.workspace)
            .header("x-user-id", "user-1")
            .header("x-runner-signature", signature)
            .header("content-type", "application/json")
            .body(self.body.to_owned());
        send(request).await
    }
}

#[tokio::test]
async fn external_and_internal_apis_serve_the_same_rows() {
    let server = Server::start().await;
    let body = json!({"name": "n", "code": "return 1", "code_type": "raw"}).to_string();
    let create =
        Signed { method: Method::POST, body: &body, ..Signed::get("/api/runnerctl/scripts/", "demo") };
    let script = create.send(&server).await.json(201);
    let external = server.client("demo").await.get("/scripts/").await.json(200);
    assert_eq!(external["results"][0]["id"], script["id"]);
    let listed =
        Signed::get("/api/runnerctl/scripts?per_page=1&search=n", "demo").send(&server).await.json(200);
    assert_eq!(listed["results"][0]["id"], script["id"]);
}

#[tokio::test]
async fn a_signature_is_accepted_once() {
    let server = Server::start().await;
    let request = Signed::get("/api/runnerctl/scripts/", "demo");
    request.send(&server).await.json(200);
    assert_eq!(request.send(&server).await.json(401)["code"], "nonce_replayed");
}

#[tokio::test]
async fn a_signature_made_for_something_else_is_refused() {
    let server = Server::start().await;
    let signed = Signed::get("/api/runnerctl/scripts/", "demo");
    let signature = signed.signature();
    let others = [
        Signed { workspace: "other", nonce: signed.nonce.clone(), ..Signed::get(signed.path, "demo") },
        Signed {
            path: "/api/runnerctl/functions/",
            nonce: signed.nonce.clone(),
            ..Signed::get(signed.path, "demo")
        },
        Signed { body: "{}", nonce: signed.nonce.clone(), ..Signed::get(signed.path, "demo") },
        Signed { method: Method::POST, nonce: signed.nonce.clone(), ..Signed::get(signed.path, "demo") },
    ];
    for other in others {
        let other = Signed { timestamp: signed.timestamp, ..other };
        assert_eq!(other.send_with(&server, &signature).await.json(401)["code"], "signature_mismatch");
    }
    let wrong_key =
        Signed { secret: "another secret that is 32 bytes long", ..Signed::get(signed.path, "demo") };
    assert_eq!(wrong_key.send(&server).await.json(401)["code"], "signature_mismatch");
    // The clock may tick before the server checks, which makes a time in the future nearer.
    for seconds in [-301, 303] {
        let timestamp = Utc::now().timestamp() + seconds;
        let skewed = Signed { timestamp, ..Signed::get(signed.path, "demo") };
        assert_eq!(skewed.send(&server).await.json(401)["code"], "signature_expired", "{seconds} s");
    }
    signed.send(&server).await.json(200);
}

#[tokio::test]
async fn the_plane_token_is_for_signed_requests_alone() {
    let server = Server::start().await;
    let path = "/api/runnerctl/control/plane-token/";
    Signed::get(path, "demo").send(&server).await.json(404);
    let body = json!({"token": "plane_api_secret"}).to_string();
    let set = Signed::get(path, "demo").sending(Method::PUT, &body);
    set.send(&server).await.json(204);
    let read = Signed::get(path, "demo").send(&server).await;
    assert_eq!(read.header("cache-control"), "no-store");
    assert_eq!(read.json(200), json!({"token": "plane_api_secret"}));
    Signed::get(path, "other").send(&server).await.json(404);
    let keyed = server.client("demo").await.get("/control/plane-token/").await;
    assert_eq!(keyed.json(403)["code"], "signature_required");
}

#[tokio::test]
async fn two_secrets_are_accepted_while_one_replaces_the_other() {
    let (new, old) = ("the new secret of 32 or more bytes", "the old secret of 32 or more bytes");
    let server = Server::start_with(|config| {
        config.signing_keys = Arc::new(SigningKeys::parse(&format!("{new},{old}")).unwrap());
    })
    .await;
    let signed = |secret| Signed { secret, ..Signed::get("/api/runnerctl/scripts/", "demo") };
    signed(new).send(&server).await.json(200);
    signed(old).send(&server).await.json(200);
    assert_eq!(
        signed("an older one that has 32 bytes as well").send(&server).await.json(401)["code"],
        "signature_mismatch"
    );
}

#[tokio::test]
async fn a_change_records_its_user() {
    let server = Server::start().await;
    let body = json!({"value": "a secret value"}).to_string();
    let path = "/api/runnerctl/environment/TOKEN/";
    let set = Signed::get(path, "demo").sending(Method::PUT, &body);
    assert_eq!(set.send(&server).await.json(201)["updated_by"], "user-1");
    Signed::get(path, "demo").sending(Method::DELETE, "").send(&server).await.json(204);
    let changes = server.client("demo").await.get("/environment/TOKEN/changes/").await.json(200);
    let noted: Vec<_> = changes["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["action"].as_str().unwrap(), change["changed_by"].as_str().unwrap()))
        .collect();
    assert_eq!(noted, [("deleted", "user-1"), ("set", "user-1")]);
}
