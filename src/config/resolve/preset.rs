//! Which preset a block follows, and what to say when there is none of that name.

use super::Context;
use crate::base::near::nearest;
use crate::upstream::catalog::{self, Preset};

/// A login this gateway does not read, and the way to use it all the same.
pub(super) const CODEX: &str = "openai-codex";
pub(super) const CODEX_MESSAGE: &str = "ChatGPT logins are not read from disk";
pub(super) const CODEX_REMEDY: &str = "use the preset `chatgpt` and point Codex's openai_base_url at this gateway: its own login then passes through";

/// A fault that leaves nothing to go on; its finding is pushed.
pub(super) struct Unusable;

/// The preset a block names, by `type` or by its key.
pub(super) fn named(
    id: &str,
    written: Option<&str>,
    context: &mut Context<'_, '_>,
) -> Result<Option<&'static Preset>, Unusable> {
    let (word, path) = match written {
        Some(word) => (word, vec!["providers", id, "type"]),
        None => (id, vec!["providers", id]),
    };
    if word == CODEX {
        context.error(&path, CODEX_MESSAGE, CODEX_REMEDY);
        return Err(Unusable);
    }
    let preset = catalog::preset(word);
    if written.is_some() && preset.is_none() {
        context.error(&path, "no such preset", &remedy(word));
        return Err(Unusable);
    }
    Ok(preset)
}

/// What somebody may have meant by `word`, else the way to all names.
pub(super) fn remedy(word: &str) -> String {
    let names = catalog::all().iter().map(|preset| preset.name.as_str());
    match nearest(word, names.clone()).as_slice() {
        [] => format!("known: {}", names.collect::<Vec<_>>().join(", ")),
        near => format!("did you mean {}?", near.join(" or ")),
    }
}
