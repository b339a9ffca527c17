//! Makes the program's dictionaries anew: `cargo bench --bench capture -- --train`. The same seed and the same corpus give
//! the same bytes with one version of zstd. A dictionary that was released is never replaced, only joined by another.

use std::path::Path;

use pinhole::store::vault::{self, NoClean, Shelf, Slot, Vault};
use rusqlite::Connection;

use super::corpus::Corpus;

/// Exchanges of each kind.
const EXCHANGES: i64 = 1_500;

/// Limit: bytes of the samples of one slot.
const SAMPLES_BYTES: usize = 8 << 20;

/// Bytes of a dictionary: that of contents has the most to know.
fn bytes_max(slot: Slot) -> usize {
    match slot {
        Slot::Content => 64 << 10,
        Slot::Documents => 32 << 10,
        _ => 24 << 10,
    }
}

/// Writes all dictionaries to `folder`.
pub(crate) fn train(folder: &Path) {
    for (slot, kinds) in [
        (
            Slot::Content,
            &[
                ("openai_chat", true),
                ("openai_responses", true),
                ("anthropic", true),
                ("gemini", true),
            ][..],
        ),
        (Slot::OpenAiChat, &[("openai_chat", true)]),
        (Slot::OpenAiResponses, &[("openai_responses", true)]),
        (Slot::Anthropic, &[("anthropic", true)]),
        (Slot::Gemini, &[("gemini", true)]),
        (
            Slot::Documents,
            &[
                ("openai_chat", false),
                ("openai_responses", false),
                ("anthropic", false),
                ("gemini", false),
            ],
        ),
    ] {
        let samples = samples(slot, kinds);
        let bytes = zstd::dict::from_samples(&samples, bytes_max(slot)).expect("a dictionary");
        println!("{:<18} {:>6} bytes of {} samples", slot.label(), bytes.len(), samples.len());
        std::fs::write(folder.join(format!("{}.zdict", slot.label())), bytes).expect("a file");
    }
}

/// Blobs as they are before compression.
fn samples(slot: Slot, kinds: &[(&'static str, bool)]) -> Vec<Vec<u8>> {
    let connection = Connection::open_in_memory().expect("a database");
    connection
        .execute_batch(include_str!("../../../src/store/schema/0002_bodies.sql"))
        .expect("the schema");
    let mut vault = Vault::new(Box::new(NoClean), None);
    let mut corpus = Corpus::new(77 + slot as u64);
    let mut seq = 0;
    while seq < EXCHANGES {
        for (dialect, events) in kinds {
            seq += 1;
            let captured = corpus.exchange(dialect, *events);
            vault.store(&connection, seq, None, &captured).expect("a store");
            // Every seventh is the first of its kind, so that heads without a template are known as well.
            if seq % 7 == 0 {
                connection.execute("DELETE FROM dictionaries", []).expect("a deletion");
                vault.rolled_back();
            } else {
                vault.committed();
            }
        }
    }
    vault::samples(&connection, &mut Shelf::default(), slot, SAMPLES_BYTES).expect("samples")
}
