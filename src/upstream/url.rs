//! Base-URL arithmetic: how a client's path is joined to a provider's root, whatever version segments either holds.

use http::Uri;
use http::uri::PathAndQuery;

/// Joins `rest` (a path beginning with `/`, without its version segment) and its `version` to the provider's root.
///
/// A root that names a version anywhere in its path (`/v1`, `/api/paas/v4`, `/v1beta/openai`) already says where its
/// endpoints lie, so the client's version is dropped; so it is for providers marked `versionless`.
///
/// ```text
///   https://api.openai.com/              + v1 /chat/completions  →  /v1/chat/completions
///   https://openrouter.ai/api/           + v1 /chat/completions  →  /api/v1/chat/completions
///   https://api.openai.com/v1            + v1 /chat/completions  →  /v1/chat/completions
///   https://api.z.ai/api/coding/paas/v4  + v1 /chat/completions  →  /api/coding/paas/v4/chat/completions
/// ```
pub fn join(
    base: &Uri,
    versionless: bool,
    version: Option<&str>,
    rest: &str,
    query: Option<&str>,
) -> Option<PathAndQuery> {
    let prefix = base.path().trim_end_matches('/');
    let version = version.filter(|_| !versionless && !names_version(prefix));
    let mut path = String::with_capacity(prefix.len() + rest.len() + 48);
    path.push_str(prefix);
    if let Some(version) = version {
        path.push('/');
        path.push_str(version);
    }
    path.push_str(rest);
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        path.push('?');
        path.push_str(query);
    }
    if path.is_empty() {
        path.push('/');
    }
    PathAndQuery::try_from(path).ok()
}

/// Joins a path of `/providers/{name}/…` as it is, but for one version segment that both sides name.
pub fn join_verbatim(base: &Uri, path: &str, query: Option<&str>) -> Option<PathAndQuery> {
    let prefix = base.path().trim_end_matches('/');
    let doubled = prefix
        .rsplit('/')
        .next()
        .filter(|last| is_version(last))
        .and_then(|last| path.strip_prefix('/')?.strip_prefix(last))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    join(base, true, None, doubled.unwrap_or(path), query)
}

fn names_version(path: &str) -> bool {
    path.split('/').any(is_version)
}

/// `v1`, `v4`, `v1beta`, `v1.1`: a `v`, a digit, then letters, digits or dots.
pub fn is_version(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    bytes.next() == Some(b'v')
        && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
        && segment.len() <= 8
}

/// The query without the parameters `hidden`; everything else keeps its bytes and order.
pub fn without_params(query: &str, hidden: &[&str]) -> String {
    let mut kept = String::with_capacity(query.len());
    for pair in query.split('&') {
        let name = pair.split('=').next().unwrap_or_default();
        if hidden.contains(&name) {
            continue;
        }
        if !kept.is_empty() {
            kept.push('&');
        }
        kept.push_str(pair);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, version: &str, rest: &str, expected: &str) {
        let joined = join(&base.parse().unwrap(), false, Some(version), rest, None).unwrap();
        assert_eq!(joined.as_str(), expected, "{base} + /{version}{rest}");
    }

    #[test]
    fn roots_with_prefix_slash_and_version() {
        let chat = "/chat/completions";
        check("https://api.openai.com/", "v1", chat, "/v1/chat/completions");
        check("https://api.openai.com", "v1", chat, "/v1/chat/completions");
        check("https://api.openai.com/v1", "v1", chat, "/v1/chat/completions");
        check("https://api.openai.com/v1/", "v1", chat, "/v1/chat/completions");
        check("https://openrouter.ai/api/", "v1", chat, "/api/v1/chat/completions");
        check("https://openrouter.ai/api/v1", "v1", chat, "/api/v1/chat/completions");
        check(
            "https://api.z.ai/api/coding/paas/v4",
            "v1",
            chat,
            "/api/coding/paas/v4/chat/completions",
        );
        check(
            "https://generativelanguage.googleapis.com/v1beta/openai/",
            "v1",
            chat,
            "/v1beta/openai/chat/completions",
        );
        check(
            "https://generativelanguage.googleapis.com",
            "v1beta",
            "/models/gemini-2.5-pro:generateContent",
            "/v1beta/models/gemini-2.5-pro:generateContent",
        );
        check("https://api.anthropic.com", "v1", "/messages", "/v1/messages");
        check("https://x.openai.azure.com/openai/v1/", "v1", chat, "/openai/v1/chat/completions");
    }

    #[test]
    fn versionless_roots_and_queries() {
        let base: Uri = "https://api.perplexity.ai".parse().unwrap();
        let joined = join(&base, true, Some("v1"), "/chat/completions", Some("a=b")).unwrap();
        assert_eq!(joined.as_str(), "/chat/completions?a=b");
    }

    #[test]
    fn verbatim_paths_double_no_version() {
        let base: Uri = "https://api.openai.com/v1".parse().unwrap();
        let joined = join_verbatim(&base, "/v1/files", None).unwrap();
        assert_eq!(joined.as_str(), "/v1/files");
        let joined = join_verbatim(&base, "/v11/files", None).unwrap();
        assert_eq!(joined.as_str(), "/v1/v11/files");
        let base: Uri = "http://localhost:11434/".parse().unwrap();
        let joined = join_verbatim(&base, "/api/tags", Some("x=1")).unwrap();
        assert_eq!(joined.as_str(), "/api/tags?x=1");
    }

    #[test]
    fn versions_are_told_from_names() {
        assert!(is_version("v1") && is_version("v4") && is_version("v1beta") && is_version("v1.1"));
        assert!(!is_version("v") && !is_version("video") && !is_version("1") && !is_version("vv1"));
    }

    #[test]
    fn hidden_parameters_leave_the_rest_alone() {
        assert_eq!(without_params("alt=sse&key=AIza&x=%20", &["key"]), "alt=sse&x=%20");
        assert_eq!(without_params("key=a", &["key"]), "");
        assert_eq!(without_params("keys=a", &["key"]), "keys=a");
    }
}
