//! Why a request came to nothing, in the words a script sees. They name hosts and rules, never addresses that
//! a name resolved to: those tell of the operator's network.

use super::{Denied, Hop, dns::LookupError};
use std::{error::Error, io};

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("Invalid URL: {0}")]
    Url(url::ParseError),
    #[error("Invalid URL in the redirect of {host}: {reason}")]
    Location { host: String, reason: url::ParseError },
    #[error("URL too long: over {0} bytes")]
    UrlTooLong(usize),
    #[error("Method not allowed: {0}")]
    Method(String),
    #[error("Header not allowed: {name} ({rule})")]
    Header { name: String, rule: &'static str },
    #[error("Request headers too large: over {0} bytes")]
    RequestHeaders(usize),
    #[error("Request with {0} method cannot have a body")]
    BodyOfGet(String),
    #[error("Request body is not base64")]
    BodyEncoding,
    #[error("Request body too large: over {0} bytes")]
    RequestBody(usize),
    #[error("Response headers too large: over {0} bytes")]
    ResponseHeaders(usize),
    #[error("Response too large: over {0} bytes")]
    ResponseBody(usize),
    #[error("Redirect refused: the request asks for none (redirect: \"error\")")]
    RedirectRefused,
    #[error("Too many redirects: over {0}")]
    TooManyRedirects(u32),
    #[error("Plane's client reaches Plane's API only, not {0}")]
    OutsideApi(String),
    #[error("This workspace has no Plane token: set one in the runner's settings")]
    NoToken,
    #[error("Request to {host} failed: {reason}")]
    Network { host: String, reason: Reason },
}

/// What the network did.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("name not found")]
    Name,
    #[error("name look-up timed out")]
    NameTimeout,
    #[error("connecting timed out")]
    ConnectTimeout,
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    #[error("{0}")]
    Io(io::ErrorKind),
    #[error("the response can't be decompressed")]
    Compression,
    #[error("could not connect")]
    Connect,
    #[error("the server does not speak HTTP")]
    Protocol,
    #[error("the connection ended before the response did")]
    Incomplete,
    #[error("the connection broke")]
    Broken,
}

impl Failure {
    /// Finds the cause in reqwest's chain, by type.
    pub(super) fn network(hop: &Hop, error: &reqwest::Error) -> Self {
        let host = hop.host();
        let mut reason = if error.is_decode() {
            Reason::Compression
        } else if error.is_connect() {
            if error.is_timeout() { Reason::ConnectTimeout } else { Reason::Connect }
        } else {
            Reason::Broken
        };
        // Not the error itself: it quotes the URL, which may be a secret, such as a webhook's.
        tracing::debug!(cause = ?error.source(), "request failed");
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(LookupError::Refused(class)) = error.downcast_ref() {
                return Denied::Resolved { host, class: *class }.into();
            }
            reason = reason.refined_by(error);
            // The source of an `io::Error` is that of the error inside, not the error inside.
            cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        Self::Network { host, reason }
    }
}

impl Reason {
    /// What a deeper cause makes of this.
    fn refined_by(self, cause: &(dyn Error + 'static)) -> Self {
        if let Some(lookup) = cause.downcast_ref() {
            return match lookup {
                LookupError::Timeout => Self::NameTimeout,
                LookupError::NotFound | LookupError::Refused(_) => Self::Name,
            };
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Self::Tls(tls.clone());
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            return match () {
                () if http.is_parse() => Self::Protocol,
                () if http.is_incomplete_message() => Self::Incomplete,
                // The body came through a decompressor, but it is the connection that failed.
                () if matches!(self, Self::Compression) => Self::Broken,
                () => self,
            };
        }
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            // Decompressors say what is wrong with the data by these, too; wrappers use `Other`.
            None | Some(io::ErrorKind::Other) => self,
            Some(_) if matches!(self, Self::Compression | Self::Protocol | Self::Incomplete) => self,
            Some(io::ErrorKind::UnexpectedEof) => Self::Incomplete,
            Some(kind) => Self::Io(kind),
        }
    }
}
