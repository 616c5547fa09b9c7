//! `/build` and `/validate`: builder over HTTP.

use super::{ServerState, error::HttpError, signed::Signed};
use axum::{Json, extract::State};
use builder::{Diagnostic, Report, Unit};
use packages::ResolvedPackages;
use serde::Serialize;
use shared::{
    execution::CodeType,
    http::fields::{Fields, ReadFields},
    limits::CODE_BYTES,
    telemetry::metrics::BUILD_DURATION,
};
use std::{sync::Arc, time::Instant};

/// Text of a script, and its code type.
#[derive(Debug)]
pub(super) struct ScriptText {
    code: String,
    code_type: CodeType,
}

impl ReadFields for ScriptText {
    fn read(fields: &mut Fields) -> Option<Self> {
        let code = code(fields, "code");
        let code_type = fields.optional("code_type");
        Some(Self { code: code?, code_type: code_type.unwrap_or(CodeType::MainFn) })
    }
}

/// Reads a required text within the size limit.
pub(super) fn code(fields: &mut Fields, name: &'static str) -> Option<String> {
    let code: String = fields.required(name)?;
    if code.len() > CODE_BYTES {
        fields.errors.add(name, format!("Must have at most {CODE_BYTES} bytes; it has {}.", code.len()));
        return None;
    }
    Some(code)
}

#[derive(Debug, Serialize)]
pub(super) struct Built {
    build: String,
    build_hash: String,
    function_names: Vec<String>,
    /// Warnings. A text with an error has no build.
    diagnostics: Vec<Diagnostic>,
}

/// Builds a script. Responds with 400 and diagnostics if the text does not build.
pub(super) async fn build(
    State(state): State<Arc<ServerState>>,
    Signed { body, .. }: Signed<ScriptText>,
) -> Result<Json<Built>, HttpError> {
    let Report { build, diagnostics } = report(&state, body).await?;
    match build {
        Some(build) => Ok(Json(Built {
            build: build.code,
            build_hash: build.hash,
            function_names: build.function_names,
            diagnostics,
        })),
        None => Err(HttpError::Code { field: "code".into(), diagnostics }),
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Validation {
    /// True if the text would build.
    valid: bool,
    diagnostics: Vec<Diagnostic>,
}

pub(super) async fn validate(
    State(state): State<Arc<ServerState>>,
    Signed { body, .. }: Signed<ScriptText>,
) -> Result<Json<Validation>, HttpError> {
    let Report { build, diagnostics } = report(&state, body).await?;
    Ok(Json(Validation { valid: build.is_some(), diagnostics }))
}

async fn report(state: &ServerState, text: ScriptText) -> Result<Report, HttpError> {
    let packages =
        ResolvedPackages::resolve(state.packages.as_ref(), &text.code).await.map_err(HttpError::internal)?;
    let build = move || timed_build(Unit::Script(text.code_type), &text.code, &packages);
    tokio::task::spawn_blocking(build).await.map_err(HttpError::internal)
}

/// Builds and records the duration. Blocking.
pub(super) fn timed_build(unit: Unit<'_>, code: &str, packages: &ResolvedPackages) -> Report {
    let started = Instant::now();
    let report = packages.build(unit, code);
    let kind = match unit {
        Unit::Script(_) => "script",
        Unit::Function { .. } => "function",
    };
    let outcome = if report.build.is_some() { "built" } else { "refused" };
    BUILD_DURATION.with([kind, outcome]).record(started.elapsed());
    report
}
