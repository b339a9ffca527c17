//! The words of a question (`--by`, `--since`, `--until`, or the same in a URL's query) made into what the store is asked.

use crate::base::near;
use crate::store::usage::{Ask, By};

/// What a report is by when nothing is said.
pub const BY_DEFAULT: &str = "model";
/// How far back a report goes when nothing is said.
pub const SINCE_DEFAULT: &str = "30d";

/// The words as they came.
#[derive(Debug, Default, Clone)]
pub struct Words<'a> {
    /// Each perhaps a list with commas.
    pub by: Vec<&'a str>,
    pub since: Option<&'a str>,
    pub until: Option<&'a str>,
    pub limit: Option<usize>,
}

/// Reads the words at the instant `now_us`; an error names the word and what is possible.
pub fn read(words: &Words<'_>, now_us: i64) -> Result<Ask, String> {
    let mut by = Vec::new();
    for word in words.by.iter().flat_map(|words| words.split(',')).map(str::trim) {
        let one = By::parse(word).ok_or_else(|| unknown(word))?;
        if !by.contains(&one) {
            by.push(one);
        }
    }
    if by.is_empty() {
        by.extend(By::parse(BY_DEFAULT));
    }
    let since_us = time("since", words.since.unwrap_or(SINCE_DEFAULT), now_us)?;
    let until_us = words.until.map_or(Ok(now_us), |until| time("until", until, now_us))?;
    if until_us <= since_us {
        return Err("the window is empty: until must be later than since".to_owned());
    }
    Ok(Ask { by, since_us, until_us, limit: words.limit })
}

fn unknown(word: &str) -> String {
    let near = near::nearest(word, By::WORDS);
    let hint = near.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!(
        "by: `{}` is not known here{hint}; use one or more of {}, tag:NAME",
        word.escape_debug(),
        By::WORDS.join(", ")
    )
}

/// An age before now, a date, or a time.
fn time(name: &str, word: &str, now_us: i64) -> Result<i64, String> {
    let wrong = || {
        format!(
            "{name}: `{}` is no time; use an age such as 30m, 2h, 7d, 4w, a date such as 2026-11-01 (its beginning, UTC), \
             or a time such as 2026-11-01T08:00:00Z",
            word.escape_debug()
        )
    };
    if let Some(age_us) = age_us(word) {
        return Ok(now_us.saturating_sub(age_us));
    }
    if let Ok(date) = word.parse::<jiff::civil::Date>()
        && word.len() == "2026-11-01".len()
    {
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
        return Ok(zoned.timestamp().as_microsecond());
    }
    word.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_microsecond).map_err(|_| wrong())
}

fn age_us(word: &str) -> Option<i64> {
    let unit = word.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let number: u32 = word.strip_suffix(unit)?.parse().ok()?;
    i64::from(number).checked_mul(seconds * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20T12:00:00Z.
    const NOW: i64 = 1_795_176_000_000_000;

    fn since(word: &str) -> Result<i64, String> {
        read(&Words { since: Some(word), ..Words::default() }, NOW).map(|ask| ask.since_us)
    }

    #[test]
    fn times_are_ages_dates_or_instants() {
        for (word, before_s) in [
            ("90s", 90),
            ("30m", 1_800),
            ("2h", 7_200),
            ("7d", 604_800),
            ("1w", 604_800),
            ("2026-11-20", 43_200),
            ("2026-11-20T08:00:00Z", 14_400),
            ("2026-11-20T08:00:00+02:00", 21_600),
        ] {
            assert_eq!(since(word), Ok(NOW - before_s * 1_000_000), "{word}");
        }
        for word in ["", "2", "h", "-2h", "99999999999d", "yesterday", "2026-13-01", "2026-11-20\n"]
        {
            let told = since(word).unwrap_err();
            assert!(told.starts_with("since: ") && told.contains("2026-11-01T08:00:00Z"), "{told}");
        }
        assert!(since("2027-01-01").unwrap_err().contains("the window is empty"));
    }

    #[test]
    fn groups_are_a_list_with_model_as_default() {
        let by = |words: &[&str]| {
            read(&Words { by: words.to_vec(), ..Words::default() }, NOW).map(|ask| ask.by)
        };
        assert_eq!(by(&[]), Ok(vec![By::Model]));
        let three = vec![By::Day, By::Model, By::Tag(Some("team".to_owned()))];
        assert_eq!(by(&["day, model", "tag:team,day"]), Ok(three));
        let told = by(&["modle"]).unwrap_err();
        assert!(
            told.contains("did you mean `model`?") && told.contains("session, tag, tool"),
            "{told}"
        );
    }
}
