//! The sink that keeps records: exchanges become rows here, and the store's own thread writes them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::exchange::Exchange;
use crate::exchange::level::Level;
use crate::exchange::summary::Account;
use crate::observe::awaited::Awaited;
use crate::observe::capture;
use crate::observe::clean::{self, Redaction};
use crate::observe::rules::RulesInForce;
use crate::observe::sink::Sink;
use crate::policy::capture::Rules;
use crate::store::awaited::Awaited as Awaiting;
use crate::store::entry::Entry;
use crate::store::late::Late;
use crate::store::row::Row;
use crate::store::text::{NAME_MAX, fit};
use crate::store::writer::Writer;

/// Hands rows to the store's writer, and stops it after the last batch.
pub struct KeepSink {
    writer: Writer,
    awaited: Arc<Awaited>,
    /// How much of an exchange is kept.
    rules: Arc<RulesInForce>,
    /// Found no room in the writer's queue yet.
    late: Late,
}

impl KeepSink {
    pub fn new(writer: Writer, awaited: Arc<Awaited>, rules: Arc<RulesInForce>) -> Self {
        Self { writer, awaited, rules, late: Late::default() }
    }

    /// What is stored of one exchange; of one that is not kept at all only what it cost, without a word of it.
    fn entry(
        &mut self,
        exchange: &Exchange,
        rules: &Rules,
        redaction: &Redaction,
    ) -> Option<Entry> {
        let level = capture::level(exchange, rules);
        if level == Level::Off {
            let at_us = i64::try_from(exchange.wall_us).unwrap_or(i64::MAX);
            for (attempt, tally) in exchange.attempts.iter().zip(&exchange.summary.tallies) {
                let mut account = Account::new(&attempt.provider, &attempt.model_label);
                account.add(tally);
                self.late.add(at_us, &account);
            }
            if is_written(exchange) {
                self.writer.handle().heads(Vec::new(), vec![exchange.id.bytes()]);
            }
            return None;
        }
        self.keep_awaited(exchange);
        let mut row = Row::of(exchange);
        row.level = level;
        row.headers = capture::indexed(exchange, &rules.indexed);
        row.head_written = is_written(exchange);
        let mut captured = capture::captured(exchange, level).map(Box::new);
        if let Some(captured) = &mut captured {
            let counters = self.writer.handle().counters();
            let untabled = captured.attempts.iter().map(|attempt| attempt.untabled).sum();
            counters.frames_untabled.fetch_add(untabled, Ordering::Relaxed);
            counters.bodies_cut.fetch_add(u64::from(captured.is_cut()), Ordering::Relaxed);
            redaction.whole_bodies(captured);
        }
        Some(Entry { row, captured })
    }

    fn keep_late(&mut self) {
        if !self.late.is_empty() {
            let late = std::mem::take(&mut self.late);
            self.late = self.writer.handle().put_late(late).err().unwrap_or_default();
        }
    }

    /// The answers whose usage comes later, of an exchange that is stored.
    fn keep_awaited(&self, exchange: &Exchange) {
        for (attempt, tally) in exchange.attempts.iter().zip(&exchange.summary.tallies) {
            let Some(awaits) = &tally.awaits else { continue };
            self.writer.handle().await_usage(Awaiting {
                response_id: fit(&awaits.response_id, NAME_MAX).into_owned(),
                provider: attempt.provider.to_string(),
                model: attempt.model.as_deref().map(|model| fit(model, NAME_MAX).into_owned()),
                model_label: attempt.model_label.to_string(),
                batch: awaits.batch,
                noted_at_us: i64::try_from(clock::wall_us()).unwrap_or(i64::MAX),
            });
        }
    }
}

/// Whether its head stands on disk, as of one that runs.
fn is_written(exchange: &Exchange) -> bool {
    exchange.seat.as_ref().is_some_and(|seat| seat.entry().is_written())
}

impl Sink for KeepSink {
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        let (rules, redaction) = (self.rules.load(), clean::in_force());
        let entries = batch.iter().filter_map(|exchange| self.entry(exchange, &rules, &redaction));
        let entries: Vec<Entry> = entries.collect();
        let handle = self.writer.handle();
        handle.put(entries);
        for (id, session) in batch.iter().filter_map(|exchange| exchange.summary.adopts.as_ref()) {
            if !handle.adopt(id.bytes(), session) {
                tracing::debug!(%id, "a first turn stays without its session: the store's queue is full");
            }
        }
        for id in self.awaited.settled() {
            handle.usage_came(&id);
        }
        self.keep_late();
    }

    /// Records are lost, tokens and cost are not: reports agree with metrics.
    fn account(&mut self, accounts: &[Account]) {
        let at_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
        for account in accounts {
            self.late.add(at_us, account);
        }
        self.keep_late();
    }

    /// Without its head an exchange of which nothing else is stored is not taken for one that a crash cut.
    fn lost(&mut self, ids: &[ExchangeId]) {
        self.writer.handle().heads(Vec::new(), ids.iter().map(|id| id.bytes()).collect());
    }

    fn flush(&mut self) {
        self.writer.stop_with(std::mem::take(&mut self.late));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::money::Nanodollars;
    use crate::exchange::fixture;
    use crate::exchange::frames::{Extent, Frames};
    use crate::exchange::leg::Body;
    use crate::neutral::usage::Usage;
    use crate::store::inbox::Limits;
    use crate::store::reader::Reader;
    use crate::store::rollup::Measure;
    use crate::store::usage::{Ask, By};
    use crate::store::vault::{NoClean, Vault};

    #[test]
    fn what_lost_records_cost_is_in_the_reports() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { queue_max: 0, ..Limits::default() };
        let writer = Writer::start(folder.path(), limits).unwrap();
        let mut sink = KeepSink::new(writer, Arc::default(), Arc::default());
        let usage = |input, output| Usage { input, output, ..Usage::default() };
        let account = |provider: &str, cost| Account {
            answers: 3,
            told: Usage { reasoning: Some(7), ..usage(Some(100), None) },
            estimated: usage(None, Some(20)),
            cost: Nanodollars(cost),
            ..Account::new(&provider.into(), &"gpt-5".into())
        };
        sink.account(&[account("openai", 1_000), account("azure", 5)]);
        sink.account(&[account("openai", 500)]);
        sink.take(&[], 9);
        sink.flush();
        let reader = Reader::open(folder.path()).unwrap();
        let measures = [
            Measure::Requests,
            Measure::Attempts,
            Measure::Input,
            Measure::Reasoning,
            Measure::EstimatedOutput,
            Measure::Cost,
        ];
        for by in [By::Provider, By::Session, By::Day, By::Hour] {
            let ask = Ask { by: vec![by], since_us: 0, until_us: i64::MAX / 2, limit: None };
            let report = reader.usage(&ask).unwrap();
            let sums = measures.map(|measure| report.total.sums.get(measure));
            assert_eq!(sums, [0, 9, 300, 21, 60, 1_505], "{:?}", ask.by);
            if ask.by == [By::Provider] {
                let dearest = &report.lines[0];
                assert_eq!(dearest.group, ["openai"]);
                assert_eq!(dearest.sums.get(Measure::Cost), 1_500);
            }
        }
    }

    /// The gateway makes one attempt at a time; records of more are what later versions and imports have.
    #[test]
    fn each_attempt_keeps_its_own_bytes_and_times() {
        let folder = tempfile::tempdir().unwrap();
        let bodies = Box::new(Vault::new(Box::new(NoClean), None));
        let writer = Writer::start_with(folder.path(), Limits::default(), Some(bodies)).unwrap();
        let rules = RulesInForce::new(Arc::new(Rules::of(Level::Full)));
        let mut sink = KeepSink::new(writer, Arc::default(), rules);
        let mut exchange = two_attempts();
        exchange.outcome = crate::exchange::outcome::Outcome::Complete;
        let id = exchange.id;
        sink.take(&[Box::new(exchange)], 0);
        sink.flush();
        let reader = Reader::open(folder.path()).unwrap();
        let stored = reader.exchange(reader.find(&id.to_string()).unwrap()).unwrap();
        let bytes = |n| &stored.upstream_response(n).unwrap().bytes[..];
        assert_eq!(bytes(0), b"{\"error\":\"busy\"}");
        assert_eq!(bytes(1), b"data: 1\n\ndata: 2\n\n");
        assert_eq!(stored.attempts[0].frames, [(100, 10), (300, 6)]);
        assert_eq!(stored.attempts[1].frames, [(900, 9), (1_200, 9)]);
        assert_eq!(stored.upstream_request(0).unwrap().bytes, b"{\"model\":\"a\"}");
        assert_eq!(stored.upstream_request(1).unwrap().bytes, b"{\"model\":\"b\"}");
        let statuses: Vec<_> = stored.attempts.iter().map(|attempt| attempt.status).collect();
        assert_eq!(statuses, [Some(503), Some(200)]);
        assert_eq!(stored.client_response().unwrap().bytes, bytes(1));
    }

    /// The first provider was busy, the second answered.
    fn two_attempts() -> Exchange {
        let mut exchange = fixture::exchange();
        let mut first = fixture::exchange().attempts.remove(0);
        (first.status, first.events) = (Some(http::StatusCode::SERVICE_UNAVAILABLE), false);
        exchange.request.note_body(&Bytes::from_static(b"{\"model\":\"ask\"}"));
        exchange.attempts.insert(0, first);
        let answers: [&[(u64, &'static [u8])]; 2] = [
            &[(100, b"{\"error\":\""), (300, b"busy\"}")],
            &[(900, b"data: 1\n\n"), (1_200, b"data: 2\n\n")],
        ];
        let sent: [&'static [u8]; 2] = [b"{\"model\":\"a\"}", b"{\"model\":\"b\"}"];
        exchange.response_bytes = 0;
        for ((attempt, answer), sent) in exchange.attempts.iter_mut().zip(answers).zip(sent) {
            attempt.frames = Frames::new(Extent::Body);
            attempt.response.body = Body::Framed;
            attempt.request.note_body(&Bytes::from_static(sent));
            for (at, piece) in answer {
                attempt.frames.push(*at, &Bytes::from_static(piece));
            }
            exchange.response_bytes = attempt.frames.bytes;
        }
        exchange.response.body = Body::Same;
        exchange
    }
}
