//! Which elements of two lists belong together: the longest common subsequence, after Myers, with bounds.
//!
//! Equal beginnings and ends are taken first, so that two turns of a conversation cost what they differ by. Where the rest
//! differs by more than [`EDITS_MAX`] elements, it counts as replaced: time and memory stay bounded by the square of that.

/// Limit: elements that may differ before the rest counts as replaced.
pub const EDITS_MAX: usize = 1_000;

/// One step through both lists; the numbers are places in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Same(usize, usize),
    /// Only in the left list.
    Left(usize),
    /// Only in the right list.
    Right(usize),
}

/// The steps that lead from `left` to `right`, in order.
pub fn align<T: PartialEq>(left: &[T], right: &[T]) -> Vec<Step> {
    let head = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (rest_left, rest_right) =
        (left.get(head..).unwrap_or_default(), right.get(head..).unwrap_or_default());
    let both = rest_left.iter().rev().zip(rest_right.iter().rev());
    let tail = both.take_while(|(a, b)| a == b).count();
    let (left_end, right_end) = (left.len() - tail, right.len() - tail);
    let mut steps: Vec<Step> = (0..head).map(|at| Step::Same(at, at)).collect();
    let middle_left = left.get(head..left_end).unwrap_or_default();
    let middle_right = right.get(head..right_end).unwrap_or_default();
    if let Some(middle) = myers(middle_left, middle_right) {
        steps.extend(middle.into_iter().map(|step| match step {
            Step::Same(a, b) => Step::Same(head + a, head + b),
            Step::Left(a) => Step::Left(head + a),
            Step::Right(b) => Step::Right(head + b),
        }));
    } else {
        steps.extend((head..left_end).map(Step::Left));
        steps.extend((head..right_end).map(Step::Right));
    }
    steps.extend((0..tail).map(|at| Step::Same(left_end + at, right_end + at)));
    steps
}

/// `None`: more than [`EDITS_MAX`] edits.
fn myers<T: PartialEq>(left: &[T], right: &[T]) -> Option<Vec<Step>> {
    let (n, m) = (left.len(), right.len());
    // furthest[k + offset]: how far along `left` the path on diagonal k = x - y has come.
    let offset = EDITS_MAX + 1;
    let mut furthest = vec![0_usize; 2 * offset + 1];
    let mut trace: Vec<Vec<usize>> = Vec::new();
    for edits in 0..=EDITS_MAX.min(n + m) {
        trace.push(furthest.get(offset - edits..=offset + edits)?.to_vec());
        for place in (offset - edits..=offset + edits).step_by(2) {
            let down = *furthest.get(place + 1)?;
            let across = furthest.get(place.checked_sub(1)?)? + 1;
            let first = place == offset - edits;
            let last = place == offset + edits;
            let mut x = if edits == 0 {
                0
            } else if first || (!last && across <= down) {
                down
            } else {
                across
            };
            // y = x - k; a path that has left the lists is of no use.
            let Some(mut y) = (x + offset).checked_sub(place) else { continue };
            while x < n && y < m && left.get(x) == right.get(y) {
                x += 1;
                y += 1;
            }
            *furthest.get_mut(place)? = x;
            if x >= n && y >= m {
                return Some(back(&trace, n, m));
            }
        }
    }
    None
}

/// Reads the way from the traces, backwards.
fn back(trace: &[Vec<usize>], n: usize, m: usize) -> Vec<Step> {
    let mut steps = Vec::with_capacity(n.max(m));
    let (mut x, mut y) = (n, m);
    for (edits, before) in trace.iter().enumerate().skip(1).rev() {
        // The trace of `edits` holds the diagonals -edits..=edits as they were before that round.
        let at = |diagonal: isize| {
            let place = diagonal + edits.cast_signed();
            usize::try_from(place).ok().and_then(|place| before.get(place).copied()).unwrap_or(0)
        };
        let diagonal = x.cast_signed() - y.cast_signed();
        let edge = edits.cast_signed();
        let from_above =
            diagonal == -edge || (diagonal != edge && at(diagonal - 1) < at(diagonal + 1));
        let previous = if from_above { diagonal + 1 } else { diagonal - 1 };
        let (from_x, from_y) = {
            let from_x = at(previous);
            (from_x, usize::try_from(from_x.cast_signed() - previous).unwrap_or(0))
        };
        let (edge_x, edge_y) = if from_above { (from_x, from_y + 1) } else { (from_x + 1, from_y) };
        while x > edge_x && y > edge_y {
            x -= 1;
            y -= 1;
            steps.push(Step::Same(x, y));
        }
        if from_above {
            y = from_y;
            steps.push(Step::Right(y));
        } else {
            x = from_x;
            steps.push(Step::Left(x));
        }
        y = y.min(from_y);
        x = x.min(from_x);
    }
    while x > 0 && y > 0 {
        x -= 1;
        y -= 1;
        steps.push(Step::Same(x, y));
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(left: &str, right: &str) -> String {
        let (left, right): (Vec<char>, Vec<char>) =
            (left.chars().collect(), right.chars().collect());
        let show = |step: Step| match step {
            Step::Same(a, _) => left[a].to_string(),
            Step::Left(a) => format!("-{}", left[a]),
            Step::Right(b) => format!("+{}", right[b]),
        };
        align(&left, &right).into_iter().map(show).collect()
    }

    #[test]
    fn lists_are_aligned() {
        for (left, right, expected) in [
            ("", "", ""),
            ("abc", "abc", "abc"),
            ("abc", "abcd", "abc+d"),
            ("abc", "", "-a-b-c"),
            ("", "ab", "+a+b"),
            ("abc", "axc", "a-b+xc"),
            ("abcd", "bd", "-ab-cd"),
            ("abd", "abcd", "ab+cd"),
            ("xabc", "abcy", "-xabc+y"),
        ] {
            assert_eq!(shown(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn what_differs_too_much_counts_as_replaced() {
        let left: Vec<usize> = (0..EDITS_MAX * 2).collect();
        let right: Vec<usize> = (0..EDITS_MAX * 2).map(|at| at + 1_000_000).collect();
        let steps = align(&left, &right);
        assert_eq!(steps.len(), left.len() + right.len());
        assert_eq!(steps.first(), Some(&Step::Left(0)));
    }

    proptest! {
        #[test]
        fn the_steps_lead_from_left_to_right(
            left in proptest::collection::vec(0_u8..4, 0..40),
            right in proptest::collection::vec(0_u8..4, 0..40),
        ) {
            let (mut a, mut b, mut same) = (0, 0, 0);
            for step in align(&left, &right) {
                match step {
                    Step::Same(x, y) => {
                        prop_assert_eq!((x, y), (a, b));
                        prop_assert_eq!(left[x], right[y]);
                        (a, b, same) = (a + 1, b + 1, same + 1);
                    }
                    Step::Left(x) => { prop_assert_eq!(x, a); a += 1; }
                    Step::Right(y) => { prop_assert_eq!(y, b); b += 1; }
                }
            }
            prop_assert_eq!((a, b), (left.len(), right.len()));
            prop_assert_eq!(same, longest(&left, &right));
        }
    }

    fn longest(left: &[u8], right: &[u8]) -> usize {
        let mut row = vec![0; right.len() + 1];
        for a in left {
            let mut before = 0;
            for (at, b) in right.iter().enumerate() {
                let here = row[at + 1];
                row[at + 1] = if a == b { before + 1 } else { here.max(row[at]) };
                before = here;
            }
        }
        row[right.len()]
    }
}
