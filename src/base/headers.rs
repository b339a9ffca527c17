//! Takes headers out of a map and leaves the others in the order they came in, which is the order they are sent and recorded
//! in. `HeaderMap::remove` does not: it moves the last header into the gap.

use http::{HeaderMap, HeaderName};

/// Removes every header for whose name `is_gone` says yes.
pub fn remove_all(headers: &mut HeaderMap, is_gone: impl Fn(&HeaderName) -> bool) {
    if !headers.keys().any(&is_gone) {
        return;
    }
    let mut kept = HeaderMap::with_capacity(headers.keys_len());
    let mut name: Option<HeaderName> = None;
    for (next, value) in std::mem::take(headers) {
        // Further values of a name come without it.
        if let Some(next) = next {
            name = (!is_gone(&next)).then_some(next);
        }
        if let Some(name) = &name {
            kept.append(name, value);
        }
    }
    *headers = kept;
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_stays_keeps_its_order_and_all_its_values() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("a", "1"),
            ("x-gone", "2"),
            ("b", "3"),
            ("x-gone", "4"),
            ("b", "5"),
            ("c", "6"),
            ("x-b", "7"),
        ] {
            map.append(name, HeaderValue::from_static(value));
        }
        let listed = |map: &HeaderMap| -> Vec<(String, String)> {
            let text = |(name, value): (&HeaderName, &HeaderValue)| {
                (name.to_string(), value.to_str().unwrap().to_owned())
            };
            map.iter().map(text).collect()
        };
        let before = listed(&map);
        remove_all(&mut map, |name| *name == "no-such");
        assert_eq!(listed(&map), before);
        remove_all(&mut map, |name| *name == "x-gone" || *name == "a");
        let kept = [("b", "3"), ("b", "5"), ("c", "6"), ("x-b", "7")];
        assert_eq!(listed(&map), kept.map(|(name, value)| (name.to_owned(), value.to_owned())));
        remove_all(&mut map, |_| true);
        assert!(map.is_empty());
    }
}
