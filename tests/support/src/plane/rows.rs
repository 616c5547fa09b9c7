//! Rows of the fake Plane, and the paths that read and write them.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Collections of Plane, by the last part of their path.
const COLLECTIONS: [&str; 6] = ["projects", "work-items", "states", "labels", "comments", "links"];
const RELATION_TYPES: [&str; 4] = ["blocking", "blocked_by", "duplicate", "relates_to"];

#[derive(Default)]
pub(super) struct Rows {
    page_size: usize,
    collections: BTreeMap<String, Vec<Value>>,
    /// Responses that are not lists of rows.
    fixed: BTreeMap<String, Value>,
}

impl Rows {
    pub(super) fn paged_by(page_size: usize) -> Self {
        Self { page_size, ..Self::default() }
    }

    pub(super) fn insert(&mut self, collection: &str, mut row: Value) -> &Value {
        let rows = self.collections.entry(collection.to_owned()).or_default();
        let fields = row.as_object_mut().expect("rows are objects");
        fields.entry("id").or_insert_with(|| Uuid::now_v7().to_string().into());
        if collection.ends_with("work-items") {
            fields.entry("sequence_id").or_insert_with(|| (rows.len() + 1).into());
            fields.entry("labels").or_insert_with(|| json!([]));
            fields.entry("assignees").or_insert_with(|| json!([]));
        }
        rows.push(row);
        &rows[rows.len() - 1]
    }

    pub(super) fn set(&mut self, path: &str, answer: Value) {
        self.fixed.insert(path.to_owned(), answer);
    }

    pub(super) fn all(&self, collection: &str) -> &[Value] {
        self.collections.get(collection).map_or(&[], Vec::as_slice)
    }

    pub(super) fn find(&self, collection: &str, id: &str) -> Option<&Value> {
        self.all(collection).iter().find(|row| row["id"] == id)
    }

    /// Returns status and body, or `None` for 404.
    pub(super) fn answer(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        body: Value,
    ) -> Option<(u16, Value)> {
        if let Some(fixed) = self.fixed.get(path).filter(|_| method == "GET") {
            return Some((200, fixed.clone()));
        }
        if let Some(item) = path.strip_suffix("/relations") {
            return self.relations(method, item, &body);
        }
        if path.ends_with("/dependencies") && method == "GET" {
            let none: Map<_, _> = RELATION_TYPES.iter().map(|&kind| (kind.to_owned(), json!([]))).collect();
            return Some((200, none.into()));
        }
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        if COLLECTIONS.contains(&last) {
            return match method {
                "GET" => Some((200, self.page(path, query))),
                "POST" => Some((201, self.insert(path, body).clone())),
                _ => None,
            };
        }
        let row = self.collections.get_mut(parent)?.iter_mut().find(|row| row["id"] == last)?;
        match method {
            "GET" => {
                let row = row.clone();
                Some((200, self.expanded(parent, row, query)))
            }
            "PATCH" => {
                let changes = body.as_object()?.clone();
                row.as_object_mut()?.extend(changes);
                Some((200, row.clone()))
            }
            "DELETE" => {
                self.collections.get_mut(parent)?.retain(|row| row["id"] != last);
                Some((204, Value::Null))
            }
            _ => None,
        }
    }

    /// Makes a page in Plane's envelope. A cursor is `size:page:0`.
    fn page(&self, collection: &str, query: &str) -> Value {
        let asked = parameter(query, "per_page").and_then(|text| text.parse().ok()).unwrap_or(self.page_size);
        let size = asked.min(self.page_size);
        let cursor = parameter(query, "cursor").unwrap_or_default();
        let page: usize = cursor.split(':').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        let rows = self.all(collection);
        let results = rows.iter().skip(page * size).take(size);
        let results: Vec<_> = results.map(|row| self.expanded(collection, row.clone(), query)).collect();
        json!({
            "total_count": rows.len(),
            "total_results": rows.len(),
            "total_pages": rows.len().div_ceil(size),
            "count": results.len(),
            "next_cursor": format!("{size}:{}:0", page + 1),
            "prev_cursor": format!("{size}:{}:1", page.saturating_sub(1)),
            "next_page_results": (page + 1) * size < rows.len(),
            "prev_page_results": page > 0,
            "results": results,
        })
    }

    /// Replaces ids with rows, as requested by `?expand=state,assignees`.
    fn expanded(&self, collection: &str, mut row: Value, query: &str) -> Value {
        let Some(project) = collection.strip_suffix("/work-items") else { return row };
        let expand = parameter(query, "expand").unwrap_or_default();
        for field in expand.split(',').filter(|field| !field.is_empty()) {
            let found = |id: &Value| match field {
                "state" => self.find(&format!("{project}/states"), id.as_str()?).cloned(),
                "labels" => self.find(&format!("{project}/labels"), id.as_str()?).cloned(),
                "assignees" => self.member(project, id.as_str()?),
                _ => None,
            };
            row[field] = match &row[field] {
                _ if field == "project" => {
                    let id = project.rsplit('/').next().unwrap_or_default();
                    self.find("projects", id).cloned().unwrap_or_default()
                }
                Value::Array(ids) => ids.iter().filter_map(found).collect(),
                id => found(id).unwrap_or_default(),
            };
        }
        row
    }

    fn member(&self, project: &str, id: &str) -> Option<Value> {
        let members = self.fixed.get(&format!("{project}/project-members"))?.as_array()?;
        members.iter().find(|member| member["id"] == id).cloned()
    }

    fn relations(&mut self, method: &str, item: &str, body: &Value) -> Option<(u16, Value)> {
        let collection = format!("{item}/relations");
        if method == "POST" {
            let kind = body["relation_type"].clone();
            for related in body["issues"].as_array()? {
                let row = json!({ "relation_type": kind, "related": related });
                self.insert(&collection, row);
            }
            return Some((201, json!([])));
        }
        let of_kind = |kind: &str| -> Vec<Value> {
            let rows = self.all(&collection).iter().filter(|row| row["relation_type"] == kind);
            rows.map(|row| row["related"].clone()).collect()
        };
        let grouped: Map<_, _> =
            RELATION_TYPES.iter().map(|&kind| (kind.to_owned(), of_kind(kind).into())).collect();
        Some((200, grouped.into()))
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
