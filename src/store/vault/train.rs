//! Dictionaries trained on a store's own content, which has been cleaned. They go the way of content: a rewriting drops
//! them, and so does the removal of the last body.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use rusqlite::{Connection, OpenFlags, params};

use crate::base::aside;
use crate::base::clock;
use crate::store::vault::dictionaries::LEVEL;
use crate::store::vault::dictionaries::{self, Current, Slot, TRAINED_MIN};
use crate::store::vault::shelf::Shelf;
use crate::store::vault::{Part, Seal, VaultError};

/// Samples without which nothing is trained.
const SAMPLES_MIN: usize = 500;
/// Limits: samples, bytes of one, bytes of all. More would make a better dictionary only slowly.
const SAMPLES_MAX: i64 = 4_000;
/// Limit: the newest exchanges are looked at, whether they have samples or not.
const LOOKED_MAX: i64 = 20_000;
const SAMPLE_BYTES: usize = 16 << 10;
const ALL_BYTES: usize = 3 << 20;
/// Limit: bytes of a dictionary.
const DICTIONARY_BYTES: usize = 100 << 10;
/// One in this many samples is held out, to measure by.
const HELD_OUT: usize = 5;
/// What a dictionary has to save of the bytes without it, in percent.
const SAVED_MIN: usize = 10;
/// µs between two trainings of one slot.
const EVERY_US: u64 = 24 * 3_600 * 1_000_000;

/// A dictionary that is worth keeping.
#[derive(Debug, Clone)]
pub struct Trained {
    pub slot: Slot,
    pub samples: u64,
    /// Of the bytes with the dictionary before it, on samples it was not trained on, in percent.
    pub saved: usize,
    bytes: Vec<u8>,
}

/// Trains a dictionary for `slot` on the newest that is stored. `None`: there is too little, the last training was within
/// the day, or what it gave is not worth its bytes. Only reads; takes up to some seconds.
pub fn train(
    connection: &Connection,
    shelf: &mut Shelf,
    slot: Slot,
) -> Result<Option<Trained>, VaultError> {
    let before = Current::load(connection, shelf.seal.as_deref())?.of(slot);
    if before >= TRAINED_MIN {
        let sql = "SELECT trained_at_us FROM dictionaries WHERE id = ?1";
        let at: i64 = connection.prepare_cached(sql)?.query_row([before], |row| row.get(0))?;
        if clock::wall_us().saturating_sub(at.cast_unsigned()) < EVERY_US {
            return Ok(None);
        }
    }
    let samples = samples(connection, shelf, slot, ALL_BYTES)?;
    if samples.len() < SAMPLES_MIN {
        return Ok(None);
    }
    let (mut training, mut held_out) = (Vec::new(), Vec::new());
    for (n, sample) in samples.iter().enumerate() {
        if n % HELD_OUT == 0 { held_out.push(sample) } else { training.push(sample) }
    }
    let Ok(bytes) = zstd::dict::from_samples(&training, DICTIONARY_BYTES) else { return Ok(None) };
    let packed = |shelf: &mut Shelf| {
        let sizes = held_out.iter().map(|sample| {
            let packed = shelf.pack_with(connection, sample, before);
            packed.map_or(sample.len(), |blob| blob.len())
        });
        sizes.sum::<usize>()
    };
    let old = packed(shelf);
    let Ok(mut packer) = zstd::bulk::Compressor::with_dictionary(LEVEL, &bytes) else {
        return Ok(None);
    };
    let sizes =
        held_out.iter().map(|sample| packer.compress(sample).map_or(sample.len(), |it| it.len()));
    let new: usize = sizes.sum();
    let saved = old.saturating_sub(new) * 100 / old.max(1);
    // As much again as the samples will come: it has to earn its own bytes.
    let earns = old.saturating_sub(new) * HELD_OUT > bytes.len() / 4;
    let samples = samples.len() as u64;
    Ok((saved >= SAVED_MIN && earns).then_some(Trained { slot, samples, saved, bytes }))
}

/// A training on a thread of its own.
#[derive(Debug)]
pub(super) struct Training {
    outcome: Receiver<Result<Option<Trained>, VaultError>>,
    /// The number of removals before it began.
    pub(super) removals: i64,
}

impl Training {
    /// Begins one, with a connection of its own to the file of this one. `None`: there is no file, or no thread to be had.
    pub(super) fn start(
        connection: &Connection,
        seal: Option<Arc<dyn Seal>>,
        slot: Slot,
        removals: i64,
    ) -> Option<Self> {
        let path = connection.path().filter(|path| !path.is_empty())?.to_owned();
        let (done, outcome) = sync_channel(1);
        let work = move || {
            aside::stand_aside();
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let trained = Connection::open_with_flags(path, flags)
                .map_err(VaultError::from)
                .and_then(|own| train(&own, &mut Shelf::new(seal), slot));
            // Whoever asked may have ended.
            let _told = done.send(trained);
        };
        let thread = std::thread::Builder::new().name("pinhole-train".to_owned());
        thread.spawn(work).ok()?;
        Some(Self { outcome, removals })
    }

    /// What came of it; `None`: it goes on.
    pub(super) fn done(&self) -> Option<Result<Option<Trained>, VaultError>> {
        match self.outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            // It panicked: no dictionary.
            Err(TryRecvError::Disconnected) => Some(Ok(None)),
        }
    }
}

impl Trained {
    /// Writes the dictionary; what is stored from the next transaction on uses it.
    pub fn keep(&self, connection: &Connection, shelf: &Shelf) -> rusqlite::Result<i64> {
        let (seal, label) = (shelf.seal.as_deref(), self.slot.label());
        let told = (self.samples, clock::wall_us());
        dictionaries::insert(connection, seal, label, told, &self.bytes)
    }
}

/// The newest blobs of a slot, unpacked, of `bytes_max` bytes or a little more.
pub fn samples(
    connection: &Connection,
    shelf: &mut Shelf,
    slot: Slot,
    bytes_max: usize,
) -> Result<Vec<Vec<u8>>, VaultError> {
    let (column, part) = match slot {
        Slot::Content => ("content", Part::Content),
        _ => ("rest", Part::Rest),
    };
    let kind = dictionaries::kind(slot.label(), shelf.seal.is_some());
    let sql = format!(
        "SELECT seq, {column}_dictionary, {column} FROM bodies
         WHERE max({column}_dictionary, -1 - {column}_dictionary) IN
             (SELECT ?1 UNION ALL SELECT id FROM dictionaries WHERE kind = ?2)
         AND seq > (SELECT max(seq) FROM bodies) - ?4 ORDER BY seq DESC LIMIT ?3"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![slot.own(), kind, SAMPLES_MAX, LOOKED_MAX])?;
    let (mut samples, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (seq, id, blob): (i64, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if let Ok(mut plain) = shelf.open(connection, &blob, id, (seq, part)) {
            plain.truncate(SAMPLE_BYTES);
            bytes += plain.len();
            samples.push(plain);
        }
        if bytes > bytes_max {
            break;
        }
    }
    Ok(samples)
}
