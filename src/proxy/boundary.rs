//! Where in an event stream something may be written: only between two events.

/// Whether the bytes that passed so far end between two events: after a blank line, across any split.
pub(super) struct Boundary {
    pub(super) between_events: bool,
    /// The line under way has no bytes yet.
    line_empty: bool,
}

impl Default for Boundary {
    fn default() -> Self {
        Self { between_events: true, line_empty: true }
    }
}

impl Boundary {
    pub(super) fn pass(&mut self, data: &[u8]) {
        for byte in data {
            match byte {
                b'\n' => {
                    self.between_events = self.line_empty;
                    self.line_empty = true;
                }
                b'\r' => {}
                _ => {
                    self.line_empty = false;
                    self.between_events = false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict after `text`, passed in pieces of every size.
    fn check(text: &str, between_events: bool) {
        for size in 1..=text.len() {
            let mut boundary = Boundary::default();
            for piece in text.as_bytes().chunks(size) {
                boundary.pass(piece);
            }
            assert_eq!(boundary.between_events, between_events, "{text:?} in pieces of {size}");
        }
    }

    #[test]
    fn a_comment_is_written_only_after_a_blank_line() {
        check("data: a\n\n", true);
        check("data: a\r\n\r\n", true);
        check("event: x\ndata: a\n\n: comment\n\n", true);
        check("data: a\n", false);
        check("data: a\n\ndata: b", false);
        check("data: a\r\n", false);
    }
}
