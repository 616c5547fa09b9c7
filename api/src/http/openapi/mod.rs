//! The `OpenAPI` document, generated from the handlers, and a page that shows it. Neither loads anything from another
//! host.

#[cfg(test)]
mod limits;
pub(super) mod responses;

use super::{
    EXTERNAL, INTERNAL, api_keys, dead_letters, environment,
    executions::{self, test_run},
    functions, health, plane_token, schedules, scripts, types,
};
use crate::model::{InUse, Invalid, Named, Problem, schemas::Diagnostic};
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Paths, SecurityRequirement, Server,
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

#[derive(OpenApi)]
#[openapi(
    info(title = "RunnerCtl", description = "Runs the scripts behind Plane's automations.
Every path is served with and without its trailing slash."),
    modifiers(&DocumentMeta),
    tags(
        (name = "Scripts", description = "Code that users write and automations run"),
        (name = "Functions", description = "Code that scripts call as `Functions.<name>({…})`"),
        (name = "Executions", description = "Runs of scripts"),
        (name = "Environment", description = "Secrets of the workspace; write-only"),
        (name = "Schedules", description = "Cron triggers of scripts"),
        (name = "API keys", description = "Keys of this interface"),
        (name = "Dead letters", description = "Messages that could not be processed"),
        (name = "Control", description = "For workers and the web app's backend"),
        (name = "Health"),
    ),
    paths(
        scripts::list, scripts::create, scripts::read, scripts::replace, scripts::change, scripts::delete, scripts::versions,
        test_run::run,
        functions::list, functions::create, functions::read, functions::replace, functions::change, functions::delete,
        executions::list, executions::create, executions::read, executions::logs, executions::follow,
        executions::cancel, executions::replay,
        environment::list, environment::read, environment::set, environment::delete, environment::changes,
        schedules::list, schedules::create, schedules::read, schedules::replace, schedules::change, schedules::delete,
        api_keys::list, api_keys::create, api_keys::read, api_keys::revoke,
        plane_token::read, plane_token::set, plane_token::delete,
        dead_letters::list, dead_letters::read, dead_letters::requeue, dead_letters::requeue_edited, dead_letters::drop_letter,
        types::read,
        health::health,
    ),
    components(schemas(Diagnostic, InUse, Invalid, Named, Problem)),
)]
struct Document;

/// Adds the parts of the document that handlers do not declare: operation ids, servers and authentication.
struct DocumentMeta;

impl Modify for DocumentMeta {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        name_operations(&mut document.paths);
        document.servers = Some(vec![Server::new(EXTERNAL), Server::new(INTERNAL)]);
        let components = document.components.get_or_insert_default();
        let header =
            |name, about| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, about)));
        components.add_security_scheme("api_key", header("X-Api-Key", "A key bound to one workspace"));
        let about =
            "For /api/runnerctl: HMAC-SHA256 over time, nonce, method, path, workspace, user and body";
        components.add_security_scheme("signature", header("X-Runner-Signature", about));
        document.security = Some(vec![
            SecurityRequirement::new("api_key", [] as [&str; 0]),
            SecurityRequirement::new("signature", [] as [&str; 0]),
        ]);
    }
}

/// Gives operations unique ids, such as `scripts_list`: handlers have short names that repeat.
fn name_operations(paths: &mut Paths) {
    for (path, item) in &mut paths.paths {
        let resource = path.split('/').nth(1).unwrap_or_default().replace('-', "_");
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
            .into_iter()
            .flatten();
        for operation in operations {
            let handler = operation.operation_id.take().unwrap_or_default();
            operation.operation_id = Some(format!("{resource}_{handler}"));
        }
    }
}

/// Returns the document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Content security policy of the page, which browsers enforce: it may load from its own host alone.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
);

/// Routes `/openapi.json` and `/docs`.
pub(super) fn router() -> Router {
    // By default the page would send the document to a validator of its authors.
    let config = Config::default().validator_url("none");
    let page: Router = SwaggerUi::new("/docs").url("/openapi.json", document()).config(config).into();
    page.layer(map_response(async |mut response: Response| {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
        response
    }))
}
