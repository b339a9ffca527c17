//! Whether a turn begins as the one before it ended: only then can the provider read it from its cache.

use super::talks::Turn;
use crate::dialect::session::{Part, Side, Sketch};

/// Where the beginning of the prompt differs from the last turn's: the offset of the first tool, block of instructions or
/// message that is not the same. The beginning is all that stands before the model's last answer: what follows is this
/// turn's own, and may be anything (a new question, the last one asked anew).
pub(super) fn changed(last: &Turn, turn: &Turn, sketch: &Sketch) -> Option<u64> {
    let offset = |part: Option<&Part>| part.map(|part| part.from as u64);
    let alike = common(&last.head, &turn.head);
    if alike < last.head.len() || alike < turn.head.len() {
        return offset(sketch.head.get(alike).or(sketch.messages.first()));
    }
    let alike = common(&last.messages, &turn.messages);
    // Nothing in common and shorter than before: the history was replaced by something else, such as a summary.
    let is_replaced = alike == 0 && turn.messages.len() < last.messages.len();
    let due = beginning(&sketch.messages).min(last.messages.len());
    (alike < due || is_replaced).then(|| offset(sketch.messages.get(alike))).flatten()
}

fn common(last: &[u32], turn: &[u32]) -> usize {
    last.iter().zip(turn).take_while(|(one, other)| one == other).count()
}

/// How many messages stand before the model's last answer.
fn beginning(messages: &[Part]) -> usize {
    let side = |at: usize| messages.get(at).map(|part| part.side);
    let mut at = messages.len();
    while at > 0 && side(at - 1) != Some(Side::Answered) {
        at -= 1;
    }
    while at > 0 && side(at - 1) == Some(Side::Answered) {
        at -= 1;
    }
    at
}
