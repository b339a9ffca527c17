//! Dictionaries for compression: those of the program, and those trained on a store's own content.

use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension, params};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::store::capture::Kind;
use crate::store::vault::{Part, Seal};

/// The level at which all blobs are written; dictionaries help more than a higher one would.
pub(in crate::store::vault) const LEVEL: i32 = 3;
/// Number of the dictionary that there is not.
pub(in crate::store::vault) const NO_DICTIONARY: i64 = 0;
/// Numbers from here on are those of a store's own: trained dictionaries, and templates of headers.
pub(super) const TRAINED_MIN: i64 = 1_000;

/// What a dictionary is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Segments of requests, of all dialects.
    Content,
    /// Headers and streams of events, one dialect each.
    OpenAiChat,
    OpenAiResponses,
    Anthropic,
    Gemini,
    /// Headers and answers in one document, or none.
    Documents,
}

impl Slot {
    pub const ALL: [Self; 6] = [
        Self::Content,
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::Anthropic,
        Self::Gemini,
        Self::Documents,
    ];

    /// In the column `kind` of `dictionaries`, and the name of the program's file.
    pub fn label(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Documents => "documents",
        }
    }

    /// For the rest of an exchange whose answer is of this kind.
    pub fn of_rest(kind: Kind) -> Self {
        match kind.dialect {
            _ if !kind.events => Self::Documents,
            "openai_chat" => Self::OpenAiChat,
            "openai_responses" => Self::OpenAiResponses,
            "anthropic" => Self::Anthropic,
            "gemini" => Self::Gemini,
            _ => Self::Documents,
        }
    }

    /// The number of the program's dictionary. Never changed once released, nor are its bytes: another gets another number.
    pub(super) fn own(self) -> i64 {
        match self {
            Self::Content => 1,
            Self::OpenAiChat => 2,
            Self::OpenAiResponses => 3,
            Self::Anthropic => 4,
            Self::Gemini => 5,
            Self::Documents => 6,
        }
    }
}

/// The program's dictionaries, by number from 1. Made by `tests/bench/capture/train.rs`.
const OWN: [&[u8]; 6] = [
    include_bytes!("content.zdict"),
    include_bytes!("openai_chat.zdict"),
    include_bytes!("openai_responses.zdict"),
    include_bytes!("anthropic.zdict"),
    include_bytes!("gemini.zdict"),
    include_bytes!("documents.zdict"),
];

type Prepared = (EncoderDictionary<'static>, DecoderDictionary<'static>);

/// As zstd wants them, made at the first use and shared by all threads.
static PREPARED: [LazyLock<Prepared>; 6] = [
    LazyLock::new(|| prepare(OWN[0])),
    LazyLock::new(|| prepare(OWN[1])),
    LazyLock::new(|| prepare(OWN[2])),
    LazyLock::new(|| prepare(OWN[3])),
    LazyLock::new(|| prepare(OWN[4])),
    LazyLock::new(|| prepare(OWN[5])),
];

fn prepare(bytes: &[u8]) -> Prepared {
    (EncoderDictionary::copy(bytes, LEVEL), DecoderDictionary::copy(bytes))
}

/// A dictionary of the program.
pub(super) fn prepared(id: i64) -> Option<&'static Prepared> {
    let at = usize::try_from(id.checked_sub(1)?).ok()?;
    PREPARED.get(at).map(|prepared| &**prepared)
}

/// The numbers of the dictionaries in use, one for each slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Current([i64; 6]);

impl Default for Current {
    fn default() -> Self {
        Self(Slot::ALL.map(Slot::own))
    }
}

impl Current {
    pub(super) fn of(&self, slot: Slot) -> i64 {
        let at = Slot::ALL.iter().position(|known| *known == slot);
        at.and_then(|at| self.0.get(at)).copied().unwrap_or(NO_DICTIONARY)
    }

    /// The newest of each slot: trained where one was, else the program's.
    pub(super) fn load(connection: &Connection, seal: Option<&dyn Seal>) -> rusqlite::Result<Self> {
        let sql = "SELECT max(id) FROM dictionaries WHERE kind = ?1";
        let mut statement = connection.prepare_cached(sql)?;
        let mut current = Self::default();
        for (id, slot) in current.0.iter_mut().zip(Slot::ALL) {
            let kind = kind(slot.label(), seal.is_some());
            let newest: Option<i64> = statement.query_row([kind], |row| row.get(0))?;
            *id = newest.unwrap_or(slot.own());
        }
        Ok(current)
    }
}

/// The column `kind`: what is encrypted says so.
pub(super) fn kind(label: &str, sealed: bool) -> String {
    if sealed { format!("{label} sealed") } else { label.to_owned() }
}

/// Adds a row and gives its number.
pub(super) fn insert(
    connection: &Connection,
    seal: Option<&dyn Seal>,
    label: &str,
    (samples, at_us): (u64, u64),
    bytes: &[u8],
) -> rusqlite::Result<i64> {
    let sql = "SELECT max(coalesce(max(id), 0) + 1, ?1) FROM dictionaries";
    let id = connection.prepare_cached(sql)?.query_row([TRAINED_MIN], |row| row.get(0))?;
    let sealed = seal.map(|seal| seal.seal(bytes, id, Part::Dictionary));
    let sql = "INSERT INTO dictionaries (id, kind, trained_at_us, samples, bytes) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(sql)?.execute(params![
        id,
        kind(label, sealed.is_some()),
        i64::try_from(at_us).unwrap_or(i64::MAX),
        i64::try_from(samples).unwrap_or(i64::MAX),
        sealed.as_deref().unwrap_or(bytes)
    ])?;
    Ok(id)
}

/// The bytes of a row, and its label.
pub(super) fn row(
    connection: &Connection,
    seal: Option<&dyn Seal>,
    id: i64,
) -> Option<(String, Vec<u8>)> {
    let sql = "SELECT kind, bytes FROM dictionaries WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql).ok()?;
    let row = statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional();
    let (kind, bytes): (String, Vec<u8>) = row.ok()??;
    match kind.strip_suffix(" sealed") {
        None => Some((kind, bytes)),
        Some(label) => Some((label.to_owned(), seal?.open(&bytes, id, Part::Dictionary)?)),
    }
}

/// The bytes of the dictionary `id` for compression; none of no dictionary.
pub(super) fn bytes(connection: &Connection, seal: Option<&dyn Seal>, id: i64) -> Option<Vec<u8>> {
    if id == NO_DICTIONARY {
        return Some(Vec::new());
    }
    row(connection, seal, id).map(|(_, bytes)| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_dictionaries_are_there_and_small() {
        for (slot, bytes) in Slot::ALL.into_iter().zip(OWN) {
            assert!((1_000..=64 * 1024).contains(&bytes.len()), "{slot:?}: {}", bytes.len());
            assert!(prepared(slot.own()).is_some());
        }
        assert!(prepared(0).is_none() && prepared(7).is_none());
    }
}
