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
}

/// A scope as a type, for [`Authorized`].
pub(crate) trait Permission {
    const SCOPE: Scope;
}

#[derive(Debug)]
pub(crate) struct Read;
#[derive(Debug)]
pub(crate) struct Write;
#[derive(Debug)]
pub(crate) struct Execute;

impl Permission for Read {
    const SCOPE: Scope = Scope::Read;
}
impl Permission for Write {
    const SCOPE: Scope = Scope::Write;
}
impl Permission for Execute {
    const SCOPE: Scope = Scope::Execute;
}

/// A caller with the scope `P`.
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
        if !caller.scopes.contains(&P::SCOPE) {
            let detail = format!("The API key lacks the scope {}.", P::SCOPE.as_str());
            return Err(ApiError::forbidden("insufficient_scope", detail));
        }
        Ok(Self(caller.clone(), PhantomData))
    }
}
