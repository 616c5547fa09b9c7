//! The `Host` header of requests, for the api and the worker.

use super::fields::FieldErrors;

/// Checks the number of `Host` headers of a request: one over HTTP/1.1, at most one over HTTP/1.0 (RFC 9112 section
/// 3.2). A proxy and this server could else take a request for one of different hosts.
pub fn require_one(headers: usize, is_http_1_1: bool) -> Result<(), FieldErrors> {
    let is_valid = headers == 1 || headers == 0 && !is_http_1_1;
    if is_valid {
        Ok(())
    } else {
        Err(FieldErrors::one("Host", "Must be sent once with a request over HTTP/1.1."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_required_over_http_1_1() {
        let accepted = [(0, true), (1, true), (2, true), (0, false), (1, false), (2, false)]
            .map(|(headers, is_http_1_1)| require_one(headers, is_http_1_1).is_ok());
        assert_eq!(accepted, [false, true, false, true, true, false]);
    }
}
