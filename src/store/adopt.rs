//! Sessions that become known late: the first turn of a conversation is stored before the second shows what it began.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use crate::exchange::outcome::Outcome;
use crate::store::detail::Detail;
use crate::store::memory::Memory;
use crate::store::rollup::{Batch, Counted, DAY_S, end_of, hour_of, sums_of};
use crate::store::words::{Lexicon, spelled};

/// The session of an exchange that was stored without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    pub id: [u8; 16],
    pub session: String,
}

/// Gives records their sessions and moves their sums, inside the caller's transaction. A record that is gone, or has a
/// session, is left alone.
pub(super) fn write(
    connection: &Connection,
    memory: &mut Memory,
    adopted: &[Adopted],
) -> rusqlite::Result<()> {
    if adopted.is_empty() {
        return Ok(());
    }
    memory.begin(connection)?;
    let mut batch = Batch::default();
    let mut emptied = BTreeSet::new();
    let mut lexicon = Lexicon::default();
    let mut find = connection.prepare_cached(&format!(
        "SELECT r.seq, r.started_at_us, {}, r.duration_us, r.run_id IS NOT NULL, r.detail \
         FROM exchange_records AS r WHERE r.id = ? AND r.session IS NULL",
        spelled("r.outcome")
    ))?;
    let mut update =
        connection.prepare_cached("UPDATE exchange_records SET session = ?2 WHERE seq = ?1")?;
    for Adopted { id, session } in adopted {
        let found = find.query_row([id], |row| {
            let (seq, started_at_us): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (outcome, duration_us): (String, i64) = (row.get(2)?, row.get(3)?);
            let detail = Detail::decode(row.get_ref(5)?.as_blob_or_null()?.unwrap_or_default());
            Ok((seq, started_at_us, outcome, duration_us, row.get::<_, bool>(4)?, detail))
        });
        let Some((seq, started_at_us, outcome, duration_us, is_replay, mut detail)) =
            found.optional()?
        else {
            continue;
        };
        let number = memory.sessions.id(connection, session, None, true)?;
        update.execute((seq, number))?;
        let known = Outcome::ALL.into_iter().find(|known| known.label() == outcome);
        let (Some(outcome), false) = (known, is_replay) else { continue };
        let mut sums = end_of(outcome, detail.tool_calls, duration_us);
        for tried in &mut detail.attempts {
            tried.resolve(|id| lexicon.text(connection, id))?;
            sums.plus(&sums_of(&Counted::from(&*tried)));
        }
        let hour_s = hour_of(started_at_us);
        batch.adopt(hour_s, session, &sums);
        emptied.insert(("session_hours", hour_s));
        emptied.insert(("session_days", hour_s - hour_s.rem_euclid(DAY_S)));
    }
    batch.write(connection)?;
    for (table, hours) in emptied {
        // Nothing counts without a session any more; a line of zeros would be a session in reports.
        let sql = format!(
            "DELETE FROM {table} WHERE start_s = ? AND session = '' AND requests = 0 AND attempts = 0"
        );
        connection.prepare_cached(&sql)?.execute([hours])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::tests::{count, flushed, plain, read, traffic, usage, writer};

    #[test]
    fn a_session_that_comes_late_counts_as_if_it_had_been_there() {
        let (folder, straight) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rows = traffic();
        let mut late = rows.clone();
        let mut adopted = Vec::new();
        // Some sessions are adopted whole, of others one turn; and an exchange that nobody knows.
        for row in late.iter_mut().step_by(2) {
            if let Some(session) = row.session.take() {
                adopted.push((row.id, session));
            }
        }
        adopted.push(([9; 16], "s-none".to_owned()));
        writer(&straight).handle().put(rows);
        let running = writer(&folder);
        running.handle().put(late);
        for (id, session) in &adopted {
            assert!(running.handle().adopt(*id, session));
        }
        // Who has a session keeps it.
        assert!(running.handle().adopt(adopted[0].0, "s-other"));
        flushed(running.handle());
        for by in [&["session"][..], &["session", "hour"], &["session", "day"], &["model"]] {
            let (mended, whole) = (usage(folder.path(), by), usage(straight.path(), by));
            assert_eq!(mended, whole, "{by:?}");
        }
        let of_session = |folder| count(&read(folder), "exchanges WHERE session_id IS NOT NULL");
        assert_eq!(of_session(&folder), of_session(&straight));
        let alone = plain(7);
        assert!(running.handle().adopt(alone.id, "s-too-early"));
        flushed(running.handle());
        running.handle().put(vec![alone.clone()]);
        assert!(running.handle().adopt(alone.id, "s-found"));
        flushed(running.handle());
        let found = "exchanges WHERE session_id = 's-found' AND session_inferred = 1";
        assert_eq!(count(&read(&folder), found), 1);
    }
}
