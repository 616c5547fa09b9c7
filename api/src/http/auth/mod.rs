//! Authentication of callers: their workspace and their scopes.
//!
//! Invariant: a handler gets a [`Caller`] only through [`Authorized`]. So no route is reached without its scope, and
//! every query of a handler is bound to the caller's workspace.

pub(crate) mod api_key;
pub(crate) mod rate_limit;
pub(crate) mod signature;

use super::prefix::{EXTERNAL, INTERNAL};
use crate::model::{api_key::Scope, error::ApiError};
use axum::{
    extract::FromRequestParts,
    http::{HeaderName, header, request::Parts},
};
use shared::http::BodyOwner;
use std::{marker::PhantomData, ops::Deref, sync::Arc};
use uuid::Uuid;

/// The sender of an authenticated request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub workspace_id: Uuid,
    pub workspace_slug: Arc<str>,
    /// Recorded author of a change: a user id, or the prefix of an API key.
    pub actor: Option<Arc<str>>,
    pub scopes: Vec<Scope>,
    /// True if the request was signed, and so comes from the web app's backend or a worker.
    pub is_signed: bool,
}

impl Caller {
    /// Returns the `Location` of a row, under the prefix that this caller uses.
    pub(crate) fn location(&self, resource: &str, id: Uuid) -> (HeaderName, String) {
        let prefix = if self.is_signed { INTERNAL } else { EXTERNAL };
        (header::LOCATION, format!("{prefix}/{resource}/{id}/"))
    }

    /// Returns the owner of this caller's bodies in the budget.
    pub(crate) const fn body_owner(&self) -> BodyOwner {
        BodyOwner::Workspace(self.workspace_id)
    }
}

/// A permission as a type, for [`Authorized`].
pub(crate) trait Permission {
    /// Sets of scopes, each of which is enough.
    const SETS: &'static [&'static [Scope]];
}

#[derive(Debug)]
pub(crate) struct Read;
#[derive(Debug)]
pub(crate) struct Write;
#[derive(Debug)]
pub(crate) struct Execute;
/// Permission to decide when a script runs, or with which event, and so with the secrets of the workspace.
#[derive(Debug)]
pub(crate) struct WriteAndExecute;
/// Permission to run code of one's own, which reads the secrets of the workspace. A caller that may change scripts and
/// run them has it as well.
#[derive(Debug)]
pub(crate) struct RunOwnCode;

impl Permission for Read {
    const SETS: &'static [&'static [Scope]] = &[&[Scope::Read]];
}
impl Permission for Write {
    const SETS: &'static [&'static [Scope]] = &[&[Scope::Write]];
}
impl Permission for Execute {
    const SETS: &'static [&'static [Scope]] = &[&[Scope::Execute]];
}
impl Permission for WriteAndExecute {
    const SETS: &'static [&'static [Scope]] = &[&[Scope::Write, Scope::Execute]];
}
impl Permission for RunOwnCode {
    const SETS: &'static [&'static [Scope]] =
        &[&[Scope::Execute, Scope::Secrets], &[Scope::Execute, Scope::Write]];
}

/// Returns the scopes that a caller lacks of the first set, or `None` if it has a whole set.
fn missing<P: Permission>(held: &[Scope]) -> Option<Vec<&'static str>> {
    let lacks = |set: &&[Scope]| -> Vec<&'static str> {
        set.iter().filter(|scope| !held.contains(scope)).map(|scope| scope.as_str()).collect()
    };
    let mut lacking = P::SETS.iter().map(lacks);
    let first = lacking.next().filter(|lacking| !lacking.is_empty())?;
    if lacking.any(|lacking| lacking.is_empty()) { None } else { Some(first) }
}

/// A caller with the permission `P`.
#[derive(Debug)]
pub(crate) struct Authorized<P>(pub Caller, PhantomData<P>);

impl<P> Deref for Authorized<P> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<S: Sync, P: Permission> FromRequestParts<S> for Authorized<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts
            .extensions
            .get::<Caller>()
            .ok_or_else(|| ApiError::unauthorized("not_authenticated", "Authentication required."))?;
        if let Some(missing) = missing::<P>(&caller.scopes) {
            let scopes = if missing.len() == 1 { "scope" } else { "scopes" };
            let detail = format!("The API key lacks the {scopes} {}.", missing.join(" and "));
            return Err(ApiError::forbidden("insufficient_scope", detail));
        }
        Ok(Self(caller.clone(), PhantomData))
    }
}
