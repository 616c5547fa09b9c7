//! `GET /types/`, checked by the real TypeScript compiler.

use crate::{client::Client, server::Server};
use api::testing::cli::fixtures;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use test_support::node_modules;

/// A folder with the answer as `types.d.ts`; deleted on drop.
struct Editor {
    folder: PathBuf,
    compiler: PathBuf,
}

impl Editor {
    fn new(types: &str) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/typescript");
        let modules = node_modules(&package, Path::new(env!("CARGO_TARGET_TMPDIR")));
        let folder = std::env::temp_dir().join(format!("types-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("types.d.ts"), types).unwrap();
        Self { folder, compiler: modules.join("typescript/bin/tsc") }
    }

    /// Returns the compiler's errors in the declarations and these files: `file(line,column): error TS…`.
    fn complaints(&self, files: &[PathBuf], options: &[&str]) -> Vec<String> {
        // The files are beside the declarations, and outside any folder whose `node_modules` have types.
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap()).collect();
        for (file, name) in files.iter().zip(&names) {
            fs::copy(file, self.folder.join(name)).unwrap();
        }
        let output = Command::new("node")
            .arg(&self.compiler)
            .args(["--noEmit", "--pretty", "false", "--target", "esnext", "--lib", "esnext"])
            .args(["--module", "esnext", "--moduleDetection", "force"])
            .args(options)
            .arg("types.d.ts")
            .args(&names)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let complaints: Vec<String> =
            text.lines().filter(|line| line.contains("error TS")).map(str::to_owned).collect();
        assert_eq!(output.status.success(), complaints.is_empty(), "{text}");
        complaints
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sample(name: &str) -> PathBuf {
    package().join("tests/it/types").join(name)
}

fn files_of(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(package().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "ts")).collect()
}

/// Creates a workspace with the system's functions, and two of its own.
async fn workspace(server: &Server) -> Client {
    let fixtures = package().join("../fixtures");
    fixtures::load(&server.pool, &[fixtures.join("system_functions.json")]).await.unwrap();
    let client = server.client("demo").await;
    let double = json!({
        "name": "double",
        "code": "return n * 2",
        "parameters": [{ "name": "n", "type": "number", "required": true, "description": "Any */ number." }],
        "return_type": "number",
    });
    client.post("/functions/", double).await.json(201);
    let odd = json!({
        "name": "odd",
        "code": "return 1",
        "parameters": [{ "name": "what", "type": "a } text {" }],
        "return_type": "whatever it finds",
    });
    client.post("/functions/", odd).await.json(201);
    client
}

async fn editor(server: &Server) -> Editor {
    let answer = workspace(server).await.get("/types/").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/typescript"));
    Editor::new(&answer.text)
}

#[tokio::test]
async fn a_script_type_checks_against_the_answer() {
    let editor = editor(&Server::start().await).await;
    assert_eq!(editor.complaints(&[sample("sample.ts")], &["--strict"]), [""; 0]);
}

#[tokio::test]
async fn type_errors_are_found_at_their_lines() {
    let editor = editor(&Server::start().await).await;
    let text = fs::read_to_string(sample("wrong.ts")).unwrap();
    let expected: Vec<String> = (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| Some((line, text.split_once("// TS")?.1)))
        .map(|(line, code)| format!("wrong.ts({line}: error TS{code}"))
        .collect();
    let found: Vec<String> = editor
        .complaints(&[sample("wrong.ts")], &["--strict"])
        .iter()
        .map(|complaint| {
            let (place, rest) = complaint.split_once(',').unwrap();
            let code = rest.split_once("error ").unwrap().1.split_once(':').unwrap().0;
            format!("{place}: error {code}")
        })
        .collect();
    assert_eq!(found, expected);
}

/// Published scripts are not strictly typed. Every name that they use is declared all the same, and so is every
/// function with its parameters. `list.results || list` is the only expression that the SDK's own types lack.
#[tokio::test]
async fn every_name_that_published_scripts_use_is_declared() {
    let editor = editor(&Server::start().await).await;
    for file in files_of("../tests/examples") {
        let complaints = editor.complaints(&[file], &[]);
        let unexpected: Vec<_> = complaints
            .iter()
            .filter(|complaint| !complaint.contains("PaginatedResponse<State> | State[]"))
            .collect();
        assert_eq!(unexpected, [""; 0]);
    }
}

/// System scripts are plain code over the API's JSON. The names that they use must exist.
#[tokio::test]
async fn every_name_that_system_scripts_use_is_declared() {
    const UNKNOWN_NAME: [&str; 4] = ["TS2304", "TS2552", "TS2580", "TS2584"];
    let editor = editor(&Server::start().await).await;
    let files: Vec<PathBuf> =
        ["../fixtures/scripts", "../fixtures/functions"].into_iter().flat_map(files_of).collect();
    assert_eq!(files.len(), 35);
    let complaints = editor.complaints(&files, &[]);
    let unknown: Vec<_> = complaints
        .iter()
        .filter(|line| {
            UNKNOWN_NAME.iter().any(|code| line.contains(code)) || line.contains("WorkspaceFunctions")
        })
        .collect();
    assert_eq!(unknown, [""; 0]);
}

#[tokio::test]
async fn types_follow_every_change_of_a_function() {
    let server = Server::start().await;
    let (client, other) = (server.client("demo").await, server.client("other").await);
    let types = async || {
        let answer = client.get("/types/").await;
        (answer.header("etag").to_owned(), answer.text)
    };
    let empty = types().await;
    assert_eq!(types().await, empty);
    let function = client.post("/functions/", json!({"name": "greet", "code": "return 1"})).await.json(201);
    let created = types().await;
    assert!(
        created.0 != empty.0 && created.1.contains("    greet(args?: {}): Promise<any>;\n"),
        "{}",
        created.0
    );
    let path = format!("/functions/{}/", function["id"].as_str().unwrap());
    client.patch(&path, json!({"return_type": "number"})).await.json(200);
    let changed = types().await;
    assert!(changed.0 != created.0 && changed.1.contains("    greet(args?: {}): Promise<number>;\n"));
    assert_eq!(types().await, changed);
    let unchanged = client.request(reqwest::Method::GET, "/types/").header("if-none-match", &changed.0);
    assert_eq!(crate::client::send(unchanged).await.status, 304);
    assert_eq!(other.get("/types/").await.text, empty.1);
    client.delete(&path).await.json(204);
    assert_eq!(types().await, empty);
}
