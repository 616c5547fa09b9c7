//! The system's own functions and scripts.

use crate::server::Server;
use api::testing::cli::fixtures::{self, Loaded};
use serde_json::json;
use std::path::{Path, PathBuf};

fn fixtures() -> [PathBuf; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    [folder.join("system_functions.json"), folder.join("system_scripts.json")]
}

#[tokio::test]
async fn fixtures_load_once_and_again_without_a_change() {
    let server = Server::start().await;
    let first = fixtures::load(&server.pool, &fixtures()).await.unwrap();
    assert_eq!((first.updated, first.unchanged), (0, 0));
    assert!(first.created >= 35, "{first:?}");
    let again = fixtures::load(&server.pool, &fixtures()).await.unwrap();
    assert_eq!(again, Loaded { created: 0, updated: 0, unchanged: first.created });
}

#[tokio::test]
async fn system_rows_are_in_every_list_and_read_only() {
    let server = Server::start().await;
    fixtures::load(&server.pool, &fixtures()).await.unwrap();
    let client = server.client("demo").await;
    for kind in ["scripts", "functions"] {
        let listed = client.get(&format!("/{kind}/?is_system=true")).await.json(200);
        let row = &listed["results"][0];
        assert_eq!(row["is_system"], true);
        let path = format!("/{kind}/{}/", row["id"].as_str().unwrap());
        client.get(&path).await.json(200);
        assert_eq!(
            client.patch(&path, json!({"description": "mine"})).await.json(403)["code"],
            "system_read_only"
        );
        let whole = json!({"name": "mine", "code": "return 1", "code_type": "raw"});
        let whole = if kind == "scripts" { whole } else { json!({"name": "mine", "code": "return 1"}) };
        assert_eq!(client.put(&path, whole).await.json(403)["code"], "system_read_only");
        assert_eq!(client.delete(&path).await.json(403)["code"], "system_read_only");
    }
    let taken =
        client.post("/functions/", json!({"name": "httpRequest", "code": "return 1"})).await.json(400);
    assert_eq!(taken["name"][0], "A system function has this name.");
}

#[tokio::test]
async fn a_changed_system_function_reaches_the_scripts_of_workspaces() {
    let server = Server::start().await;
    let folder = std::env::temp_dir().join(format!("fixtures-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("functions.json");
    let load = async |code: &str| {
        std::fs::write(folder.join("double.ts"), code).unwrap();
        let fields = json!({"name": "double", "code_file": "double.ts"});
        std::fs::write(&file, json!([{"model": "script_function", "fields": fields}]).to_string()).unwrap();
        fixtures::load(&server.pool, &[&file]).await.unwrap()
    };
    load("({ n }) => n * 2").await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default (i, { Functions }) => Functions.double({ n: 1 })").await;
    let changed = load("({ n }) => n + n").await;
    assert_eq!(changed.updated, 1);
    let after = client.get(&format!("/scripts/{}/", script["id"].as_str().unwrap())).await.json(200);
    assert_eq!(after["version"], 2);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_fixture_that_does_not_build_is_refused_with_its_position() {
    let server = Server::start().await;
    let folder = std::env::temp_dir().join(format!("fixtures-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("good.ts"), "({ n }) => n * 2").unwrap();
    std::fs::write(folder.join("broken.ts"), "export default async function main() {\n    const = 1;\n}\n")
        .unwrap();
    let function =
        json!([{"model": "script_function", "fields": {"name": "double", "code_file": "good.ts"}}]);
    let broken = json!([{"model": "script", "fields": {"name": "Broken", "code_file": "broken.ts", "trigger_type": "automation"}}]);
    let files = [("functions.json", function), ("scripts.json", broken)].map(|(name, rows)| {
        std::fs::write(folder.join(name), rows.to_string()).unwrap();
        folder.join(name)
    });
    let error = fixtures::load(&server.pool, &files).await.unwrap_err().to_string();
    assert!(error.contains("Broken") && error.contains("2:11"), "{error}");
    let client = server.client("demo").await;
    for kind in ["functions", "scripts"] {
        let listed = client.get(&format!("/{kind}/")).await.json(200);
        assert_eq!(listed["results"], json!([]), "nothing of it was kept");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
