//! Preparation of a claimed row: builds, secrets and input become a job for the sandbox.

use super::{
    builds::Builds,
    input::{self, Identity},
    plane_token::PlaneTokens,
};
use crate::{db::DatabaseError, lease::Claimed};
use sandbox_protocol::Job;
use shared::{
    encryption::{AssociatedData, Keyring, OpenError},
    limits::{Limits, RUN_SECRET_BYTES},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Parts with which every run of this worker is prepared.
#[derive(Debug)]
pub(crate) struct Preparation {
    pub builds: Builds,
    pub keyring: Arc<Keyring>,
    pub plane_tokens: Arc<PlaneTokens>,
    pub limits: Limits,
    /// Base URL of Plane's API, without a slash at its end.
    pub api_base_url: String,
}

/// Run that is ready for a sandbox.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub job: Job,
    pub allowed_domains: Vec<String>,
    pub plane_token: Option<String>,
}

/// Reason why an execution can't be given to a sandbox.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A second try would change nothing.
    #[error("{0}")]
    Corrupt(#[from] Corrupt),
}

/// Fault of a stored execution.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Corrupt {
    #[error("the build {0} is gone")]
    BuildMissing(String),
    #[error("{what} can't be decrypted: {error}")]
    Sealed { what: String, error: OpenError },
    #[error("{what} can't be read as JSON: {error}")]
    Malformed { what: &'static str, error: serde_json::Error },
    /// The environment was stored before the limit existed.
    #[error(
        "the values of the workspace's environment, the script's env and the execution's env have {0} bytes together; \
         {RUN_SECRET_BYTES} are allowed"
    )]
    TooManySecrets(usize),
}

impl Preparation {
    /// Fetches the builds, opens the secrets and puts the input together.
    pub(crate) async fn prepare(&self, claimed: &Claimed) -> Result<Prepared, PrepareError> {
        let pinned = claimed.functions.iter().map(|function| function.build_hash.as_str());
        let hashes: BTreeSet<&str> = pinned.chain([claimed.build_hash.as_str()]).collect();
        let (builds, plane_token) =
            tokio::join!(self.builds.get(hashes), self.plane_tokens.get(&claimed.workspace_slug));
        let builds = builds?;
        let code = |hash: &str| {
            builds.get(hash).map(ToString::to_string).ok_or_else(|| Corrupt::BuildMissing(hash.to_owned()))
        };
        let functions = claimed
            .functions
            .iter()
            .map(|function| Ok((function.name.clone(), code(&function.build_hash)?)))
            .collect::<Result<_, Corrupt>>()?;
        let identity = Identity {
            execution_id: claimed.attempt.execution_id,
            script_id: claimed.script_id,
            attempt: claimed.attempt.number,
            trigger_type: claimed.trigger_type,
        };
        let input = input::compose(&claimed.event, &claimed.context, &claimed.variables, &identity)
            .map_err(|error| Corrupt::Malformed { what: "context or variables", error })?;
        let job = Job {
            execution_id: claimed.attempt.execution_id,
            build: code(&claimed.build_hash)?,
            functions,
            input,
            variables: claimed.variables.clone(),
            env: self.open_env(claimed)?,
            workspace_slug: claimed.workspace_slug.clone(),
            api_base_url: self.api_base_url.clone(),
            limits: self.limits,
        };
        Ok(Prepared { job, allowed_domains: claimed.allowed_domains.clone(), plane_token })
    }

    /// The workspace's values, then the script's, then those that came with the execution: the later win.
    fn open_env(&self, claimed: &Claimed) -> Result<BTreeMap<String, String>, Corrupt> {
        let mut env = BTreeMap::new();
        for variable in &claimed.workspace_env {
            let context = AssociatedData::environment(claimed.workspace_id, &variable.key);
            let what = || format!("the environment variable {}", variable.key);
            let value = self
                .keyring
                .open(&variable.value, &context)
                .map_err(|error| Corrupt::Sealed { what: what(), error })?;
            env.insert(variable.key.clone(), String::from_utf8_lossy(&value).into_owned());
        }
        if let (Some(sealed), Some(script_id)) = (&claimed.script_env, claimed.script_id) {
            env.extend(self.open_object(
                "the script's env",
                sealed,
                &AssociatedData::script_env(script_id),
            )?);
        }
        if let Some(sealed) = &claimed.execution_env {
            let context = AssociatedData::execution_env(claimed.attempt.execution_id);
            env.extend(self.open_object("the execution's env", sealed, &context)?);
        }
        match env.values().map(String::len).sum() {
            0..=RUN_SECRET_BYTES => Ok(env),
            bytes => Err(Corrupt::TooManySecrets(bytes)),
        }
    }

    fn open_object(
        &self,
        what: &'static str,
        sealed: &[u8],
        context: &AssociatedData,
    ) -> Result<BTreeMap<String, String>, Corrupt> {
        let opened = self
            .keyring
            .open(sealed, context)
            .map_err(|error| Corrupt::Sealed { what: what.to_owned(), error })?;
        // The JSON error of a secret could quote it; its position is enough.
        serde_json::from_slice(&opened)
            .map_err(|error| Corrupt::Malformed { what, error: without_text(&error) })
    }
}

fn without_text(error: &serde_json::Error) -> serde_json::Error {
    serde::de::Error::custom(format!("line {}, column {}", error.line(), error.column()))
}
