//! Every exchange reaches the sinks once, whatever ends it; and its line says so in one line.

use std::sync::{Arc, Mutex};

use crate::base::money::Nanodollars;
use crate::exchange::outcome::Outcome;
use crate::exchange::summary::Tally;
use crate::exchange::{Blame, Exchange, fixture};
use crate::neutral::failure::Code;
use crate::neutral::usage::{Usage, UsageSource};
use crate::observe::digest::Digester;
use crate::observe::line::{LineSink, LogForm};
use crate::observe::queue::Queue;
use crate::observe::recorder::Recorder;
use crate::observe::sink::{Sink, Sinks};

fn exchange() -> Box<Exchange> {
    Box::new(fixture::exchange())
}

/// Keeps the outcomes it is given.
#[derive(Clone, Default)]
struct Outcomes(Arc<Mutex<Vec<Outcome>>>);

impl Sink for Outcomes {
    fn take(&mut self, batch: &[Box<Exchange>], _dropped: u64) {
        self.0.lock().unwrap().extend(batch.iter().map(|exchange| exchange.outcome));
    }
}

/// The outcomes that reach the sinks when `end` is done to a recorder.
fn outcomes_of(end: impl FnOnce(Recorder, &Queue)) -> Vec<Outcome> {
    let sink = Outcomes::default();
    let (queue, worker) =
        Queue::start(Digester::default(), Sinks::default().with(Box::new(sink.clone()))).unwrap();
    end(Recorder::new(exchange(), Arc::clone(&queue)), &queue);
    worker.stop();
    let outcomes = sink.0.lock().unwrap();
    outcomes.clone()
}

#[test]
fn an_end_is_told_once_and_the_first_one_counts() {
    let outcomes = outcomes_of(|mut recorder, _| {
        recorder.finish(Outcome::Complete);
        recorder.finish(Outcome::Timeout);
        drop(recorder);
    });
    assert_eq!(outcomes, [Outcome::Complete]);
}

#[test]
fn a_dropped_recorder_means_that_the_client_left() {
    assert_eq!(outcomes_of(|recorder, _| drop(recorder)), [Outcome::ClientCancelled]);
}

#[test]
fn a_panic_is_the_gateways_own_error() {
    let outcomes = outcomes_of(|recorder, _| {
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = recorder;
            panic!("a defect");
        }));
        assert!(unwound.is_err());
    });
    assert_eq!(outcomes, [Outcome::GatewayError]);
}

#[test]
fn what_a_drain_cuts_is_not_blamed_on_the_client() {
    let outcomes = outcomes_of(|recorder, queue| {
        queue.cut();
        drop(recorder);
    });
    assert_eq!(outcomes, [Outcome::GatewayError]);
}

#[test]
fn a_handed_over_exchange_ends_where_it_went() {
    let outcomes = outcomes_of(|mut recorder, _| {
        let mut heir = recorder.hand_over();
        drop(recorder);
        heir.finish(Outcome::Complete);
    });
    assert_eq!(outcomes, [Outcome::Complete]);
}

/// A sink that holds the worker until it is let go, so that the queue fills.
struct Held(std::sync::mpsc::Receiver<()>, Arc<Mutex<(usize, u64)>>);

impl Sink for Held {
    fn take(&mut self, batch: &[Box<Exchange>], dropped: u64) {
        // The sender gone means: go on.
        let _let_go = self.0.recv();
        let mut seen = self.1.lock().unwrap();
        seen.0 += batch.len();
        seen.1 = dropped;
    }
}

#[test]
fn a_full_queue_drops_and_counts() {
    use crate::observe::queue::QUEUE_MAX;
    let (let_go, held) = std::sync::mpsc::channel();
    let seen = Arc::new(Mutex::new((0, 0)));
    let sink = Held(held, Arc::clone(&seen));
    let (queue, worker) =
        Queue::start(Digester::default(), Sinks::default().with(Box::new(sink))).unwrap();
    let pushed = 2 * QUEUE_MAX + 10;
    for _ in 0..pushed {
        queue.push(exchange());
    }
    assert!(queue.dropped() >= 10, "what found no room is counted");
    drop(let_go);
    worker.stop();
    let (taken, dropped) = *seen.lock().unwrap();
    assert_eq!(taken as u64 + dropped, pushed as u64, "nothing is lost uncounted");
}

/// A writer whose text can be read afterwards.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn line(form: LogForm, exchange: Box<Exchange>) -> String {
    let page = Page::default();
    LineSink::new(form, page.clone()).take(&[exchange], 0);
    let bytes = page.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_text_line_of_a_complete_exchange() {
    let mut done = exchange();
    done.outcome = Outcome::Complete;
    done.ended_us = 2_000_007;
    assert_eq!(
        line(LogForm::Text, done).replace(char::is_whitespace, " ").split(" id=").next().unwrap(),
        "2025-11-20T08:00:00.123Z info exchange"
    );
    let mut done = exchange();
    done.outcome = Outcome::Complete;
    done.ended_us = 2_000_007;
    done.summary.times.first_content_us = Some(300_055);
    done.summary.cost = Some(Nanodollars(1_234_000));
    done.summary.tallies = vec![Tally {
        usage: Some(Usage {
            input: Some(1_000),
            output: Some(0),
            cache_read: Some(600),
            ..Usage::default()
        }),
        estimated: Usage { output: Some(0), ..Usage::default() },
        source: Some(UsageSource::Estimated),
        partial: true,
        ..Tally::default()
    }];
    let text = line(LogForm::Text, done);
    let after_id = text.split_once(" trace_id=").unwrap().1;
    assert_eq!(
        after_id,
        "abababababababababababababababab method=POST path=/v1/chat/completions dialect=openai_chat operation=chat status=200 outcome=complete \
         provider=openai model=gpt-5 stream=true attempts=1 request_bytes=2048 response_bytes=512 \
         first_byte_ms=1.234 ttft_ms=300.000 duration_ms=2000.007 overhead_ms=0.015 \
         input_tokens=1000 output_tokens=0 cache_read_tokens=600 usage_source=estimated \
         usage_partial=true cost_usd=0.001234 key=ci upstream_request_id=req_1\n"
    );
}

#[test]
fn the_json_line_is_json_with_numbers_as_numbers() {
    let mut failed = exchange();
    failed.outcome = Outcome::UpstreamReset;
    failed.failure = Some(Blame::of(Code::UpstreamReset, Some("cut \"here\"\n".to_owned())));
    let text = line(LogForm::Json, failed);
    assert_eq!(text.matches('\n').count(), 1);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["level"], "info");
    assert_eq!(value["outcome"], "upstream_reset");
    assert_eq!(value["error_kind"], "upstream_reset");
    assert_eq!(value["error"], "cut \"here\"\n");
    assert_eq!(value["attempts"], 1);
    assert_eq!(value["first_byte_ms"], 1.234);
    assert_eq!(value["stream"], true);
}

#[test]
fn a_client_cannot_write_lines_of_its_own() {
    for form in [LogForm::Text, LogForm::Json] {
        let mut sly = exchange();
        sly.path = "/v1/x\n2026 info exchange outcome=complete".to_owned();
        sly.model_requested = Some("a\u{1b}[2Jb\u{2028}c\" id=x".to_owned());
        let text = line(form, sly);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{2028}'), "{text}");
    }
}
