//! A provider's root: from the block, else from the preset, with what stands in the environment filled in.

use http::Uri;

use super::Context;
use super::preset;
use crate::config::env::Environment;
use crate::upstream::catalog::Preset;

/// The preset's root; `None` when it has none, or a variable in it is not set.
pub(super) fn of_preset(preset: &Preset, environment: &Environment) -> Option<Uri> {
    fill(preset.baseurl.as_deref()?, environment).ok()?.parse().ok()
}

/// The root of a block. `None` comes with a finding.
pub(super) fn of_block(
    id: &str,
    written: Option<&str>,
    named: Option<&Preset>,
    preset: &Preset,
    context: &mut Context<'_, '_>,
) -> Option<Uri> {
    let path = ["providers", id, "baseurl"];
    if let Some(written) = written {
        return match parse(written.trim()) {
            Ok(uri) => Some(uri),
            Err((message, remedy)) => {
                context.error(&path, message, remedy);
                None
            }
        };
    }
    let Some(template) = &preset.baseurl else {
        let message = format!("missing: the preset {} has no address of its own", preset.name);
        let remedy = preset.note.as_deref().unwrap_or("write the root of the provider's API");
        context.error(&path, &message, remedy);
        return None;
    };
    if named.is_none() {
        let message =
            "no baseurl, and neither `type` nor the key names a preset: OpenAI's is taken";
        context.warning(&path, message, &preset::remedy(id));
    }
    match fill(template, context.environment()) {
        Ok(filled) => filled.parse().ok(),
        Err(variable) => {
            let message = format!("missing: {variable} is not set, which {} needs", preset.name);
            context.error(&path, &message, "set it, or write the root of the provider's API");
            None
        }
    }
}

/// `{NAME}` and `{NAME|OTHER}` from the environment; the error is the first name of those that are not set.
fn fill(template: &str, environment: &Environment) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((names, after)) = after.split_once('}') else {
            break;
        };
        let Some((_, value)) = environment.first(names.split('|')) else {
            return Err(names.split('|').next().unwrap_or(names).to_owned());
        };
        filled.push_str(before);
        filled.push_str(value.trim_end_matches('/'));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The ends of paths that belong to an endpoint, not to a root.
const ENDPOINTS: [&str; 6] =
    ["/chat/completions", "/completions", "/responses", "/embeddings", "/messages", "/models"];

type Fault = (&'static str, &'static str);

fn parse(written: &str) -> Result<Uri, Fault> {
    const HELP: &str = "write the root of the provider's API, such as https://api.openai.com";
    if written.contains('#') {
        return Err(("holds a fragment", "leave out `#` and what follows"));
    }
    let uri: Uri = written.parse().map_err(|_| ("not a URL", HELP))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(("neither http nor https", HELP));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if uri.host().is_none_or(str::is_empty) {
        return Err(("names no host", HELP));
    }
    if authority.contains('@') {
        return Err(("holds a user or password", "put the credential into apikey"));
    }
    if uri.query().is_some() {
        return Err(("holds a query", "leave out `?` and what follows; keys go into apikey"));
    }
    let path = uri.path().trim_end_matches('/');
    let mut segments = path.rsplit('/');
    if let (Some(last), Some(before)) = (segments.next(), segments.next())
        && last == before
        && crate::upstream::url::is_version(last)
    {
        return Err(("names its version twice", "write it once, or not at all"));
    }
    if ENDPOINTS.iter().any(|endpoint| path.ends_with(endpoint)) {
        return Err(("names an endpoint, not the root", "leave out the endpoint's path"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_told_from_what_is_none() {
        for good in [
            "https://api.openai.com/",
            "https://openrouter.ai/api/v1",
            "http://127.0.0.1:8080",
            "http://[::1]:8080/v1/",
            "https://api.z.ai/api/coding/paas/v4",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for (bad, message) in [
            ("api.openai.com", "neither http nor https"),
            ("ftp://api.openai.com", "neither http nor https"),
            ("https://api .openai.com", "not a URL"),
            ("https://user:planted@api.openai.com", "holds a user or password"),
            ("https://api.openai.com/v1?key=planted", "holds a query"),
            ("https://api.openai.com/#x", "holds a fragment"),
            ("https://api.openai.com/v1/v1", "names its version twice"),
            ("https://api.openai.com/v1/v1/", "names its version twice"),
            ("https://api.openai.com/v1/chat/completions", "names an endpoint, not the root"),
        ] {
            assert_eq!(parse(bad).unwrap_err().0, message, "{bad}");
        }
    }

    #[test]
    fn templates_are_filled_or_name_what_is_missing() {
        let environment = Environment::new(
            std::path::Path::new("."),
            [("AWS_DEFAULT_REGION", "eu-west-1"), ("ENDPOINT", "https://x.example/")],
        );
        let fill = |template| fill(template, &environment);
        assert_eq!(fill("a.{AWS_REGION|AWS_DEFAULT_REGION}.b"), Ok("a.eu-west-1.b".to_owned()));
        assert_eq!(fill("{ENDPOINT}/openai"), Ok("https://x.example/openai".to_owned()));
        assert_eq!(fill("{AWS_REGION}"), Err("AWS_REGION".to_owned()));
        assert_eq!(fill("plain"), Ok("plain".to_owned()));
    }
}
