//! The demo's last word: what happened, in numbers, at 80 columns. Pure: rows in, text out.

use std::path::Path;
use std::time::Duration;

use pinhole_replay::faces::words;

use crate::exchange::outcome::Outcome;
use crate::neutral::kind::Dialect;

use super::again::{self, Replayed};
use super::audit::{Audit, Row};
use super::bill::{Bill, Item};
use super::figures::{self, Comparison, quantile};
use super::page::{Page, grouped, time};
use super::timeline;
use super::traffic::{self, Ask, SESSIONS, Story};

/// Everything the text is made of.
pub(crate) struct Report<'a> {
    pub(crate) rows: &'a [Row<'a>],
    pub(crate) audit: &'a Audit,
    pub(crate) elapsed: Duration,
    /// The gateway's address.
    pub(crate) origin: &'a str,
    /// Set when `--seconds` ended the play before its end.
    pub(crate) seconds: Option<u64>,
    /// What the records add up to.
    pub(crate) bill: &'a Bill,
    /// What came of the slice that was sent again.
    pub(crate) replayed: Option<&'a Replayed>,
    pub(crate) data_dir: &'a Path,
    /// Nobody chose the directory.
    pub(crate) temporary: bool,
}

const PROVIDERS: [&str; 3] = ["fast", "slow", "flaky"];

pub(crate) fn render(report: &Report<'_>, mut page: Page) -> String {
    title(report, &mut page);
    timeline(report, &mut page);
    sessions(report, &mut page);
    dialects(report, &mut page);
    speed(report, &mut page);
    cost(report, &mut page);
    comparison(report, &mut page);
    troubles(report, &mut page);
    sums(report, &mut page);
    verdicts(report, &mut page);
    next(report, &mut page);
    page.into_text()
}

fn title(report: &Report<'_>, page: &mut Page) {
    let calls = report.rows.len();
    page.line("pinhole demo: no keys, no network; real sockets, all inside this one process");
    page.blank();
    let count = |provider: &str| {
        let sent = report.rows.iter().filter(|row| provider_of(row) == provider);
        sent.count()
    };
    let sessions = SESSIONS.len();
    let [top, middle, bottom] = page.marks.fork;
    let origin = report.origin.trim_start_matches("http://");
    let left = format!("  {sessions} sessions {} gateway {origin} ", page.marks.right);
    let space = " ".repeat(left.chars().count());
    let right = |provider: &str| format!(" {provider:<6} {:>3} requests", count(provider));
    page.line(&format!("{space}{top}{}", right("fast")));
    page.line(&format!("{left}{middle}{}", right("slow")));
    page.line(&format!("{space}{bottom}{}", right("flaky")));
    page.blank();
    let seconds = report.elapsed.as_secs_f64();
    let how_many = |what: fn(&Row<'_>) -> bool| report.rows.iter().filter(|row| what(row)).count();
    page.wrapped(
        "  ",
        &format!(
            "{calls} exchanges in {seconds:.1} s: {} streams, {} tool calls and {} results sent back, \
             {} pictures, {} structured answers, {} embeddings, {} token count",
            how_many(|row| row.call.stream),
            report.rows.iter().map(|row| row.call.answer.calls.len()).sum::<usize>(),
            how_many(|row| row.call.with_result),
            how_many(|row| row.call.ask == Ask::Picture),
            how_many(|row| row.call.ask == Ask::Object),
            how_many(|row| row.call.ask == Ask::Embed),
            how_many(|row| row.call.ask == Ask::CountTokens),
        ),
    );
    if let Some(limit) = report.seconds {
        page.line(&format!("  stopped by --seconds {limit} before all sessions had ended"));
    }
}

fn timeline(report: &Report<'_>, page: &mut Page) {
    let seconds = report.elapsed.as_secs_f64();
    page.heading(&format!("{seconds:.1} seconds, from left to right"));
    let marks = page.marks;
    let elapsed_us = u64::try_from(report.elapsed.as_micros()).unwrap_or(u64::MAX);
    for (at, session) in SESSIONS.iter().enumerate() {
        let calls = report.rows.iter().map(|row| row.call);
        let own = calls.filter(|call| call.session == at);
        page.line(&timeline::row(session.name, own, elapsed_us, marks));
    }
    page.line(&format!(
        "  {:<16}{} waits for first token  {} streams  {} plain answer  {} trouble",
        "", marks.waits, marks.streams, marks.plain, marks.trouble
    ));
}

fn provider_of<'a>(row: &Row<'a>) -> &'a str {
    row.record.and_then(|record| record.provider.as_deref()).unwrap_or_default()
}

fn tokens<'a, 'b: 'a>(rows: impl Iterator<Item = &'a Row<'b>>) -> (u64, u64) {
    rows.fold((0, 0), |(input, output), row| {
        let usage = row.call.answer.usage;
        (input + usage.input, output + usage.output)
    })
}

fn sessions(report: &Report<'_>, page: &mut Page) {
    page.heading("who called");
    page.line("  session           client            calls  tool calls   tokens in        out");
    for (at, session) in SESSIONS.iter().enumerate() {
        let own = || report.rows.iter().filter(|row| row.call.session == at);
        let tools: usize = own().map(|row| row.call.answer.calls.len()).sum();
        let (input, output) = tokens(own());
        page.line(&format!(
            "  {:<16}  {:<16}  {:>5}  {:>10}  {:>10}  {:>9}",
            session.name,
            session.client.name(),
            own().count(),
            tools,
            grouped(input),
            grouped(output),
        ));
    }
}

fn dialects(report: &Report<'_>, page: &mut Page) {
    page.heading("what they spoke, and how it ended");
    page.line("  dialect             calls   fast   slow  flaky  refused  tokens in       out");
    for dialect in Dialect::ALL {
        let own = || report.rows.iter().filter(|row| row.call.dialect == dialect);
        let to = |provider: &str| own().filter(|row| provider_of(row) == provider).count();
        let [fast, slow, flaky] = PROVIDERS.map(to);
        let (input, output) = tokens(own());
        page.line(&format!(
            "  {:<17}  {:>6} {fast:>6} {slow:>6} {flaky:>6}  {:>7}  {:>9}  {:>8}",
            dialect.label(),
            own().count(),
            to(""),
            grouped(input),
            grouped(output),
        ));
    }
    let to = |provider: &str| {
        let all = report.rows.iter();
        all.filter(|row| provider_of(row) == provider).count()
    };
    let [fast, slow, flaky] = PROVIDERS.map(to);
    let (input, output) = tokens(report.rows.iter());
    page.line(&format!(
        "  {:<17}  {:>6} {fast:>6} {slow:>6} {flaky:>6}  {:>7}  {:>9}  {:>8}",
        "all",
        report.rows.len(),
        to(""),
        grouped(input),
        grouped(output),
    ));
    page.blank();
    let ended: Vec<String> = Outcome::ALL
        .iter()
        .map(|outcome| (outcome, count_outcome(report, *outcome)))
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| format!("{} {count}", outcome.label()))
        .collect();
    page.wrapped("  ended: ", &ended.join(", "));
    let left = report.audit.left_at_end;
    if left > 0 {
        let words =
            format!("({left} of the complete ones: the client left right at the last event)");
        page.wrapped("         ", &words);
    }
}

fn count_outcome(report: &Report<'_>, outcome: Outcome) -> usize {
    let ended = |row: &&Row<'_>| row.record.is_some_and(|record| record.outcome == outcome);
    report.rows.iter().filter(ended).count()
}

fn speed(report: &Report<'_>, page: &mut Page) {
    page.heading("how fast");
    page.line("  provider  model         calls    ttft p50       p95   total p50       p95");
    for provider in PROVIDERS {
        let own = || report.rows.iter().filter(|row| provider_of(row) == provider);
        let mut first: Vec<u64> = own().filter_map(|row| row.call.ttft_us).collect();
        let mut total: Vec<u64> = own().map(|row| row.call.total_us).collect();
        page.line(&format!(
            "  {provider:<8}  {:<12}  {:>5}  {:>10} {:>9}  {:>10} {:>9}",
            format!("fake/{provider}"),
            own().count(),
            time(quantile(&mut first, 50)),
            time(quantile(&mut first, 95)),
            time(quantile(&mut total, 50)),
            time(quantile(&mut total, 95)),
        ));
    }
    let mut overhead: Vec<u64> =
        report.rows.iter().filter_map(|row| row.record.map(|record| record.overhead_us)).collect();
    page.line(&format!(
        "  the gateway's own time, its waiting left out: p50 {}, p95 {}",
        time(quantile(&mut overhead, 50)),
        time(quantile(&mut overhead, 95)),
    ));
}

fn cost(report: &Report<'_>, page: &mut Page) {
    page.heading("what it cost, at made-up prices");
    page.line("  model         tokens in  cached    out    ~in   ~out  partial         cost");
    let bill = report.bill;
    let line = |name: &str, sum: &dyn Fn(Item) -> u64, partial: usize| {
        let input = sum(Item::Input);
        format!(
            "  {name:<12}  {:>9}  {:>5}%  {:>5}  {:>5}  {:>5}  {partial:>7}  {:>11}",
            grouped(input),
            sum(Item::CacheRead) * 100 / input.max(1),
            grouped(sum(Item::Output)),
            grouped(sum(Item::EstimatedInput)),
            grouped(sum(Item::EstimatedOutput)),
            dollars(sum(Item::Cost)),
        )
    };
    let partial = |provider: Option<&str>| {
        let own =
            report.rows.iter().filter(|row| provider.is_none_or(|one| provider_of(row) == one));
        let attempts = own.filter_map(|row| row.record).flat_map(|record| &record.attempts);
        attempts.filter(|attempt| attempt.partial).count()
    };
    for provider in PROVIDERS {
        let model = format!("fake/{provider}");
        page.line(&line(&model, &|item| bill.get(&model, item), partial(Some(provider))));
    }
    page.line(&line("all", &|item| bill.total(item), partial(None)));
    page.wrapped("  ", "~ counted by the gateway, where an answer told nothing or broke off");
}

fn comparison(report: &Report<'_>, page: &mut Page) {
    page.heading("the same prompts, sent to both models");
    let Some(comparison) = figures::compare(report.rows) else {
        page.line("  no prompt got an answer from both in the time given");
        return;
    };
    let Comparison { n, fast_us, slow_us, ratio, low, high } = comparison;
    let longest = fast_us.max(slow_us);
    for (model, us) in [(traffic::FAST, fast_us), (traffic::SLOW, slow_us)] {
        let bar = page.bar(us, longest);
        let space = " ".repeat(Page::BAR_MAX - bar.chars().count());
        page.line(&format!("  {model}  {bar}{space}  {:>7} first token (p50)", time(us)));
    }
    let to = page.marks.to;
    page.blank();
    page.line(&format!(
        "  fake/slow answers its first token {ratio:.2}x later than fake/fast (n={n})"
    ));
    page.line(&format!(
        "  geometric mean of the pairs; the middle half lie within {low:.2}x{to}{high:.2}x"
    ));
    page.line("  (scripted: 1.15x; the replay at the end has the verdict)");
}

fn troubles(report: &Report<'_>, page: &mut Page) {
    page.heading("what went wrong, as scripted");
    let mut rows: Vec<&Row<'_>> = report.rows.iter().collect();
    rows.retain(|row| row.call.story != Story::Fine);
    rows.sort_by_key(|row| row.call.story);
    for row in rows {
        let Some(record) = row.record else { continue };
        let status = record.status.map(|status| status.to_string());
        page.line(&format!(
            "  {:<3}  {:<16}  {}",
            status.unwrap_or_default(),
            record.outcome.label(),
            record.id,
        ));
        let kind = record.kind.map(|kind| format!("{kind}: ")).unwrap_or_default();
        page.wrapped("       ", &(kind + &happened(row, report)));
    }
}

/// One line on what happened.
fn happened(row: &Row<'_>, report: &Report<'_>) -> String {
    let message = row.call.answer.error.as_deref().unwrap_or_default();
    match row.call.story {
        Story::Fine => String::new(),
        Story::RetryAfter if was_tried_again(row, report) => {
            "told to wait 1 s, the client did, and was answered".to_owned()
        }
        Story::RetryAfter => "told to wait 1 s; the client's time was up before".to_owned(),
        Story::HtmlError => "the provider's HTML page, handed on as it is".to_owned(),
        Story::Cut => "cut mid-stream; the client saw no clean end".to_owned(),
        Story::Stall => "silent mid-stream; the client got an error event".to_owned(),
        Story::SlowFirst => format!(
            "no failure, but the first token took {}",
            time(row.call.ttft_us.unwrap_or_default())
        ),
        Story::NoUsage => {
            let attempts = row.record.iter().flat_map(|record| &record.attempts);
            let output: u64 = attempts.filter_map(|attempt| attempt.estimated.output).sum();
            format!("no failure, but nobody told the usage; output estimated at {output} tokens")
        }
        Story::HangUp => match report.audit.hang_up_us {
            Some(us) => {
                format!("the client hung up mid-stream; the provider was let go {} later", time(us))
            }
            None => "the client hung up mid-stream".to_owned(),
        },
        // The message's first half names the remedy; the rest of it is for readers of logs.
        Story::UnknownModel | Story::WrongKey => {
            let words = message.split(" (").next().unwrap_or_default();
            format!("\"{words}\"")
        }
    }
}

/// Whether the same turn was sent again, and answered.
fn was_tried_again(row: &Row<'_>, report: &Report<'_>) -> bool {
    report.rows.iter().map(|other| other.call).any(|call| {
        call.digest == row.call.digest && call.story == Story::Fine && call.status == Some(200)
    })
}

fn sums(report: &Report<'_>, page: &mut Page) {
    page.heading("does it add up?");
    let audit = report.audit;
    if !audit.differences.is_empty() {
        let wrong = format!("  {} ", page.marks.wrong);
        for difference in &audit.differences {
            page.wrapped(&wrong, difference);
        }
        return;
    }
    let fine = format!("  {} ", page.marks.fine);
    let lines = [
        format!(
            "{} calls, {} exchanges recorded: each once, status and outcome as due",
            audit.calls, audit.records
        ),
        format!(
            "{} requests reached a provider, each body byte for byte as it was sent",
            audit.forwarded
        ),
        format!(
            "{} bytes of answers, counted alike by the gateway and the clients",
            grouped(audit.response_bytes)
        ),
        "clients used gateway keys only; providers saw their own keys only".to_owned(),
        format!(
            "{} answers in {} dialects: tokens as their clients were told, {} cached",
            audit.told,
            audit.dialects.len(),
            grouped(audit.cached)
        ),
        format!("{} answers told too little: estimated, marked, summed apart", audit.estimated),
        format!(
            "{} failing calls, each diagnosed from the store as what was done to it",
            audit.explained
        ),
        format!(
            "{} tokens, {}: records, /metrics and the store agree, by model",
            grouped(tokens_of(report.bill)),
            dollars(report.bill.total(Item::Cost))
        ),
    ];
    let again = report.replayed.map(|replayed| {
        format!(
            "{} replayed requests: each stored under its run, in no metric and on no bill",
            grouped(replayed.stored as u64)
        )
    });
    for line in lines.iter().chain(&again) {
        page.wrapped(&fine, line);
    }
}

fn tokens_of(bill: &Bill) -> u64 {
    let items = [Item::Input, Item::Output, Item::EstimatedInput, Item::EstimatedOutput];
    items.into_iter().map(|item| bill.total(item)).sum()
}

/// To a millionth of a dollar.
fn dollars(nanodollars: u64) -> String {
    let micros = (nanodollars + 500) / 1_000;
    format!("${}.{:06}", grouped(micros / 1_000_000), micros % 1_000_000)
}

/// One model twice and another once, on the same captured requests: what the statistics make of it.
fn verdicts(report: &Report<'_>, page: &mut Page) {
    page.heading("replay: the captured requests, sent again and compared");
    let Some(replayed) = report.replayed else {
        page.wrapped(
            "  ",
            "there was too little time for it; --seconds 15 has room, on a busy machine more",
        );
        return;
    };
    let whole = &replayed.report;
    page.wrapped(
        "  ",
        &format!(
            "{} requests, {} times to each, by turns ({}): to fake/fast, to fake/fast again and to fake/slow. \
             Ratios are to the first; within {:.0} % counts as the same.",
            whole.recordings,
            whole.plan.repeat,
            whole.plan.pace,
            again::MARGIN * 100.0
        ),
    );
    page.blank();
    page.line("  target             metric       p50     ratio   95 % interval     n  verdict");
    for (number, name) in [(1, "fake/fast, again"), (2, "fake/slow")] {
        for (metric, name) in [("ttft", name), ("e2e", "")] {
            let Some(found) = replayed.comparison(number, metric) else { continue };
            let [low, high] = found.ci95;
            let to = page.marks.to;
            page.line(&format!(
                "  {name:<17}  {metric:<6}  {:>8}  {:>7.2}x  {:>14}  {:>4}  {}",
                replayed.p50_us(number, metric).map(time).unwrap_or_default(),
                found.ratio,
                format!("{low:.2}{to}{high:.2}"),
                found.n,
                words::verdict(found.verdict),
            ));
        }
    }
    page.line("  (scripted: fake/slow takes 1.15x as long to its first token)");
    if whole.ended != "whole" {
        page.wrapped("  ", "ended early, by --seconds; more time gives narrower intervals");
    }
    page.blank();
    page.line("  the whole report, with pictures:");
    page.line(&format!("      {}", replayed.page.display()));
}

fn next(report: &Report<'_>, page: &mut Page) {
    page.heading("what to try next");
    for (command, words) in [
        ("OPENAI_API_KEY=... pinhole serve", "clients: base_url http://127.0.0.1:8000/v1"),
        ("pinhole simulate", "a provider to play with, faults included"),
        ("pinhole route MODEL", "where a model name goes, and why"),
        ("pinhole check", "what a configuration resolves to"),
        ("pinhole replay --help", "captured traffic, sent again elsewhere"),
    ] {
        page.line(&format!("  {command:<32}  {words}"));
    }
    page.blank();
    let folder = report.data_dir.display();
    page.line(&format!("  pinhole usage --data-dir {folder} --by model"));
    page.line(&format!("  pinhole captures ls --data-dir {folder}"));
    page.line(&format!("  pinhole captures show last --data-dir {folder}"));
    page.line(&format!("  pinhole captures diagnose --data-dir {folder}"));
    page.line(&format!("  pinhole tui --data-dir {folder}"));
    let place = if report.temporary {
        "the records of this run, in a temporary folder; --data-dir chooses one"
    } else {
        "the records of this run, and of earlier ones in the same folder"
    };
    page.wrapped("      ", place);
}
