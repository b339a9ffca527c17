//! What is found and what stays, as tables.

use base64::Engine as _;

use super::*;

/// The text with each placeholder's digits left out.
fn clean(text: &str) -> String {
    let rules = Rules::new([1; 32], Vec::new(), &[]);
    let clean = rules.clean_text(text).unwrap_or_else(|| text.to_owned());
    assert_eq!(rules.clean_text(&clean), None, "what was cleaned is clean: {clean}");
    regex::Regex::new(r"(\[redacted:[^\]]*):[0-9a-f]{8}\]")
        .unwrap()
        .replace_all(&clean, "$1]")
        .into_owned()
}

#[test]
fn secrets_are_named_and_their_surroundings_stay() {
    for (text, expected) in [
        ("use sk-proj-abcDEF123456789 now", "use [redacted:api_key] now"),
        ("gsk_0123456789abcdef", "[redacted:api_key]"),
        ("key AIzaSyA0123456789abcdefghijklmnopqrstuv.", "key [redacted:api_key]."),
        ("ghp_0123456789abcdefghij", "[redacted:api_key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted:api_key]"),
        ("xoxb-123456789012-abcdefGHIJ", "[redacted:api_key]"),
        ("see sk-ant-api03-a_B3-x9Zq-77TkLmPw. Then", "see [redacted:api_key]. Then"),
        ("Authorization: Bearer abcdefghijkl1", "Authorization: Bearer [redacted:bearer]"),
        ("authorization: bearer a8f3-kq92", "authorization: bearer [redacted:bearer]"),
        ("curl -H 'x-api-key: a8f3kq92mz' x", "curl -H 'x-api-key: [redacted:api_key]' x"),
        ("password = hunter2222", "password = [redacted:password]"),
        ("password = hunter2-hush-14", "password = [redacted:password]"),
        ("?user=a&password=hunter2", "?user=a&password=[redacted:password]"),
        ("mysql --password hunter2222 -u a", "mysql --password [redacted:password] -u a"),
        (r#"{"api_key": "abcdefgh12"}"#, r#"{"api_key": "[redacted:api_key]"}"#),
        (r#"{"password": 123456, "a": 1}"#, r#"{"password": "[redacted:password]", "a": 1}"#),
        (
            r#"{"text":"{\"apiKey\": \"a8f3kq92mz\"}"}"#,
            r#"{"text":"{\"apiKey\": \"[redacted:api_key]\"}"}"#,
        ),
        (
            r#""{\\\"password\\\":\\\"p4ss\\\\\\\"word\\\"}""#,
            r#""{\\\"password\\\":\\\"[redacted:password]\\\"}""#,
        ),
        (r#"{"password": "ab\"cd"}"#, r#"{"password": "[redacted:password]"}"#),
        (r#"{"password": "abcd\\"}"#, r#"{"password": "[redacted:password]"}"#),
        (r"line\nsk-proj-abcDEF123456789\n", r"line\n[redacted:api_key]\n"),
        (
            "GET /v1beta/models?key=AIzaSyA0123456789abcdefghijklmnopqrstuv",
            "GET /v1beta/models?key=[redacted:api_key]",
        ),
        ("/v1/models?alt=sse&key=a8f3kq92mz", "/v1/models?alt=sse&key=[redacted:api_key]"),
        (r"/x?a=1\u0026key=a8f3kq92mz", r"/x?a=1\u0026key=[redacted:api_key]"),
        ("postgres://app:hunter2@db:5432/x", "postgres://app:[redacted:password]@db:5432/x"),
        ("Basic dXNlcjpodW50ZXIy", "Basic [redacted:password]"),
        (
            "export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
            "export AWS_SECRET_ACCESS_KEY=[redacted:api_key]\n",
        ),
        ("<password>hunter2222</password>", "<password>[redacted:password]</password>"),
        (r#"{"refresh_token":"1//0gabcDEF-xyz"}"#, r#"{"refresh_token":"[redacted:api_key]"}"#),
        (
            r#"os.environ["OPENAI_API_KEY"] = "a8f3kq92mz""#,
            r#"os.environ["OPENAI_API_KEY"] = "[redacted:api_key]""#,
        ),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1234\n-----END RSA PRIVATE KEY----- b",
            "a [redacted:private_key] b",
        ),
        (
            r#"{"k":"-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1234\n","n":1}"#,
            r#"{"k":"[redacted:private_key]","n":1}"#,
        ),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl.", "token [redacted:jwt]."),
    ] {
        assert_eq!(clean(text), expected, "{text}");
    }
}

#[test]
fn words_code_and_data_stay() {
    for text in [
        "a risk-free task, ask-me, disk-usage-2024-report",
        "the bearer of news and Bearer authentication, bearer tokens, basic authentication",
        "class=\"sk-fading-circle sk-circle12 sk-folding-cube\"",
        r#"{"type":"object","properties":{"password":{"type":"string"},"token":{"type":"string"}}}"#,
        r#"{"name":"password","description":"the password: must be 8 characters"}"#,
        r#"{"password":"string","api_key":"YOUR_API_KEY","token":"${TOKEN}","secret":null}"#,
        "const apiKey = process.env.OPENAI_API_KEY; password: string;",
        "let token = tokenizer.next_token2(); token = tokens[i2]; api_key=os.environ['K1']",
        "login(user, password=password1)",
        r#"{"max_tokens":4096,"usage":{"prompt_tokens":17,"token_count":12}}"#,
        r#"{"logprobs":{"content":[{"token":" implementation","logprob":-0.31}]}}"#,
        r#"{"prompt_cache_key":"018f2c1e-7b1a-7c3e-9d2f-0a1b2c3d4e5f"}"#,
        r#"{"next_page_token":"CAUQAA9rZ8dkfjHH3kdl29"}"#,
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "commit token: e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
        "token 018f2c1e-7b1a-7c3e-9d2f-0a1b2c3d4e5f",
        "https://example.com/a?monkey=banana12345&page=2 and https://user@host/x",
        "getApiKeyFromConfigurationProviderFactory2Bean",
        "-----BEGIN PRIVATE KEY----- is how such a file begins",
        "-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA1234567890\n-----END CERTIFICATE-----",
        "eyJ is how a token begins; eyJhbGciOiJIUzI1NiJ9 alone is none",
        "Authorization: Bearer <token>, Authorization: Bearer $TOKEN1",
        r#""Authorization": `Bearer ${key1}`"#,
        "secret = generate_secret(32)",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn no_splitting_and_no_garbage_panics() {
    let text = r#"{"password":"hunter22","a":"-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1234\n-----END PRIVATE KEY-----","b":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln","u":"a://b:c9@d","t":"--token x"}"#;
    let rules = Rules::new([1; 32], Vec::new(), &[]);
    for start in 0..text.len() {
        for end in start..=text.len() {
            rules.clean_text(&text[start..end]);
        }
    }
    let bytes = b"\xff\xfepassword=\xf0hunter2222\xff sk-proj-abcDEF123456789\xff";
    let cleaned = rules.clean(bytes).unwrap();
    assert!(memchr::memmem::find(&cleaned, b"abcDEF").is_none());
    assert!(cleaned.starts_with(b"\xff\xfe") && cleaned.ends_with(b"\xff"));
}

#[test]
fn base64_and_digests_pass_whatever_they_hold() {
    let mut state = 7_u64;
    let mut random = Vec::with_capacity(1 << 20);
    while random.len() < 1 << 20 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random.extend_from_slice(&state.to_le_bytes()[4..]);
    }
    let rules = Rules::new([1; 32], Vec::new(), &[]);
    for text in [
        base64::engine::general_purpose::STANDARD.encode(&random),
        base64::engine::general_purpose::URL_SAFE.encode(&random),
    ] {
        let body = format!(r#"{{"data":"{text}"}}"#);
        assert_eq!(rules.hits(body.as_bytes()), []);
    }
}

#[test]
fn own_patterns_add_to_what_is_known() {
    let pattern =
        |name: &str, regex: &str| Pattern { name: name.into(), regex: Regex::new(regex).unwrap() };
    let patterns = vec![
        pattern("customer", r"\bCUST-\d{6}\b"),
        pattern("pin", r"pin is (?P<secret>\d{4})"),
        pattern("greedy", r"sk-\S+ tail"),
    ];
    let rules = Rules::new([1; 32], patterns, &[]);
    let text = "CUST-123456 pin is 9876 and sk-proj-abcDEF123456789 tail";
    let once = rules.clean_text(text).unwrap();
    assert!(once.starts_with("[redacted:pattern:customer:"), "{once}");
    assert!(
        once.contains(" pin is [redacted:pattern:pin:") && once.contains("and [redacted:"),
        "{once}"
    );
    assert!(!once.contains("abcDEF") && !once.contains("tail") && !once.contains("9876"), "{once}");
    assert_eq!(rules.clean_text(&once), None, "what was cleaned is clean");
}

#[test]
fn hostile_repetition_costs_no_more_than_length() {
    for word in [
        "token=",
        "token='",
        "://a:",
        "-----BEGIN A PRIVATE KEY-----",
        "eyJ.",
        "sk-",
        "bearer ",
        "password=\\\"",
        "key=",
    ] {
        let text = word.repeat((1 << 17) / word.len());
        let began = crate::base::clock::now();
        clean(&text);
        let took = crate::base::clock::now().duration_since(began);
        assert!(took.as_secs() < 10, "{word}: {took:?}");
    }
}

#[test]
fn texts_to_be_shown_have_no_long_runs_of_base64() {
    let run = "QUJD".repeat(400);
    assert_eq!(secrets(&format!("see {run}!")), "see [base64, 1200 bytes]!");
    assert_eq!(secrets("nothing here"), "nothing here");
}
