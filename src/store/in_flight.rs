//! Exchanges that have begun and not ended, on disk: so that a crash does not hide them.
//!
//! ```text
//!  runs longer than a moment ─► head into `in_flight` ─► record written, head deleted      one transaction each
//!                                     │ crash
//!                                     └─► the next start: a record, `gateway_error`, `interrupted`
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};

use crate::base::trace::TraceId;
use crate::exchange::level::Level;
use crate::exchange::outcome::Outcome;
use crate::exchange::signal::Signals;
use crate::neutral::failure::Source;
use crate::neutral::usage::Usage;
use crate::store::db::{self, OpenError};
use crate::store::entry::Entry;
use crate::store::insert::insert;
use crate::store::memory::Memory;
use crate::store::row::{AttemptRow, Row};
use crate::store::text::{LINE_MAX, NAME_MAX, fit};

/// The `error_kind` of an exchange that a crash cut.
pub const INTERRUPTED: &str = "interrupted";
/// Limit: heads that wait for the disk; of more, the newest are not written.
const WAITING_MAX: usize = 16_384;

/// What is known of an exchange that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    #[serde(skip)]
    pub id: [u8; 16],
    pub started_at_us: i64,
    pub dialect: String,
    pub operation: String,
    pub method: String,
    pub path: String,
    pub provider: Option<String>,
    pub model_requested: Option<String>,
    pub model: Option<String>,
    pub session: Option<String>,
    pub agent: String,
    pub key_label: Option<String>,
    pub client: Option<SocketAddr>,
    pub stream: bool,
    pub trace: [u8; 16],
    pub tags: Vec<(String, String)>,
    /// What a run of replays sent stays apart from traffic also where a crash cut it.
    pub run_id: Option<[u8; 16]>,
    pub replay_of: Option<[u8; 16]>,
}

impl Head {
    /// Its texts as a column may have them: without secrets, and bounded.
    fn fitted(mut self) -> Self {
        let name = |text: &mut String| *text = fit(text, NAME_MAX).into_owned();
        let texts = [&mut self.provider, &mut self.model_requested, &mut self.model];
        let more = [&mut self.session, &mut self.key_label];
        texts.into_iter().chain(more).flatten().for_each(name);
        self.path = fit(&self.path, LINE_MAX).into_owned();
        for (tag, value) in &mut self.tags {
            name(tag);
            name(value);
        }
        self
    }
}

/// Heads on their way to the disk: filled by handles, emptied by each commit.
#[derive(Debug, Default)]
pub(super) struct Heads {
    started: HashMap<[u8; 16], Head>,
    /// Have ended without a record that would delete the head.
    ended: Vec<[u8; 16]>,
}

impl Heads {
    pub(super) fn is_empty(&self) -> bool {
        self.started.is_empty() && self.ended.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.started.clear();
        self.ended.clear();
    }

    pub(super) fn start(&mut self, head: Head) {
        if self.started.len() < WAITING_MAX {
            self.started.insert(head.id, head.fitted());
        }
    }

    pub(super) fn end(&mut self, id: [u8; 16]) {
        if self.started.remove(&id).is_none() && self.ended.len() < WAITING_MAX {
            self.ended.push(id);
        }
    }

    /// Adds what came later.
    pub(super) fn take_up(&mut self, later: Self) {
        for (_, head) in later.started {
            self.start(head);
        }
        for id in later.ended {
            self.end(id);
        }
    }

    /// Inside the caller's transaction, before the rows of those that ended.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        for head in self.started.values() {
            let json = serde_json::to_string(head).unwrap_or_default();
            let sql = "INSERT OR REPLACE INTO in_flight (id, head) VALUES (?, ?)";
            connection.prepare_cached(sql)?.execute((head.id, json))?;
        }
        for id in &self.ended {
            let sql = "DELETE FROM in_flight WHERE id = ?";
            connection.prepare_cached(sql)?.execute([id])?;
        }
        Ok(())
    }
}

/// Makes records of the exchanges that were cut when the last `serve` on this folder ended; how many. To be called with the
/// folder's lock held, before the writer starts.
pub fn recover(folder: &Path) -> Result<u64, OpenError> {
    let mut connection = db::open_writer(folder, db::BUSY)?;
    let mut write = || {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let entries: Vec<Entry> = {
            let mut statement =
                transaction.prepare("SELECT id, head FROM in_flight ORDER BY id")?;
            let heads = statement.query_map([], |row| {
                let text: String = row.get(1)?;
                // A head that cannot be read leaves the record that there was one.
                let head: Head = serde_json::from_str(&text).unwrap_or_default();
                Ok(Head { id: row.get(0)?, ..head })
            })?;
            heads.map(|head| head.map(|head| cut(head).into())).collect::<rusqlite::Result<_>>()?
        };
        let done = insert(&transaction, &mut Memory::default(), None, (&entries, false))?;
        transaction.execute("DELETE FROM in_flight", [])?;
        transaction.commit()?;
        Ok(done.stored)
    };
    write().map_err(|error| OpenError::Sqlite { path: folder.join(db::FILE), error })
}

/// The record of an exchange that a crash cut.
fn cut(head: Head) -> Row {
    let model = head.model.as_deref().map(Into::into);
    let attempts = head.provider.as_deref().map(|provider| attempt(provider, model));
    Row {
        id: head.id,
        started_at_us: head.started_at_us,
        session: head.session,
        session_inferred: false,
        parent_session: None,
        dialect: head.dialect.into(),
        operation: head.operation.into(),
        model_requested: head.model_requested,
        status: None,
        outcome: Outcome::GatewayError,
        stream: head.stream,
        queued_us: 0,
        ttft_us: None,
        ttfo_us: None,
        contents_us: None,
        contents: 0,
        gaps_us: None,
        stalls: 0,
        duration_us: 0,
        overhead_us: 0,
        request_bytes: 0,
        response_bytes: 0,
        error_source: Some(Source::Gateway.label().into()),
        error_kind: Some(INTERRUPTED.into()),
        error_detail: Some("the gateway ended while the exchange was running".to_owned()),
        finish_reason: None,
        tools: Vec::new(),
        agent: head.agent.into(),
        method: head.method,
        path: head.path,
        client: head.client,
        key_label: head.key_label.map(Into::into),
        user_label: None,
        client_request_id: None,
        trace: TraceId(head.trace),
        cost_nanousd: None,
        tags: head.tags,
        headers: Vec::new(),
        level: Level::Meta,
        flags: 0,
        signals: Signals::default(),
        duplicate_of: None,
        prefix_changed_at: None,
        policy: 0,
        head_written: true,
        run_id: head.run_id,
        replay_of: head.replay_of,
        attempts: attempts.into_iter().collect(),
    }
}

fn attempt(provider: &str, model: Option<std::sync::Arc<str>>) -> AttemptRow {
    AttemptRow {
        provider: provider.into(),
        model_label: model.clone().unwrap_or_else(|| "other".into()),
        model,
        key_label: None,
        because: INTERRUPTED.into(),
        status: None,
        error_source: Some(Source::Gateway.label().into()),
        error_kind: Some(INTERRUPTED.into()),
        sent_us: 0,
        head_us: None,
        ended_us: None,
        link_us: None,
        peer: None,
        http: "".into(),
        tls: None,
        bytes: 0,
        upstream_request_id: None,
        response_id: None,
        response_model: None,
        service_tier: None,
        usage: Usage::default(),
        estimated: Usage::default(),
        usage_source: None,
        partial: false,
        missing: false,
        cost_nanousd: None,
        unpriced: false,
        price_basis: None,
        price_version: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::ExchangeId;
    use crate::store::listing;
    use crate::store::rollup::Measure;
    use crate::store::tests::{BASE_US, count, flushed, plain, read, signed, usage, writer};

    fn head(n: u8) -> Head {
        Head {
            id: [n; 16],
            started_at_us: signed(BASE_US) + i64::from(n),
            dialect: "anthropic_messages".to_owned(),
            operation: "chat".to_owned(),
            method: "POST".to_owned(),
            path: "/v1/messages".to_owned(),
            provider: Some("anthropic".to_owned()),
            model_requested: Some("claude".to_owned()),
            model: Some("claude-5".to_owned()),
            session: Some("s-1".to_owned()),
            agent: "claude-code".to_owned(),
            key_label: Some("ci".to_owned()),
            client: Some("[2001:db8::7]:5001".parse().unwrap()),
            stream: true,
            trace: [7; 16],
            tags: vec![("team".to_owned(), "search".to_owned())],
            run_id: None,
            replay_of: None,
        }
    }

    #[test]
    fn a_replay_that_a_crash_cut_is_none_of_traffic() {
        let folder = tempfile::tempdir().unwrap();
        {
            let writer = writer(&folder);
            let replay = Head { run_id: Some([8; 16]), replay_of: Some([9; 16]), ..head(1) };
            writer.handle().heads(vec![replay, head(2)], vec![]);
            flushed(writer.handle());
        }
        assert_eq!(recover(folder.path()).unwrap(), 2);
        let database = read(&folder);
        let ordinary = "exchanges WHERE run_id IS NULL";
        assert_eq!((count(&database, "exchanges"), count(&database, ordinary)), (2, 1));
        let row = listing::by_id(&database, &[1; 16]).unwrap().unwrap();
        let id = |byte| ExchangeId::from_bytes([byte; 16]).to_string();
        assert_eq!((row.run_id, row.replay_of), (Some(id(8)), Some(id(9))));
        assert_eq!(row.error_kind.as_deref(), Some(INTERRUPTED));
        let billed: i64 = database
            .query_row("SELECT coalesce(sum(requests), 0) FROM usage_hours", [], |row| row.get(0))
            .unwrap();
        assert_eq!(billed, 1, "usage counts traffic alone");
    }

    #[test]
    fn what_was_running_at_a_crash_becomes_a_record() {
        let folder = tempfile::tempdir().unwrap();
        {
            let writer = writer(&folder);
            let handle = writer.handle();
            handle.heads((1..=4).map(head).collect(), vec![]);
            flushed(handle);
            assert_eq!(count(&read(&folder), "in_flight"), 4);
            let mut row = plain(1);
            (row.id, row.head_written) = ([1; 16], true);
            handle.put(vec![row]);
            // One ends without a record, one begins and ends between two batches.
            handle.heads(vec![head(5)], vec![[2; 16], [5; 16]]);
            flushed(handle);
            assert_eq!(count(&read(&folder), "in_flight"), 2);
            handle.run(|connection| {
                let torn = "UPDATE in_flight SET head = 'torn' WHERE id = x'04040404040404040404040404040404'";
                assert_eq!(connection.execute(torn, []).unwrap(), 1);
            });
        }
        assert_eq!(recover(folder.path()).unwrap(), 2);
        assert_eq!(recover(folder.path()).unwrap(), 0);
        let database = read(&folder);
        assert_eq!((count(&database, "in_flight"), count(&database, "exchanges")), (0, 3));
        let row = listing::by_id(&database, &[3; 16]).unwrap().unwrap();
        assert_eq!((&*row.outcome, row.status), ("gateway_error", None));
        let texts =
            [&row.error_source, &row.error_kind, &row.provider, &row.model, &row.session_id];
        let told = ["gateway", "interrupted", "anthropic", "claude-5", "s-1"];
        assert_eq!(texts.map(|text| text.as_deref().unwrap_or_default()), told);
        assert_eq!((&*row.agent, &*row.path, row.stream), ("claude-code", "/v1/messages", true));
        assert_eq!(row.client_addr.as_deref(), Some("[2001:db8::7]:5001"));
        assert_eq!(row.tags, [("team".to_owned(), "search".to_owned())]);
        let torn = listing::by_id(&database, &[4; 16]).unwrap().unwrap();
        assert_eq!((torn.error_kind.as_deref(), torn.provider), (Some("interrupted"), None));
        let total = usage(folder.path(), &["day"]).total.sums;
        assert_eq!([Measure::Requests, Measure::Errors].map(|of| total.get(of)), [3, 2]);
    }

    #[test]
    fn heads_that_wait_are_bounded() {
        let mut heads = Heads::default();
        for n in 0..20_000u128 {
            heads.start(Head { id: n.to_le_bytes(), ..Head::default() });
            heads.end((n + 50_000).to_le_bytes());
        }
        assert_eq!((heads.started.len(), heads.ended.len()), (WAITING_MAX, WAITING_MAX));
    }
}
