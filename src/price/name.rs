//! The forms under which one model's name may stand on a price list: as it was sent, without a vendor before it, without
//! Bedrock's region and version around it, without a date at its end.

/// What stands before a point in Bedrock's names.
const BEDROCK_VENDORS: [&str; 9] =
    ["anthropic", "amazon", "meta", "mistral", "cohere", "deepseek", "openai", "qwen", "ai21"];

/// What stands before the vendor in the names of inference profiles.
const BEDROCK_REGIONS: [&str; 8] = ["us-gov", "us", "eu", "apac", "jp", "au", "ca", "global"];

/// Forms of `model`, lower case, each once, the fullest first.
pub fn forms(model: &str) -> Vec<String> {
    let whole = model.trim().to_ascii_lowercase();
    let mut forms = Vec::with_capacity(4);
    let mut add = |form: &str| {
        if !form.is_empty() && !forms.iter().any(|known| known == form) {
            forms.push(form.to_owned());
        }
    };
    add(&whole);
    if let Some((_, rest)) = whole.split_once('/') {
        add(rest);
    }
    let last = whole.rsplit('/').next().unwrap_or(&whole);
    add(last);
    if let Some(bare) = without_bedrock(last) {
        add(bare);
    }
    forms
}

/// The region at the beginning of a Bedrock name: `eu` of `eu.anthropic.claude-…`.
pub fn region(model: &str) -> Option<&str> {
    let last = model.rsplit('/').next().unwrap_or(model);
    let (region, rest) = last.split_once('.')?;
    let is_region = BEDROCK_REGIONS.contains(&region);
    (is_region && rest.split_once('.').is_some_and(|(vendor, _)| is_vendor(vendor)))
        .then_some(region)
}

/// `form` without the date at its end: `-20250929`, `@20250929`, `-2025-08-07`, `@latest`.
pub fn undated(form: &str) -> Option<&str> {
    if let Some((name, tail)) = form.rsplit_once('@') {
        return (is_number(tail, 8) || tail == "latest" || tail == "default").then_some(name);
    }
    let (rest, last) = form.rsplit_once('-')?;
    if is_number(last, 8) {
        return Some(rest);
    }
    let (rest, month) = rest.rsplit_once('-')?;
    let (name, year) = rest.rsplit_once('-')?;
    (is_number(last, 2) && is_number(month, 2) && is_number(year, 4)).then_some(name)
}

/// `us.anthropic.claude-sonnet-4-5-20250929-v1:0` is `claude-sonnet-4-5-20250929`.
fn without_bedrock(name: &str) -> Option<&str> {
    let vendored = match region(name) {
        Some(region) => name.get(region.len() + 1..)?,
        None => name,
    };
    let (vendor, rest) = vendored.split_once('.')?;
    if !is_vendor(vendor) {
        return None;
    }
    let unnumbered = match rest.rsplit_once(':') {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => rest,
    };
    Some(match unnumbered.rsplit_once("-v") {
        Some((name, version)) if is_number(version, 1) => name,
        _ => unnumbered,
    })
}

fn is_vendor(word: &str) -> bool {
    BEDROCK_VENDORS.contains(&word)
}

fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tried_from_the_fullest_form_down() {
        for (model, expected) in [
            ("gpt-5", vec!["gpt-5"]),
            ("OpenAI/GPT-5", vec!["openai/gpt-5", "gpt-5"]),
            ("gpt-4.1", vec!["gpt-4.1"]),
            (
                "accounts/fireworks/models/glm-4p6",
                vec!["accounts/fireworks/models/glm-4p6", "fireworks/models/glm-4p6", "glm-4p6"],
            ),
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                vec!["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"],
            ),
            ("amazon.nova-pro-v1:0", vec!["amazon.nova-pro-v1:0", "nova-pro"]),
            ("openai.gpt-oss-120b-1:0", vec!["openai.gpt-oss-120b-1:0", "gpt-oss-120b-1"]),
            ("/", vec!["/"]),
            ("", vec![]),
        ] {
            assert_eq!(forms(model), expected, "{model}");
        }
    }

    #[test]
    fn dates_are_taken_off_and_other_numbers_stay() {
        for (form, expected) in [
            ("claude-x-20250929", Some("claude-x")),
            ("claude-x@20250929", Some("claude-x")),
            ("gpt-9-2026-08-07", Some("gpt-9")),
            ("gemini-9@default", Some("gemini-9")),
            ("mistral-large-2411", None),
            ("gpt-5", None),
            ("20250929", None),
            ("a@b", None),
        ] {
            assert_eq!(undated(form), expected, "{form}");
        }
    }

    #[test]
    fn regions_are_those_of_bedrock_only() {
        assert_eq!(region("eu.anthropic.claude-x"), Some("eu"));
        assert_eq!(region("arn:aws:bedrock:eu-west-1:1:p/us.meta.llama3"), Some("us"));
        for model in ["eu.gpt-4.1", "us", "anthropic.claude-x", "gpt-4.1"] {
            assert_eq!(region(model), None, "{model}");
        }
    }
}
