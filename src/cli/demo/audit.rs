//! Whether the numbers add up: the clients' calls, the gateway's records and the providers' logs tell one story.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use crate::base::clock;
use crate::neutral::usage::UsageSource;
use crate::simulate::record::{End as SeenEnd, Seen};

use super::bill::Bill;
use super::drive::{Call, End};
use super::record::{Metered, Record};
use super::traffic::{Ask, SESSIONS, Story};

/// A request as a simulated provider saw it, reduced to what is compared.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) provider: &'static str,
    pub(crate) digest: blake3::Hash,
    /// A gateway key or a header of the gateway's own came along.
    pub(crate) leaked: bool,
    /// When the gateway closed the connection before the answer's end.
    pub(crate) cancelled_at: Option<Instant>,
}

/// A call and its record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) call: &'a Call,
    pub(crate) record: Option<&'a Record>,
}

/// What was compared, and what differs.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) calls: usize,
    pub(crate) records: usize,
    /// Calls whose client left right after the last event, without waiting for the end.
    pub(crate) left_at_end: usize,
    /// Requests that reached a provider.
    pub(crate) forwarded: usize,
    pub(crate) response_bytes: u64,
    /// Answers whose tokens are those that their clients were told, and the dialects they came in.
    pub(crate) told: usize,
    pub(crate) dialects: BTreeSet<&'static str>,
    /// Tokens among them that came from a cache.
    pub(crate) cached: u64,
    /// Answers that told less than that, and were estimated and marked.
    pub(crate) estimated: usize,
    /// Failing calls that were diagnosed as what the script made of them.
    pub(crate) explained: usize,
    /// From the client's hang-up to the provider's connection being closed.
    pub(crate) hang_up_us: Option<u64>,
    /// One sentence each; empty when all is well.
    pub(crate) differences: Vec<String>,
}

impl Arrival {
    pub(crate) fn of(provider: &'static str, seen: &Seen) -> Self {
        let carries_key = |text: &str| text.contains("pk-demo-");
        let leaked = carries_key(seen.target())
            || seen.headers.iter().any(|(name, value)| {
                name.as_str().starts_with("x-pinhole-") || value.to_str().is_ok_and(carries_key)
            });
        let cancelled = match seen.end {
            Some((SeenEnd::Cancelled, at)) => Some(at),
            _ => None,
        };
        Self { provider, digest: blake3::hash(&seen.body), leaked, cancelled_at: cancelled }
    }
}

/// Joins calls with records by exchange id.
pub(crate) fn join<'a>(calls: &'a [Call], records: &'a [Record]) -> Vec<Row<'a>> {
    let by_id: HashMap<&str, &Record> =
        records.iter().map(|record| (&*record.id, record)).collect();
    let row = |call: &'a Call| Row {
        call,
        record: call.id.as_deref().and_then(|id| by_id.get(id).copied()),
    };
    calls.iter().map(row).collect()
}

/// Compares everything with everything.
pub(crate) fn audit(rows: &[Row<'_>], records: &[Record], arrivals: &[Arrival]) -> Audit {
    let mut audit = Audit {
        calls: rows.len(),
        records: records.len(),
        forwarded: arrivals.len(),
        ..Audit::default()
    };
    once_each(rows, records, &mut audit);
    for row in rows {
        compare(row, &mut audit);
    }
    bodies(rows, arrivals, &mut audit);
    audit.hang_up_us = hang_up(rows, arrivals);
    let hung_up = |row: &Row<'_>| matches!(row.call.end, End::HungUp(_));
    if audit.hang_up_us.is_none() && rows.iter().any(hung_up) {
        let text = "a client hung up, but its provider was not let go";
        audit.differences.push(text.to_owned());
    }
    audit
}

impl Audit {
    /// Three who counted the same: the records, the counters, the store.
    pub(crate) fn bills(&mut self, records: &Bill, metrics: &Bill, store: Result<&Bill, &String>) {
        self.differences.extend(records.differences(metrics, "the metrics"));
        match store {
            Ok(store) => self.differences.extend(records.differences(store, "the store")),
            Err(error) => self.differences.push(error.clone()),
        }
    }
}

/// Every call has one record, every record one call.
fn once_each(rows: &[Row<'_>], records: &[Record], audit: &mut Audit) {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records {
        *times.entry(&record.id).or_default() += 1;
    }
    for (id, count) in times.iter().filter(|(_, count)| **count > 1) {
        audit.differences.push(format!("exchange {id} was recorded {count} times"));
    }
    let made: HashSet<&str> = rows.iter().filter_map(|row| row.call.id.as_deref()).collect();
    for id in times.keys().filter(|id| !made.contains(**id)) {
        audit.differences.push(format!("exchange {id} was recorded, but no client made it"));
    }
}

/// One call against its record and the script.
fn compare(row: &Row<'_>, audit: &mut Audit) {
    let Row { call, record } = *row;
    let name = SESSIONS[call.session].name;
    let what = format!("{name}, {} to {}", call.dialect.label(), call.model);
    let Some(record) = record else {
        audit.differences.push(format!("{what}: no exchange was recorded"));
        return;
    };
    let mut differ = |text: String| {
        audit.differences.push(format!("{} ({what}): {text}", record.id));
    };
    let (status, outcome) = (call.expected.status, call.expected.outcome);
    if call.status != Some(status) {
        differ(format!("the client got {:?}, not {status}", call.status));
    }
    if record.status != call.status {
        differ(format!("recorded status {:?}, the client got {:?}", record.status, call.status));
    }
    if record.outcome != outcome {
        differ(format!("outcome {}, not {}", record.outcome.label(), outcome.label()));
    }
    let label = (call.story != Story::WrongKey).then_some(name);
    if record.key_label.as_deref() != label {
        differ(format!("recorded for key {:?}, not {label:?}", record.key_label));
    }
    let wanted = match call.story {
        Story::WrongKey | Story::UnknownModel => None,
        _ => call.model.strip_prefix("fake/"),
    };
    if record.provider.as_deref() != wanted {
        differ(format!("sent to {:?}, not {wanted:?}", record.provider));
    }
    let countable = call.end == End::Whole;
    if countable && record.response_bytes != call.bytes {
        differ(format!("{} bytes recorded, {} received", record.response_bytes, call.bytes));
    }
    read_well(call, &mut differ);
    let metering = metered(call, record.attempts.last(), &mut differ);
    if countable {
        audit.response_bytes += call.bytes;
    }
    match metering {
        Metering::Told => {
            audit.told += 1;
            audit.dialects.insert(call.dialect.label());
            audit.cached += call.answer.usage.cached;
        }
        Metering::Estimated => audit.estimated += 1,
        Metering::Nothing => {}
    }
    audit.left_at_end += usize::from(call.end == End::Left);
}

/// Whose tokens an answer's are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Metering {
    Told,
    Estimated,
    Nothing,
}

/// Tokens as the gateway metered them against those that the client was told.
fn metered(call: &Call, metered: Option<&Metered>, differ: &mut impl FnMut(String)) -> Metering {
    let source = metered.and_then(|metered| metered.source);
    let bills = call.status == Some(200) && call.ask != Ask::CountTokens;
    let Some(metered) = metered.filter(|_| bills) else {
        if bills {
            differ("no tokens were metered".to_owned());
        } else if source.is_some() {
            differ("tokens were metered where there were none".to_owned());
        }
        return Metering::Nothing;
    };
    let ended = matches!(call.end, End::Whole | End::Left) && call.answer.error.is_none();
    if metered.partial == ended {
        let words = if ended { "as partial, though it was whole" } else { "as if it were whole" };
        differ(format!("the answer was metered {words}"));
    }
    if ended && call.answer.told {
        let own = [metered.told.input, metered.told.output, metered.told.cache_read];
        let own = own.map(Option::unwrap_or_default);
        let told = call.answer.usage;
        let told = [told.input, told.output, told.cached];
        if own != told || source != Some(UsageSource::Provider) {
            differ(format!(
                "metered {own:?} tokens (in, out, cached), the client was told {told:?}"
            ));
        }
        return Metering::Told;
    }
    if metered.missing != ended {
        differ("an answer without usage is not marked as such".to_owned());
    }
    let seen = call.answer.contents > 0;
    if !call.answer.told && seen && metered.estimated.output.unwrap_or_default() == 0 {
        differ("the tokens that nobody told were not estimated".to_owned());
    }
    match source {
        Some(UsageSource::Estimated) => Metering::Estimated,
        Some(UsageSource::Provider) | None => Metering::Nothing,
    }
}

/// What the client read against the script.
fn read_well(call: &Call, differ: &mut impl FnMut(String)) {
    if call.stream && call.story == Story::Fine && !call.answer.ended {
        differ("the stream has no last event".to_owned());
    }
    let silent = matches!(call.ask, Ask::CountTokens | Ask::Embed);
    if call.story == Story::Fine && !silent && call.answer.usage.output == 0 {
        differ("the answer tells no usage".to_owned());
    }
    if call.story == Story::Stall && call.answer.error.is_none() {
        differ("the stream stalled, but the client got no error event".to_owned());
    }
    if call.story == Story::Cut && call.end != End::Broken {
        differ("the provider cut the stream, but the client saw a clean end".to_owned());
    }
}

/// The bodies that arrived are the bodies that were sent, and nothing of the gateway's came along.
fn bodies(rows: &[Row<'_>], arrivals: &[Arrival], audit: &mut Audit) {
    let mut balance: HashMap<(&str, blake3::Hash), i64> = HashMap::new();
    for row in rows {
        if let Some(provider) = row.record.and_then(|record| record.provider.as_deref()) {
            *balance.entry((provider, row.call.digest)).or_default() += 1;
        }
    }
    for arrival in arrivals {
        *balance.entry((arrival.provider, arrival.digest)).or_default() -= 1;
        if arrival.leaked {
            let text = format!("a gateway key or header reached {}", arrival.provider);
            audit.differences.push(text);
        }
    }
    for ((provider, _), count) in balance.into_iter().filter(|(_, count)| *count != 0) {
        let text = if count > 0 {
            format!("{count} request bodies did not reach {provider} as they were sent")
        } else {
            format!("{} request bodies reached {provider} that no client sent", -count)
        };
        audit.differences.push(text);
    }
}

fn hang_up(rows: &[Row<'_>], arrivals: &[Arrival]) -> Option<u64> {
    let (at, digest) = rows.iter().find_map(|row| match row.call.end {
        End::HungUp(at) => Some((at, row.call.digest)),
        _ => None,
    })?;
    let arrival = arrivals.iter().find(|arrival| arrival.digest == digest)?;
    Some(clock::us_between(at, arrival.cancelled_at?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::outcome::Outcome;
    use crate::neutral::usage::Usage;

    /// An alteration, and a part of what is said of it.
    type Change<T> = (fn(&mut T), &'static str);

    fn record() -> Record {
        Record {
            id: "id-1".to_owned(),
            provider: Some("slow".into()),
            key_label: Some(SESSIONS[0].name.into()),
            status: Some(200),
            outcome: Outcome::Complete,
            kind: None,
            overhead_us: 1,
            response_bytes: 100,
            attempts: vec![Metered {
                told: Usage { output: Some(7), ..Usage::default() },
                source: Some(UsageSource::Provider),
                ..Metered::default()
            }],
        }
    }

    fn arrival() -> Arrival {
        Arrival {
            provider: "slow",
            digest: blake3::hash(b"body"),
            leaked: false,
            cancelled_at: None,
        }
    }

    /// The one difference found, or nothing.
    fn found(calls: &[Call], records: &[Record], arrivals: &[Arrival]) -> String {
        let rows = join(calls, records);
        audit(&rows, records, arrivals).differences.join("; ")
    }

    #[test]
    fn what_agrees_passes() {
        assert_eq!(found(&[Call::sample()], &[record()], &[arrival()]), "");
    }

    #[test]
    fn every_record_is_held_against_its_call() {
        let changes: [Change<Record>; 7] = [
            (|r| r.id = "id-2".to_owned(), "no exchange was recorded"),
            (|r| r.status = Some(502), "recorded status Some(502)"),
            (|r| r.outcome = Outcome::Timeout, "outcome timeout, not complete"),
            (|r| r.key_label = None, "recorded for key None"),
            (|r| r.provider = Some("fast".into()), "sent to Some(\"fast\")"),
            (|r| r.provider = None, "sent to None"),
            (|r| r.response_bytes = 99, "99 bytes recorded, 100 received"),
        ];
        for (change, words) in changes {
            let mut record = record();
            change(&mut record);
            let text = found(&[Call::sample()], &[record], &[arrival()]);
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn every_call_is_held_against_the_script() {
        let changes: [Change<Call>; 6] = [
            (|c| c.id = None, "no client made it"),
            (|c| c.status = Some(503), "the client got Some(503), not 200"),
            (|c| c.stream = true, "no last event"),
            (|c| c.answer.usage.output = 0, "tells no usage"),
            (|c| c.story = Story::Cut, "saw a clean end"),
            (|c| c.story = Story::Stall, "got no error event"),
        ];
        for (change, words) in changes {
            let mut call = Call::sample();
            change(&mut call);
            let text = found(&[call], &[record()], &[arrival()]);
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn every_answers_tokens_are_held_against_what_its_client_was_told() {
        let changes: [Change<Metered>; 5] = [
            (|m| m.told.output = Some(8), "metered [0, 8, 0] tokens"),
            (|m| m.told.input = Some(1), "the client was told [0, 7, 0]"),
            (|m| m.told.cache_read = Some(1), "metered [0, 7, 1]"),
            (|m| m.source = Some(UsageSource::Estimated), "the client was told"),
            (|m| m.partial = true, "as partial, though it was whole"),
        ];
        for (change, words) in changes {
            let mut record = record();
            change(&mut record.attempts[0]);
            let text = found(&[Call::sample()], &[record], &[arrival()]);
            assert!(text.contains(words), "{words}: {text}");
        }
        let mut unmetered = record();
        unmetered.attempts.clear();
        let text = found(&[Call::sample()], &[unmetered], &[arrival()]);
        assert!(text.contains("no tokens were metered"), "{text}");
    }

    #[test]
    fn an_answer_that_told_nothing_must_be_estimated_and_marked() {
        let mut call = Call { story: Story::NoUsage, ..Call::sample() };
        call.answer.told = false;
        call.answer.contents = 3;
        let mut record = record();
        record.attempts = vec![Metered {
            estimated: Usage { output: Some(9), ..Usage::default() },
            source: Some(UsageSource::Estimated),
            missing: true,
            ..Metered::default()
        }];
        let (calls, records) = ([call], [record]);
        let audit = audit(&join(&calls, &records), &records, &[arrival()]);
        assert_eq!((audit.differences.as_slice(), audit.estimated, audit.told), (&[][..], 1, 0));
        let changes: [Change<Metered>; 2] = [
            (|m| m.missing = false, "is not marked as such"),
            (|m| m.estimated = Usage::default(), "were not estimated"),
        ];
        for (change, words) in changes {
            let mut record = records[0].clone();
            change(&mut record.attempts[0]);
            let text = found(&calls, &[record], &[arrival()]);
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn bodies_and_secrets_are_held_against_what_arrived() {
        let altered = Arrival { digest: blake3::hash(b"other"), ..arrival() };
        let leaking = Arrival { leaked: true, ..arrival() };
        for (arrivals, words) in [
            (vec![], "did not reach slow"),
            (vec![altered], "that no client sent"),
            (vec![arrival(), arrival()], "that no client sent"),
            (vec![leaking], "key or header reached slow"),
        ] {
            let text = found(&[Call::sample()], &[record()], &arrivals);
            assert!(text.contains(words), "{words}: {text}");
        }
        let twice = [record(), record()];
        let text = found(&[Call::sample()], &twice, &[arrival()]);
        assert!(text.contains("recorded 2 times"), "{text}");
    }

    #[test]
    fn a_client_that_hung_up_must_be_seen_by_its_provider() {
        let at = clock::now();
        let mut call = Call::sample();
        call.end = End::HungUp(at);
        let text = found(&[call.clone()], &[record()], &[arrival()]);
        assert!(text.contains("was not let go"), "{text}");
        let seen =
            Arrival { cancelled_at: Some(at + std::time::Duration::from_millis(3)), ..arrival() };
        let (calls, records) = ([call], [record()]);
        let audit = audit(&join(&calls, &records), &records, &[seen]);
        assert_eq!(audit.hang_up_us, Some(3_000));
    }
}
