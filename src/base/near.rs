//! Near names for error messages: what somebody may have meant.

/// Limit: names in one suggestion.
const NEAR_MAX: usize = 3;

/// Limit: characters of a name that are compared, since it comes from outside.
const NAME_CHARS_MAX: usize = 128;

/// The score from which a name is worth suggesting.
const SCORE_MIN: f64 = 0.55;

/// The candidates nearest to `name`, best first, at most three; none when nothing is near.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = normal(name);
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| (score(&wanted, &normal(candidate)), candidate))
        .filter(|(score, _)| *score >= SCORE_MIN)
        .collect();
    scored.sort_by(|(a, left), (b, right)| b.total_cmp(a).then_with(|| left.cmp(right)));
    scored.dedup_by_key(|(_, candidate)| *candidate);
    scored.truncate(NEAR_MAX);
    scored.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Case and separators are what people get wrong first.
fn normal(name: &str) -> String {
    name.chars()
        .take(NAME_CHARS_MAX)
        .flat_map(char::to_lowercase)
        .map(|character| match character {
            '_' | '.' | ' ' => '-',
            other => other,
        })
        .collect()
}

/// Between 0 and 1: the better of edit distance and containment. A part of a name (`sonnet` of `claude-sonnet-4-5`) is
/// near although many letters are missing.
fn score(wanted: &str, candidate: &str) -> f64 {
    let by_edits = strsim::normalized_damerau_levenshtein(wanted, candidate);
    let shorter = wanted.len().min(candidate.len());
    let longer = wanted.len().max(candidate.len()).max(1);
    let contained = shorter >= 3 && (candidate.contains(wanted) || wanted.contains(candidate));
    if contained { by_edits.max(0.6 + 0.4 * shorter as f64 / longer as f64) } else { by_edits }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODELS: [&str; 7] = [
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "claude-sonnet-4-5",
        "claude-opus-4-1",
        "gemini-3.5-flash",
        "llama3:8b",
    ];

    fn check(name: &str, expected: &[&str]) {
        assert_eq!(nearest(name, MODELS), expected, "{name}");
    }

    #[test]
    fn the_best_names_come_first() {
        check("gpt5", &["gpt-5"]);
        check("GPT-5-Mini", &["gpt-5-mini", "gpt-5", "gpt-5-nano"]);
        check("sonnet", &["claude-sonnet-4-5"]);
        check("claude-sonnet-4.5", &["claude-sonnet-4-5", "claude-opus-4-1"]);
        check("gemini-3-5-flash-lite", &["gemini-3.5-flash"]);
        check("openai/gpt-5", &["gpt-5"]);
        check("llama3", &["llama3:8b"]);
    }

    #[test]
    fn far_names_are_not_suggested() {
        check("whisper", &[]);
        check("", &[]);
        check("x", &[]);
        assert_eq!(nearest("gpt-5", ["gpt-5", "gpt-5"]), ["gpt-5"]);
    }
}
