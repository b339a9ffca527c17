//! What two texts share and what not: the longest common subsequence of their words, or of their lines where there are too many
//! words, or nothing where there are too many of these too.

/// A piece of the first text, of the second, or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Same(&'a str),
    /// In the first only.
    Gone(&'a str),
    /// In the second only.
    New(&'a str),
}

/// Limit: cells of the table of one comparison, of four bytes each.
const CELLS_MAX: usize = 2_000_000;

/// The two texts in pieces: those that are `Same` or `Gone` make up the first, those that are `Same` or `New` the second.
pub(super) fn diff<'a>(one: &'a str, other: &'a str) -> Vec<Piece<'a>> {
    let found = matched(&tokens(one), &tokens(other));
    let found = found.or_else(|| {
        matched(
            &one.split_inclusive('\n').collect::<Vec<_>>(),
            &other.split_inclusive('\n').collect::<Vec<_>>(),
        )
    });
    found.unwrap_or_else(|| vec![Piece::Gone(one), Piece::New(other)])
}

/// Words, runs of white space, and every other character by itself, so that JSON is compared member by member.
fn tokens(text: &str) -> Vec<&str> {
    let kind = |character: char| match character {
        _ if character.is_alphanumeric() || character == '_' => 0,
        _ if character.is_whitespace() => 1,
        _ => 2,
    };
    let mut found = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (place, character) in text.char_indices() {
        let now = kind(character);
        if last.is_some_and(|last| last != now || now == 2) {
            found.extend(text.get(start..place));
            start = place;
        }
        last = Some(now);
    }
    found.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    found
}

/// `None`: the table would be too large.
fn matched<'a>(one: &[&'a str], other: &[&'a str]) -> Option<Vec<Piece<'a>>> {
    let before = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let (one_rest, other_rest) = (one.get(before..)?, other.get(before..)?);
    let pairs = one_rest.iter().rev().zip(other_rest.iter().rev());
    let after = pairs.take_while(|(one, other)| one == other).count();
    let one_middle = one_rest.get(..one_rest.len() - after)?;
    let other_middle = other_rest.get(..other_rest.len() - after)?;
    if (one_middle.len() + 1).checked_mul(other_middle.len() + 1)? > CELLS_MAX {
        return None;
    }
    let mut pieces: Vec<Piece<'a>> =
        one.iter().take(before).map(|token| Piece::Same(token)).collect();
    pieces.extend(common(one_middle, other_middle));
    pieces.extend(one_rest.iter().skip(one_rest.len() - after).map(|token| Piece::Same(token)));
    Some(pieces)
}

/// The longest common subsequence by the table of all lengths, walked from the front.
fn common<'a>(one: &[&'a str], other: &[&'a str]) -> Vec<Piece<'a>> {
    let wide = other.len() + 1;
    let mut lengths = vec![0u32; (one.len() + 1) * wide];
    let at = |lengths: &[u32], row: usize, column: usize| {
        lengths.get(row * wide + column).copied().unwrap_or(0)
    };
    for (row, left) in one.iter().enumerate().rev() {
        for (column, right) in other.iter().enumerate().rev() {
            let best = if left == right {
                at(&lengths, row + 1, column + 1) + 1
            } else {
                at(&lengths, row + 1, column).max(at(&lengths, row, column + 1))
            };
            if let Some(cell) = lengths.get_mut(row * wide + column) {
                *cell = best;
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut pieces = Vec::with_capacity(one.len() + other.len());
    loop {
        match (one.get(row), other.get(column)) {
            (Some(left), Some(right)) if left == right => {
                pieces.push(Piece::Same(left));
                row += 1;
                column += 1;
            }
            (Some(left), right)
                if right.is_none()
                    || at(&lengths, row + 1, column) >= at(&lengths, row, column + 1) =>
            {
                pieces.push(Piece::Gone(left));
                row += 1;
            }
            (_, Some(right)) => {
                pieces.push(Piece::New(right));
                column += 1;
            }
            (_, None) => return pieces,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sides(pieces: &[Piece<'_>]) -> (String, String) {
        let (mut one, mut other) = (String::new(), String::new());
        for piece in pieces {
            match piece {
                Piece::Same(text) => {
                    one.push_str(text);
                    other.push_str(text);
                }
                Piece::Gone(text) => one.push_str(text),
                Piece::New(text) => other.push_str(text),
            }
        }
        (one, other)
    }

    #[test]
    fn a_changed_word_is_one_piece_each() {
        let pieces = diff("{\"city\": \"Paris\"}", "{\"city\": \"Lyon\"}");
        let changed: Vec<_> =
            pieces.iter().filter(|piece| !matches!(piece, Piece::Same(_))).collect();
        assert_eq!(changed, [&Piece::Gone("Paris"), &Piece::New("Lyon")]);
    }

    #[test]
    fn what_is_too_long_for_words_is_compared_by_lines_and_then_not_at_all() {
        let lines = |salt: &str| {
            (0..500)
                .flat_map(|line| [salt.to_owned(), format!(" {line} a b c d e f g\n")])
                .collect::<String>()
        };
        let (one, other) = (format!("{}same\n", lines("x")), format!("{}same\nnew\n", lines("y")));
        let pieces = diff(&one, &other);
        assert!(pieces.contains(&Piece::Same("same\n")));
        assert_eq!(sides(&pieces), (one, other));
        let (one, other) = (lines("x").repeat(10), lines("y").repeat(10));
        assert_eq!(diff(&one, &other), [Piece::Gone(&one), Piece::New(&other)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(one in "[ab \\n.é]{0,40}", other in "[ab \\n.é]{0,40}") {
            let pieces = diff(&one, &other);
            prop_assert_eq!(sides(&pieces), (one.clone(), other.clone()));
            if one == other {
                prop_assert!(pieces.iter().all(|piece| matches!(piece, Piece::Same(_))));
            }
        }
    }
}
