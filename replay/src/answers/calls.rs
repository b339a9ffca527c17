//! Calls of tools as sets: how many of the one answer's are also the other's.

use std::collections::BTreeMap;

use super::{Rules, json};
use crate::outcome::Call;

/// How two answers' calls agree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreement {
    base: usize,
    new: usize,
    /// Of the same name with the same arguments, each counted as often as both have it.
    common: usize,
    common_names: usize,
    in_order: bool,
}

impl Agreement {
    pub(super) fn of(base: &[Call], new: &[Call], rules: &Rules) -> Self {
        let canonical = |calls: &[Call]| -> Vec<(String, String)> {
            calls
                .iter()
                .map(|call| (call.name.clone(), arguments(&call.arguments, rules)))
                .collect()
        };
        let (base_calls, new_calls) = (canonical(base), canonical(new));
        let name = |call: &(String, String)| call.0.clone();
        Self {
            base: base.len(),
            new: new.len(),
            common: common(base_calls.iter(), new_calls.iter()),
            common_names: common(base_calls.iter().map(name), new_calls.iter().map(name)),
            in_order: base_calls == new_calls,
        }
    }

    pub(super) fn all_agree(&self) -> bool {
        self.common == self.base && self.common == self.new
    }

    /// `None`: this answer makes no call.
    pub(super) fn precision(&self) -> Option<f64> {
        share(self.common, self.new)
    }

    /// `None`: the baseline makes no call.
    pub(super) fn recall(&self) -> Option<f64> {
        share(self.common, self.base)
    }

    /// 2·common/(base + new), which is the harmonic mean of both; `None`: no calls at all.
    pub(super) fn f1(&self) -> Option<f64> {
        share(2 * self.common, self.base + self.new)
    }

    pub(super) fn names_f1(&self) -> Option<f64> {
        share(2 * self.common_names, self.base + self.new)
    }

    pub(super) fn in_order(&self) -> Option<bool> {
        (self.base + self.new > 0).then_some(self.in_order)
    }
}

fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

fn common<T: Ord>(base: impl Iterator<Item = T>, new: impl Iterator<Item = T>) -> usize {
    let mut left: BTreeMap<T, usize> = BTreeMap::new();
    for item in base {
        *left.entry(item).or_default() += 1;
    }
    new.filter(|item| match left.get_mut(item) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    })
    .count()
}

/// JSON in one spelling. No arguments at all are an empty object; what is no JSON stands as it is, apart from JSON.
fn arguments(text: &str, rules: &Rules) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "{}".to_owned();
    }
    serde_json::from_str(text)
        .map_or_else(|_| format!("text:{text}"), |value| json::canonical(&value, &rules.ignore))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(base: &[(&str, &str)], new: &[(&str, &str)]) -> Agreement {
        let calls = |calls: &[(&str, &str)]| -> Vec<Call> {
            let call = |(name, arguments): &(&str, &str)| Call {
                name: (*name).to_owned(),
                arguments: (*arguments).to_owned(),
            };
            calls.iter().map(call).collect()
        };
        let ignore = vec!["$.request_id".parse().unwrap()];
        Agreement::of(&calls(base), &calls(new), &Rules { ignore, ..Rules::default() })
    }

    #[test]
    fn arguments_agree_whatever_their_spelling() {
        for (a, b) in [
            (r#"{"a": 1, "b": [1, 2]}"#, r#"{"b":[1,2],"a":1.0}"#),
            ("", "{}"),
            (r#"{"a":"\u00e9"}"#, r#"{"a":"é"}"#),
            (r#"{"request_id":1,"a":2}"#, r#"{"a":2,"request_id":7}"#),
            ("{broken", " {broken"),
        ] {
            assert!(agreement(&[("f", a)], &[("f", b)]).all_agree(), "{a} {b}");
        }
        for (a, b) in
            [(r#"{"a":1}"#, r#"{"a":"1"}"#), ("[1,2]", "[2,1]"), ("{broken", "\"{broken\"")]
        {
            assert!(!agreement(&[("f", a)], &[("f", b)]).all_agree(), "{a} {b}");
        }
    }

    #[test]
    fn shares_count_each_call_as_often_as_both_make_it() {
        let x = ("read", "{\"p\":1}");
        let y = ("read", "{\"p\":2}");
        let z = ("write", "{}");
        let a = agreement(&[x, x, y], &[x, y, y, z]);
        assert_eq!((a.precision(), a.recall()), (Some(0.5), Some(2.0 / 3.0)));
        assert_eq!((a.f1(), a.names_f1()), (Some(4.0 / 7.0), Some(6.0 / 7.0)));
        assert_eq!(a.in_order(), Some(false));
        let swapped = agreement(&[x, y], &[y, x]);
        assert!(swapped.all_agree());
        assert_eq!(swapped.in_order(), Some(false));
    }

    #[test]
    fn no_calls_are_no_share() {
        let none = agreement(&[], &[]);
        assert_eq!((none.f1(), none.precision(), none.in_order()), (None, None, None));
        assert!(none.all_agree());
        let lost = agreement(&[("f", "")], &[]);
        assert_eq!((lost.f1(), lost.precision(), lost.recall()), (Some(0.0), None, Some(0.0)));
        let more = agreement(&[], &[("f", "")]);
        assert_eq!((more.f1(), more.precision(), more.recall()), (Some(0.0), Some(0.0), None));
    }
}
