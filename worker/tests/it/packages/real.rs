//! Published packages, from the registry that npm uses on this machine. If the registry is unreachable, the test logs so and
//! ends.

use super::{NO_PLANE, findings, packages, result};
use crate::endpoints::Endpoints;
use serde_json::json;
use shared::limits::Limits;
use std::{process::Command, time::Duration};

/// Returns the registry's address, if it responds.
async fn registry() -> Option<String> {
    let output = Command::new("npm").args(["config", "get", "registry"]).output().unwrap();
    let address = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let client = reqwest::Client::new();
    match client.get(&address).timeout(Duration::from_secs(5)).send().await {
        Ok(_) => Some(address),
        Err(error) => {
            eprintln!("skipped: the registry can't be reached from here: {error}");
            None
        }
    }
}

#[tokio::test]
async fn real_packages_run_and_one_that_needs_node_is_refused() {
    let Some(registry) = registry().await else { return };
    let endpoints =
        Endpoints::with_packages(NO_PLANE, Limits::default(), Some(packages(&registry, ""))).await;
    let code = "import _ from 'lodash@4';
import { addDays, formatISO } from 'date-fns@4';
import { z } from 'zod@4';

const Item = z.object({ name: z.string(), points: z.number().default(1) });
type Item = z.infer<typeof Item>;

export async function main() {
    const items: Item[] = [{ name: 'a', points: 3 }, { name: 'b' }, { name: 'c', points: 3 }].map((item) => Item.parse(item));
    const day = formatISO(addDays(new Date(Date.UTC(2024, 1, 28)), 2), { representation: 'date' });
    return { groups: _.mapValues(_.groupBy(items, 'points'), (list) => _.map(list, 'name')), day,
        wrong: Item.safeParse({ name: 1 }).success };
}";
    let expected = json!({ "groups": { "1": ["b"], "3": ["a", "c"] }, "day": "2024-03-01", "wrong": false });
    assert_eq!(result(&endpoints, code).await, expected);
    let code = "import glob from 'fast-glob@3.3.2';\nexport const main = () => glob('**');";
    let found = findings(&endpoints, code).await;
    assert!(
        found[0].starts_with("1:18-35 package `") && found[0].contains("the Node.js module"),
        "{found:?}"
    );
}
