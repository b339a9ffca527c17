//! The faces of a [`Report`](crate::report::Report): the same numbers for a terminal, a pull request, a program, a spreadsheet,
//! a build server and a browser. Nothing here measures or judges, except [`gate`], which holds a report against a condition.
//!
//! ```text
//!  Report ─┬─► terminal, markdown, json          (what it says)
//!          ├─► gate ─► junit                     (whether it is good enough)
//!  rows ───┼─► csv                               (a line a request)
//!  texts ──┴─► html                              (all of it, with pictures, in one file)
//! ```
//!
//! Invariant: no face writes a number that is not finite, and none lets a name or an answer steer what shows it (escape
//! sequences of terminals, tags, changes of writing direction): see [`words`].

pub mod csv;
pub mod gate;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod terminal;
pub(crate) mod view;
pub mod words;

/// Appends to a `String`, which never fails.
macro_rules! put {
    ($out:expr, $($what:tt)*) => {{
        use std::fmt::Write as _;
        let _ = write!($out, $($what)*);
    }};
}
pub(crate) use put;
