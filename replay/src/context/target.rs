//! A target as it is written: `provider/model?temperature=0&max_tokens=200`.

use serde_json::Value;

/// Who is sent the recordings, and with which parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// `provider/model`, as the gateway understands it.
    pub selector: String,
    /// Parameters in place of the recorded ones; `null` takes one away.
    pub overrides: Vec<(String, Value)>,
    /// The model's name in the body; `None`: the transport sees to it.
    pub model: Option<String>,
    /// It knows `min_tokens` and `ignore_eos`.
    pub forces_length: bool,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.selector)?;
        for (at, (name, value)) in self.overrides.iter().enumerate() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(f, "{}{name}={}", if at == 0 { '?' } else { '&' }, encoded(&text))?;
        }
        Ok(())
    }
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace('&', "%26").replace('+', "%2B").replace(' ', "+")
}

/// Why what was written is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("`{0}` names no model; write provider/model, or a model")]
    NoSelector(String),
    #[error("`{pair}` in the target `{target}` is no parameter; write name=value")]
    NoValue { target: String, pair: String },
    #[error("the parameter `{name}` stands twice in the target `{target}`")]
    Twice { target: String, name: String },
}

/// Reads a target. Values are JSON where they are JSON, else text; `%26` stands for `&`.
pub fn parse_target(written: &str) -> Result<Target, TargetError> {
    let (selector, query) = written.split_once('?').unwrap_or((written, ""));
    let selector = selector.trim();
    if selector.is_empty() {
        return Err(TargetError::NoSelector(written.to_owned()));
    }
    let mut overrides: Vec<(String, Value)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let no_value =
            || TargetError::NoValue { target: written.to_owned(), pair: pair.to_owned() };
        let (name, value) = pair.split_once('=').ok_or_else(no_value)?;
        let (name, value) = (decoded(name), decoded(value));
        if name.is_empty() {
            return Err(no_value());
        }
        if overrides.iter().any(|(other, _)| *other == name) {
            return Err(TargetError::Twice { target: written.to_owned(), name });
        }
        let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
        overrides.push((name, value));
    }
    Ok(Target { selector: selector.to_owned(), overrides, ..Target::default() })
}

/// Percent and plus signs of a query; what is no escape stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escape = match (first, tail) {
            (b'%', [high, low, after @ ..]) => hex(*high, *low).map(|byte| (byte, after)),
            _ => None,
        };
        match escape {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => bytes.push(if *first == b'+' { b' ' } else { *first }),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_is_a_selector_and_its_parameters() {
        let plain = parse_target("openai/gpt-5").unwrap();
        assert_eq!((plain.selector.as_str(), plain.overrides.len()), ("openai/gpt-5", 0));
        let written =
            "p/m:free?temperature=0&stop=[\"a%26b\"]&reasoning.effort=low&seed=null&x=a+b%zz";
        let made = parse_target(written).unwrap();
        assert_eq!(made.selector, "p/m:free");
        let want = [
            ("temperature", json!(0)),
            ("stop", json!(["a&b"])),
            ("reasoning.effort", json!("low")),
            ("seed", json!(null)),
            ("x", json!("a b%zz")),
        ];
        assert_eq!(made.overrides, want.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(parse_target(&made.to_string()).unwrap(), made, "{made}");
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for (written, part) in [
            ("", "names no model"),
            ("?a=1", "names no model"),
            ("p/m?a", "`a` in the target"),
            ("p/m?=1", "`=1` in the target"),
            ("p/m?a=1&a=2", "stands twice"),
        ] {
            let error = parse_target(written).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
