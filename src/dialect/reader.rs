//! Reads answers, off the hot path: events or one document in, a [`Reading`] out. One `match` for each thing that the
//! dialects do in their own way; nothing here can fail, and what cannot be understood is left out.

use crate::neutral::kind::{Dialect, Operation};
use crate::neutral::reading::{Content, Reading};

/// Reads one answer.
#[derive(Debug)]
pub struct Reader {
    dialect: Dialect,
    operation: Operation,
    /// Whether the answer's words are to be collected.
    words: bool,
    reading: Reading,
}

impl Reader {
    pub fn new(dialect: Dialect, operation: Operation, words: bool) -> Self {
        Self { dialect, operation, words, reading: Reading::default() }
    }

    /// Takes the next piece of an event stream, in any cut. `on_content` hears of each event that carried content, with
    /// the arrival of the piece that completed it.
    pub fn feed(&mut self, at_us: u64, piece: &[u8], on_content: &mut impl FnMut(u64, Content)) {
        let _ = (at_us, piece, on_content, self.dialect, self.operation, self.words);
    }

    /// Says that bytes are missing here: what stands half finished is dropped, and reading goes on at the next event.
    pub fn skip(&mut self) {}

    /// Takes a whole document.
    pub fn document(&mut self, body: &[u8]) -> Content {
        let _ = body;
        Content::NONE
    }

    /// Takes the end of a document whose front was not kept: usage usually stands there.
    pub fn document_end(&mut self, tail: &[u8]) {
        let _ = tail;
    }

    pub fn finish(self) -> Reading {
        self.reading
    }
}
