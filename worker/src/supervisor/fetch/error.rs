//! Reasons why a request failed, in the words that a script reads. They name hosts and rules, never addresses that
//! a name resolved to: those tell of the operator's network.

use super::{Denied, Hop, dns::LookupError};
use crate::outbound::{ClientError, ConnectTimeout, FLOOD_KIND, Flood, HEAD_BYTES, HEAD_LINES};
use std::{error::Error, io};

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("Invalid URL: {0}")]
    Url(url::ParseError),
    #[error("Invalid URL in the redirect of {host}: {reason}")]
    Location { host: String, reason: url::ParseError },
    #[error("Invalid URL for {0}: it holds characters that a request can't")]
    Uri(String),
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
    #[error("Request body too large: over {0} bytes")]
    RequestBody(usize),
    #[error("Response headers too large: over {HEAD_BYTES} bytes or {HEAD_LINES} lines")]
    ResponseHeaders,
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
    /// A script must not learn which internal names exist: a name without a permitted address is not found.
    #[error("Request to {host} failed: {}", Reason::Name)]
    Resolved { host: String },
    #[error("Request to {host} failed: {reason}")]
    Network { host: String, reason: Reason },
}

/// Reasons of the network for which a request fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("name not found, or none of its addresses may be reached")]
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
    #[error("{Flood}")]
    Flood,
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
    /// Finds the cause in the error's chain, by type.
    pub(super) fn network(hop: &Hop, error: &ClientError) -> Self {
        let host = hop.host();
        let mut reason = match error {
            ClientError::Flood(_) => Reason::Flood,
            ClientError::Compression(_) => return Self::Network { host, reason: Reason::Compression },
            ClientError::Request(error) if error.is_connect() => Reason::Connect,
            _ => Reason::Broken,
        };
        // Not the error itself: it quotes the URL, which may be a secret, such as a webhook's.
        tracing::debug!(cause = ?error.source(), "request failed");
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(LookupError::Refused(class)) = error.downcast_ref() {
                tracing::debug!(class = class.as_str(), "a name resolved to a refused address");
                return Self::Resolved { host };
            }
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large) {
                return Self::ResponseHeaders;
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
    /// Returns the more precise reason that a deeper cause gives, or else this one.
    fn refined_by(self, cause: &(dyn Error + 'static)) -> Self {
        if let Some(lookup) = cause.downcast_ref() {
            return match lookup {
                LookupError::Timeout => Self::NameTimeout,
                LookupError::NotFound | LookupError::Refused(_) => Self::Name,
            };
        }
        if cause.is::<ConnectTimeout>() {
            return Self::ConnectTimeout;
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Self::Tls(tls.clone());
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            return match () {
                () if http.is_parse() => Self::Protocol,
                () if http.is_incomplete_message() => Self::Incomplete,
                () => self,
            };
        }
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            // Errors that wrap another have the kind `Other`.
            None | Some(io::ErrorKind::Other) => self,
            Some(FLOOD_KIND) => Self::Flood,
            Some(_) if matches!(self, Self::Protocol | Self::Incomplete | Self::Flood) => self,
            Some(io::ErrorKind::TimedOut) if matches!(self, Self::Connect) => Self::ConnectTimeout,
            Some(io::ErrorKind::UnexpectedEof) => Self::Incomplete,
            // hyper reports malformed or oversized chunks, extensions and trailers by these kinds.
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Protocol,
            Some(kind) => Self::Io(kind),
        }
    }
}
