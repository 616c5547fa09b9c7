//! Matrix of scopes: which operation each set of scopes reaches, and the table of it in `docs/security.md`.

use crate::{client::Client, document, server::Server};
use api::testing::model::api_key::Scope;
use reqwest::Method;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

const PAGE: &str = "../docs/security.md";
/// Comments around the table on the page.
const BEGIN: &str = "<!-- Scopes: written by a test. -->\n";
const END: &str = "<!-- End of scopes. -->";

/// Set of scopes, as bits by their index in [`Scope::ALL`].
type Set = u8;

fn scopes(set: Set) -> Vec<Scope> {
    Scope::ALL
        .into_iter()
        .enumerate()
        .filter(|(index, _)| set & (1 << index) != 0)
        .map(|(_, scope)| scope)
        .collect()
}

fn all_sets() -> impl Iterator<Item = Set> {
    0..1 << Scope::ALL.len()
}

/// Returns true unless the answer says that a scope is missing.
async fn is_admitted(client: &Client, method: &Method, path: &str) -> bool {
    let answer = client.send_json(method.clone(), path, &json!({})).await;
    answer.status != 403 || answer.json(403)["code"] != "insufficient_scope"
}

/// Returns the sets that are enough for an operation and have no smaller set that is.
async fn smallest_sets(clients: &BTreeMap<Set, Client>, method: &Method, path: &str) -> Vec<Set> {
    let mut admitted = BTreeSet::new();
    for (&set, client) in clients {
        if is_admitted(client, method, path).await {
            admitted.insert(set);
        }
    }
    let is_smallest = |set: &&Set| !admitted.iter().any(|other| other != *set && *set & other == *other);
    let smallest: Vec<Set> = admitted.iter().filter(is_smallest).copied().collect();
    for set in all_sets() {
        let holds_one = smallest.iter().any(|small| set & small == *small);
        assert_eq!(admitted.contains(&set), holds_one, "{method} {path}: more scopes never allow less");
    }
    smallest
}

fn described(sets: &[Set]) -> String {
    let described = sets.iter().map(|set| {
        let names: Vec<_> = scopes(*set).iter().map(|scope| format!("`{}`", scope.as_str())).collect();
        if names.is_empty() { "any key".to_owned() } else { names.join(" and ") }
    });
    described.collect::<Vec<_>>().join(", or ")
}

fn table(operations: &BTreeMap<String, Vec<String>>) -> String {
    let rows =
        operations.iter().map(|(needs, operations)| format!("| {needs} | {} |\n", operations.join(", ")));
    let head = "| needs | operations |\n|---|---|\n".to_owned();
    std::iter::once(head).chain(rows).collect()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a switch of the test, not configuration")]
async fn the_page_lists_what_each_scope_leads_to() {
    // Each operation is tried with each set, by one workspace.
    let server = Server::start_with(|config| config.http.rate_limit_per_s = 0).await;
    let mut clients = BTreeMap::new();
    for set in all_sets() {
        clients.insert(set, server.client_with("demo", &scopes(set)).await);
    }
    let mut operations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (method, template) in document::operations() {
        // Signed requests only.
        if template.starts_with("/control/") {
            continue;
        }
        let path = template.replace("{id}", &uuid::Uuid::now_v7().to_string()).replace("{key}", "KEY");
        let sets = smallest_sets(&clients, &method.parse().unwrap(), &path).await;
        operations.entry(described(&sets)).or_default().push(format!("{method} {template}"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has the section");
    let (_, after) = rest.split_once(END).expect("the section ends");
    let written = format!("{before}{BEGIN}{}{END}{after}", table(&operations));
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, written).unwrap();
    } else {
        assert!(
            page == written,
            "{PAGE} is out of date: UPDATE_DOCS=1 cargo test --workspace --test it scopes"
        );
    }
}

#[tokio::test]
async fn scopes_that_lead_to_secrets_are_more_than_one() {
    let server = Server::start().await;
    let test = json!({"code": "export default (input, env) => env.ENV"});
    for (set, is_refused) in [
        (&[Scope::Execute][..], true),
        (&[Scope::Secrets], true),
        (&[Scope::Write], true),
        (&[Scope::Execute, Scope::Secrets], false),
        (&[Scope::Execute, Scope::Write], false),
    ] {
        let client = server.client_with("demo", set).await;
        // Without code, an admitted request is a bad one and runs nothing.
        let body = if is_refused { test.clone() } else { json!({}) };
        let answer = client.post("/scripts/test/", body).await;
        assert_eq!(answer.status, if is_refused { 403 } else { 400 }, "{set:?}: {answer:?}");
    }
    let owner = server.client("demo").await;
    let script = owner.script("n", "export default () => 1").await;
    let schedule = json!({"script_id": script["id"], "cron": "0 0 * * *"});
    let writer = server.client_with("demo", &[Scope::Write]).await;
    let refused = writer.post("/schedules/", schedule.clone()).await.json(403);
    assert_eq!(refused["detail"], "The API key lacks the scope execute.");
    let created = owner.post("/schedules/", schedule).await.json(201);
    let path = format!("/schedules/{}/", created["id"].as_str().unwrap());
    let refused = writer.patch(&path, json!({"enabled": false})).await;
    assert_eq!(refused.json(403)["code"], "insufficient_scope");
    assert_eq!(writer.delete(&path).await.status, 204);
    let letter = format!("/dead-letters/{}/requeue/", uuid::Uuid::now_v7());
    let refused = writer.post(&letter, json!({})).await.json(403);
    assert_eq!(refused["detail"], "The API key lacks the scope execute.");
}
