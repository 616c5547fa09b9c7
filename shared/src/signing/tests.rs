use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_767_225_600;

fn parts() -> SignedParts<'static> {
    SignedParts {
        timestamp: NOW,
        nonce: "0123456789abcdef",
        method: "POST",
        path_and_query: "/api/runnerctl/scripts/?dry=1",
        workspace_slug: "demo",
        user_id: "",
        body: br#"{"name":"n"}"#,
    }
}

/// Returns the keys of a list of secrets, each filled up with dashes to the minimum length.
fn keys(text: &str) -> SigningKeys {
    let secrets: Vec<String> = text.split(',').map(|secret| format!("{:-<32}", secret.trim())).collect();
    SigningKeys::parse(&secrets.join(", ")).unwrap()
}

#[test]
fn the_signature_of_the_contract_s_text() {
    // Computed by another implementation: python3 -c 'import hmac,hashlib;
    // b=hashlib.sha256(b"{\"name\":\"n\"}").hexdigest(); print(hmac.new(b"secret".ljust(32, b"-"),
    // f"1767225600\n0123456789abcdef\nPOST\n/api/runnerctl/scripts/?dry=1\ndemo\n\n{b}".encode(),
    // hashlib.sha256).hexdigest())'
    assert_eq!(
        keys("secret").sign(&parts()),
        "v1=06de3eb98ca04708d2b5e9e52f0f101bff8ebb289b84485a448a0800599d9a43"
    );
}

#[test]
fn a_signature_holds_for_its_own_request_only() {
    let keys = keys("secret");
    let signature = keys.sign(&parts());
    assert_eq!(keys.verify(&parts(), &signature, NOW), Ok(()));
    let others = [
        SignedParts { timestamp: NOW + 1, ..parts() },
        SignedParts { nonce: "0123456789abcdeg", ..parts() },
        SignedParts { method: "PUT", ..parts() },
        SignedParts { path_and_query: "/api/runnerctl/scripts/", ..parts() },
        SignedParts { workspace_slug: "other", ..parts() },
        SignedParts { user_id: "someone", ..parts() },
        SignedParts { body: b"{}", ..parts() },
    ];
    for other in others {
        assert_eq!(keys.verify(&other, &signature, NOW), Err(SignatureError::Mismatch), "{other:?}");
    }
}

#[test]
fn secrets_rotate_without_an_outage() {
    let (old, both, new) = (keys("old"), keys("new, old"), keys("new"));
    assert_eq!(both.verify(&parts(), &old.sign(&parts()), NOW), Ok(()));
    assert_eq!(new.verify(&parts(), &both.sign(&parts()), NOW), Ok(()), "the first secret signs");
    assert_eq!(new.verify(&parts(), &old.sign(&parts()), NOW), Err(SignatureError::Mismatch));
}

#[test]
fn clocks_may_differ_by_300_seconds() {
    let keys = keys("secret");
    let signature = keys.sign(&parts());
    for skew in [-300, 300] {
        assert_eq!(keys.verify(&parts(), &signature, NOW + skew), Ok(()));
    }
    for skew in [-301, 301] {
        let refused = Err(SignatureError::Expired { skew_s: -skew });
        assert_eq!(keys.verify(&parts(), &signature, NOW + skew), refused);
    }
    let far = SignedParts { timestamp: i64::MIN, ..parts() };
    assert!(keys.verify(&far, &keys.sign(&far), i64::MAX).is_err());
}

#[test]
fn form_and_age_are_checked_without_the_body() {
    let SignedParts { timestamp, nonce, workspace_slug, user_id, .. } = parts();
    let good = format!("v1={}", "0".repeat(64));
    let headers = SignedHeaders { timestamp, nonce, workspace_slug, user_id, signature: &good };
    let check = |headers: SignedHeaders<'_>, now| headers.check("POST", "/", now);
    assert_eq!(check(headers, NOW), Ok(()), "whether the signature matches needs the body");
    assert_eq!(check(headers, NOW + 301), Err(SignatureError::Expired { skew_s: -301 }));
    assert_eq!(check(SignedHeaders { signature: "v1=0", ..headers }, NOW), Err(MALFORMED_SIGNATURE));
    for malformed in [
        SignedHeaders { nonce: "short", ..headers },
        SignedHeaders { workspace_slug: "", ..headers },
        SignedHeaders { workspace_slug: &"x".repeat(256), ..headers },
        SignedHeaders { user_id: "a\nb", ..headers },
    ] {
        let refused = check(malformed, NOW);
        assert!(matches!(refused, Err(SignatureError::Malformed { .. })), "{malformed:?}: {refused:?}");
    }
}

#[test]
fn several_candidate_signatures_are_refused() {
    let keys = keys("secret");
    let right = keys.sign(&parts());
    for candidates in [format!("{right},{right}"), format!("{right} {right}"), right.replace("v1=", "v2=")] {
        assert_eq!(keys.verify(&parts(), &candidates, NOW), Err(MALFORMED_SIGNATURE));
    }
}

#[test]
fn a_line_feed_can_t_shift_one_part_into_the_next() {
    let keys = keys("secret");
    let shifted = SignedParts { workspace_slug: "demo\nuser", ..parts() };
    assert!(keys.verify(&shifted, &keys.sign(&shifted), NOW).is_err());
    let shifted = SignedParts { user_id: "a\nb", ..parts() };
    assert!(keys.verify(&shifted, &keys.sign(&shifted), NOW).is_err());
}

#[test]
fn a_nonce_has_16_to_64_characters() {
    let keys = keys("secret");
    for (nonce, accepted) in [
        ("x".repeat(15), false),
        ("x".repeat(16), true),
        ("x".repeat(64), true),
        ("x".repeat(65), false),
        (" ".repeat(20), false),
    ] {
        let parts = SignedParts { nonce: &nonce, ..parts() };
        assert_eq!(keys.verify(&parts, &keys.sign(&parts), NOW).is_ok(), accepted, "{nonce:?}");
    }
}

#[test]
fn headers_name_what_is_missing_or_malformed() {
    let lookup = |name| (name == TIMESTAMP_HEADER).then_some("soon");
    let error = SignedHeaders::read(lookup).unwrap_err();
    assert_eq!(error.to_string(), "header x-runner-timestamp must be a Unix time in whole seconds");
    let error = SignedHeaders::read(|_| None).unwrap_err();
    assert_eq!(error, SignatureError::Missing { header: TIMESTAMP_HEADER });
}

#[test]
fn an_unusable_list_of_secrets_says_where() {
    assert_eq!(SigningKeys::parse(" ").unwrap_err(), SigningKeysError::None);
    let secret = "s".repeat(32);
    let list = |second: &str| SigningKeys::parse(&format!("{secret},{second}")).unwrap_err();
    assert_eq!(list(""), SigningKeysError::Empty { position: 2 });
    assert_eq!(list(&secret[1..]), SigningKeysError::Short { position: 2, bytes: 31 });
    let short = SigningKeys::parse("hunter2").unwrap_err().to_string();
    assert!(short.contains("at least 32: `openssl rand -hex 32`") && !short.contains("hunter2"), "{short}");
    assert!(!format!("{:?}", keys("hunter2")).contains("hunter2"));
}

proptest! {
    #[test]
    fn only_the_right_signature_verifies(signature in "\\PC*", body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let keys = keys("secret");
        let parts = SignedParts { body: &body, ..parts() };
        prop_assert_eq!(keys.verify(&parts, &keys.sign(&parts), NOW), Ok(()));
        prop_assert!(keys.verify(&parts, &signature, NOW).is_err());
    }
}
