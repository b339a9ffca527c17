//! Reads embeddings: the vectors are no words, so only the usage and the model are of interest. They do not stream.

use crate::base::json::Walk;
use crate::dialect::notes::Notes;
use crate::neutral::reading::Content;

/// Reads the data of one event, should a server ever send one.
pub(crate) fn event(notes: &mut Notes, data: &[u8]) -> Content {
    document(notes, &mut Walk::new(data))
}

/// Reads a whole answer.
pub(crate) fn document(notes: &mut Notes, walk: &mut Walk<'_>) -> Content {
    walk.members(|walk, key| match key {
        b"usage" => {
            notes.tokens.read(walk);
        }
        b"id" => notes.response_id(walk),
        b"model" => notes.model(walk),
        b"error" => notes.error(walk),
        _ => {}
    });
    // All that is embedded is input.
    notes.tokens.take_total_as_input();
    Content::NONE
}
