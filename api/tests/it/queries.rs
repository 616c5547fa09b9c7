//! Compares `.sqlx` with a migrated database, for every query. A query that `.sqlx` lacks does not compile.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use std::{fs, path::Path};
use test_support::TestDatabase;

#[tokio::test]
async fn the_committed_query_metadata_matches_the_schema() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sqlx");
    let mut queries = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let committed: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let query = committed["query"].as_str().unwrap().to_owned();
        let described = (&pool).describe(AssertSqlSafe(query.clone()).into_sql_str()).await;
        let described = described.unwrap_or_else(|error| panic!("{query}\n{error}; run `make sqlx`"));
        let described = serde_json::to_value(described).unwrap();
        assert_eq!(described, committed["describe"], "{query}\nrun `make sqlx`");
        queries += 1;
    }
    assert!(queries > 50, "the folder is not read as it should be");
}
