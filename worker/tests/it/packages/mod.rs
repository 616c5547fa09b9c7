//! npm packages in scripts, from the import to the run, against a registry of the tests.

mod real;

use crate::endpoints::Endpoints;
use packages::{Packages, PackagesConfig};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::{config::EnvReader, limits::Limits};
use tar::EntryType;
use test_support::{Registry, archive};

/// Address at which no server listens.
const NO_PLANE: &str = "http://127.0.0.1:9";

fn packages(registry: &str, allowed: &str) -> Packages {
    let platform = match std::env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    };
    let esbuild = format!("{}/node_modules/@esbuild/{platform}/bin/esbuild", sandbox::RUNTIME_MODULES);
    let variables = [
        ("SCRIPT_NPM", "1"),
        ("NPM_REGISTRY_URL", registry),
        ("SCRIPT_NPM_ALLOW", allowed),
        ("ESBUILD_PATH", &esbuild),
    ];
    let mut environment: EnvReader = variables.into_iter().collect();
    let config = PackagesConfig::read(&mut environment).expect("packages are on");
    Packages::new(config).unwrap()
}

async fn endpoints(registry: &Registry) -> Endpoints {
    Endpoints::with_packages(NO_PLANE, Limits::default(), Some(packages(&registry.url(), ""))).await
}

/// Returns the result of a script that must complete.
async fn result(endpoints: &Endpoints, code: &str) -> Value {
    let (status, answer) = endpoints.post("/execute-sync", &json!({ "code": code, "input": {} })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["status"], "completed", "{answer}");
    answer["result"].clone()
}

/// Returns `line:column-end rule message` of every finding of a script that must not build.
async fn findings(endpoints: &Endpoints, code: &str) -> Vec<String> {
    let (status, answer) = endpoints.post("/validate", &json!({ "code": code })).await;
    assert_eq!((status, &answer["valid"]), (StatusCode::OK, &json!(false)), "{answer}");
    let shown = |found: &Value| {
        let number = |field: &str| found[field].as_u64().unwrap();
        let (rule, message) = (found["rule"].as_str().unwrap(), found["message"].as_str().unwrap());
        format!("{}:{}-{} {rule} {message}", number("line"), number("column"), number("end_column"))
    };
    answer["diagnostics"].as_array().unwrap().iter().map(shown).collect()
}

#[tokio::test]
async fn a_script_uses_packages_of_every_kind() {
    let registry = Registry::start().await;
    let common = "exports.twice = (n) => n * 2; exports.unused = 'not needed';";
    registry.publish("common", "1.2.3", &[("index.js", common)], json!({}));
    let esm = [
        (
            "package.json",
            r#"{"type":"module","exports":{".":"./main.js","./part":"./part.js"},"sideEffects":false}"#,
        ),
        (
            "main.js",
            "export default class Box { constructor(v) { this.v = v } }\nexport const unused = 'shaken off';",
        ),
        ("part.js", "import { twice } from 'common';\nexport const four = (n) => twice(twice(n));"),
    ];
    registry.publish("@scope/esm", "2.0.0", &esm, json!({ "dependencies": { "common": "^1.0.0" } }));
    let endpoints = endpoints(&registry).await;
    let code = "import Box from '@scope/esm';
import { four as fourTimes, type Unknown } from '@scope/esm/part';
import * as common from 'common@1.2.3';
import type { Nothing } from 'does-not-exist';

export async function main(input: Nothing): Promise<Unknown> {
    return { box: new Box(fourTimes(1)).v, two: common.twice(1), keys: Object.keys(common) };
}";
    let expected = json!({ "box": 4, "two": 2, "keys": ["default", "twice", "unused"] });
    assert_eq!(result(&endpoints, code).await, expected);

    let (_, built) = endpoints.post("/build", &json!({ "code": code })).await;
    let build = built["build"].as_str().unwrap();
    assert!(build.contains("common@1.2.3 sha512-") && build.contains("@scope/esm@2.0.0 sha512-"), "{build}");
    assert!(!build.contains("shaken off"), "{build}");
    assert!(!registry.requests().contains(&"does-not-exist".to_owned()), "types need no package");
    let (_, again) = endpoints.post("/build", &json!({ "code": code })).await;
    assert_eq!(built["build_hash"], again["build_hash"]);
}

#[tokio::test]
async fn error_positions_are_the_authors_despite_bundled_packages() {
    let registry = Registry::start().await;
    registry.publish(
        "thrower",
        "1.0.0",
        &[("index.js", "module.exports = () => { throw new Error('no') };")],
        json!({}),
    );
    let endpoints = endpoints(&registry).await;
    let code = "import fail from 'thrower';\n\nexport function main() {\n    return fail();\n}";
    let (_, answer) = endpoints.post("/execute-sync", &json!({ "code": code, "input": {} })).await;
    assert_eq!(answer["error"]["message"], "no", "{answer}");
    assert_eq!((&answer["error"]["line"], &answer["error"]["column"]), (&json!(4), &json!(12)), "{answer}");
}

#[tokio::test]
async fn two_versions_of_one_package_stand_side_by_side() {
    let registry = Registry::start().await;
    for version in ["1.0.0", "2.0.0"] {
        let text = format!("module.exports = '{version}';");
        registry.publish("base", version, &[("index.js", &text)], json!({}));
    }
    let reexport = [("index.js", "module.exports = require('base');")];
    registry.publish("old", "1.0.0", &reexport, json!({ "dependencies": { "base": "~1.0.0" } }));
    registry.publish("new", "1.0.0", &reexport, json!({ "peerDependencies": { "base": ">=2" } }));
    let endpoints = endpoints(&registry).await;
    let code = "import a from 'new'; import b from 'old'; import c from 'base@1';
        export const main = () => [a, b, c];";
    assert_eq!(result(&endpoints, code).await, json!(["2.0.0", "1.0.0", "1.0.0"]));
    assert_eq!(
        findings(
            &endpoints,
            "import a from 'base';\nimport b from 'base@1';\nexport const main = () => [a, b];"
        )
        .await,
        ["2:15-23 package `base` is imported in two versions; one has to do."]
    );
}

#[tokio::test]
async fn a_package_that_needs_node_is_refused_by_module_name() {
    let registry = Registry::start().await;
    let reader = "const fs = require('node:fs/promises'); exports.read = (p) => fs.readFile(p);";
    registry.publish(
        "reader",
        "1.0.0",
        &[("lib/index.js", reader), ("package.json", r#"{"main":"lib"}"#)],
        json!({}),
    );
    registry.publish("fine", "1.0.0", &[("index.js", "exports.one = 1;")], json!({}));
    let either = [
        ("package.json", r#"{"main":"node.js","browser":{"./node.js":"./web.js","crypto":false}}"#),
        ("node.js", "module.exports = require('fs');"),
        ("web.js", "const crypto = require('crypto'); module.exports = Object.keys(crypto).length;"),
    ];
    registry.publish("either", "1.0.0", &either, json!({}));
    registry.publish("events", "3.0.0", &[("index.js", "exports.own = true;")], json!({}));
    registry.publish(
        "emitter",
        "1.0.0",
        &[("index.js", "module.exports = require('events').own;")],
        json!({ "dependencies": { "events": "^3" } }),
    );
    let endpoints = endpoints(&registry).await;
    let code =
        "import { one } from 'fine';\nimport { read } from 'reader';\nexport const main = () => read(one);";
    assert_eq!(
        findings(&endpoints, code).await,
        ["2:22-30 package `reader` needs the Node.js module `fs`, which is not available in scripts."]
    );
    let code = "import web from 'either'; import own from 'emitter'; export const main = () => [web, own];";
    assert_eq!(result(&endpoints, code).await, json!([0, true]));
}

#[tokio::test]
async fn an_archive_that_differs_from_its_metadata_is_refused() {
    let registry = Registry::start().await;
    let file = |path: &str, kind, text: &str| (path.to_owned(), kind, text.to_owned());
    let plain = archive(&[file("package/index.js", EntryType::Regular, "module.exports = 1;")]);
    let wrong = format!("sha512-{}==", "A".repeat(86));
    registry.publish_archive("swapped", "1.0.0", plain.clone(), &wrong, json!({}));
    registry.publish_archive("weak", "1.0.0", plain, "sha1-AAAA", json!({}));
    let publish = |name: &str, entries: &[(String, EntryType, String)]| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        use sha2::{Digest, Sha512};
        let archive = archive(entries);
        let integrity = format!("sha512-{}", STANDARD.encode(Sha512::digest(&archive)));
        registry.publish_archive(name, "1.0.0", archive, &integrity, json!({}));
    };
    publish("climber", &[file("package/../../climbed.js", EntryType::Regular, "1")]);
    publish("linker", &[file("package/index.js", EntryType::Symlink, "")]);
    registry.publish("broken", "1.0.0", &[("index.js", "this is no JavaScript")], json!({}));
    registry.publish(
        "misses",
        "1.0.0",
        &[("index.mjs", "export const a = 1;"), ("package.json", r#"{"main":"index.mjs"}"#)],
        json!({}),
    );
    registry.publish(
        "outsider",
        "1.0.0",
        &[("index.js", "module.exports = require('/proc/self/status');")],
        json!({}),
    );
    registry.publish(
        "large",
        "1.0.0",
        &[("index.js", &format!("module.exports = '{}';", "x".repeat(packages::MAX_BUNDLE_BYTES)))],
        json!({}),
    );
    let endpoints = endpoints(&registry).await;
    for (name, expected) in [
        ("swapped", "The archive of `swapped@1.0.0` is not the one that the registry's metadata names."),
        ("weak", "The registry has no SHA-512 of `weak@1.0.0`, without which it is not used."),
        ("climber", "`climber@1.0.0`: the archive has a path outside of its folder"),
        ("linker", "`linker@1.0.0`: the archive has a link or a device; only files are allowed"),
        ("broken", "The packages can't be bundled: "),
        ("misses", "The packages can't be bundled: "),
        ("outsider", "The packages can't be bundled: "),
        ("large", "The bundle is 209"),
        ("absent", "There is no package `absent`."),
        ("broken@7", "`broken` has no version that fits `7`."),
        ("Not A Name", "`Not A Name` is not the name of a package."),
    ] {
        let code = format!("import {{ b }} from '{name}';\nexport const main = () => b;");
        let found = findings(&endpoints, &code).await;
        let start = format!("1:19-{} package {expected}", 21 + name.len());
        assert!(found.len() == 1 && found[0].starts_with(&start), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn install_scripts_are_never_run() {
    let registry = Registry::start().await;
    let mark = std::env::temp_dir().join(format!("npm-ran-{}", uuid::Uuid::now_v7()));
    let package = json!({ "scripts": { "preinstall": format!("touch {}", mark.display()),
        "postinstall": format!("touch {}", mark.display()) } });
    registry.publish(
        "active",
        "1.0.0",
        &[("package.json", &package.to_string()), ("index.js", "exports.x = 1;")],
        json!({ "hasInstallScript": true }),
    );
    let endpoints = endpoints(&registry).await;
    assert_eq!(
        result(&endpoints, "import { x } from 'active'; export const main = () => x;").await,
        json!(1)
    );
    assert!(!mark.exists());
}

#[tokio::test]
async fn only_packages_on_the_list_may_be_named() {
    let registry = Registry::start().await;
    registry.publish("inner", "1.0.0", &[("index.js", "module.exports = 1;")], json!({}));
    let reexport = [("index.js", "module.exports = require('inner');")];
    registry.publish("@ours/outer", "1.0.0", &reexport, json!({ "dependencies": { "inner": "*" } }));
    let packages = packages(&registry.url(), "lodash, @ours/*");
    let endpoints = Endpoints::with_packages(NO_PLANE, Limits::default(), Some(packages)).await;
    assert_eq!(
        result(&endpoints, "import x from '@ours/outer'; export const main = () => x;").await,
        json!(1)
    );
    assert_eq!(
        findings(&endpoints, "import x from 'inner'; export const main = () => x;").await,
        ["1:15-22 package The package `inner` is not among those that may be used here: lodash, @ours/*."]
    );
}

#[tokio::test]
async fn with_packages_disabled_an_import_is_a_finding() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let found = findings(&endpoints, "import x from 'lodash'; export const main = () => x;").await;
    assert!(found[0].starts_with("1:15-23 module-system "), "{found:?}");
}

#[tokio::test]
async fn an_unreachable_registry_is_reported_as_a_finding() {
    let packages = packages("http://127.0.0.1:9", "");
    let endpoints = Endpoints::with_packages(NO_PLANE, Limits::default(), Some(packages)).await;
    assert_eq!(
        findings(&endpoints, "import x from 'lodash'; export const main = () => x;").await,
        ["1:15-23 package The registry did not answer for `lodash`; try again later."]
    );
}
