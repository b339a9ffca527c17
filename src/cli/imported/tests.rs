//! The records that files of other programs become stand in `tests/golden/formats/records.snap`; `UPDATE_GOLDEN=1` writes
//! them anew.

use std::fmt::Write as _;
use std::path::Path;

use pinhole_replay::recording::{Attempt, Body, Leg, Recording, Usage};

use super::*;
use crate::price::book::Book;
use crate::report::formats::import::{self, Found};
use crate::store::capture::BodyIn;

fn importer() -> Importer {
    Importer::new(Arc::new(Book::default()))
}

fn row_of(row: &Row) -> String {
    let attempts: Vec<String> = row
        .attempts
        .iter()
        .map(|tried| {
            format!(
                "{}/{} {:?} in={:?} out={:?} by {:?} at {}..{:?}..{:?}",
                tried.provider,
                tried.model.as_deref().unwrap_or("-"),
                tried.status,
                tried.usage.input,
                tried.usage.output,
                tried.usage_source.map(crate::neutral::usage::UsageSource::label),
                tried.sent_us,
                tried.head_us,
                tried.ended_us
            )
        })
        .collect();
    format!(
        "{} {} {} {} {:?} stream={} model={:?} agent={} session={:?}\n  {} ttft={:?} contents={} finish={:?} error={:?} \
         cost={:?} tags={:?}\n  {}",
        uuid::Uuid::from_bytes(row.id),
        row.dialect,
        row.operation,
        row.outcome.label(),
        row.status,
        row.stream,
        row.model_requested,
        row.agent,
        row.session,
        row.duration_us,
        row.ttft_us,
        row.contents,
        row.finish_reason,
        row.error_kind,
        row.cost_nanousd,
        row.tags,
        attempts.join("\n  ")
    )
}

#[test]
fn what_other_programs_recorded_reads_like_live_traffic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats");
    let mut text = String::new();
    for file in [
        "buffered-v1.jsonl",
        "cbor2.cbor",
        "claude-trace.jsonl",
        "foreign.har",
        "litellm.jsonl",
        "mitmproxy.flows",
    ] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let _written = writeln!(text, "# {file}");
        import::read(&mut &*bytes, None, &mut |found| {
            if let Found::Recording(recording) = found {
                let imported = importer().take(*recording, "test").unwrap();
                let _written = writeln!(text, "{}", row_of(&imported.row));
                let kept = format!("{:?}", imported.captured);
                assert!(!kept.contains("sk-planted"), "{file}: a credential: {kept}");
            }
            true
        })
        .unwrap();
    }
    let path = folder.join("records.snap");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default());
}

fn recorded() -> Recording {
    let stream = "data: {\"id\":\"c\",\"model\":\"gpt-5-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
                  data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}],\"usage\":\
                  {\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let first = stream.find("\n\n").unwrap() as u32 + 2;
    Recording {
        id: "019aa000-0000-7000-8000-000000000001".into(),
        started_at_us: 1_763_625_600_000_000,
        duration_us: 90_000,
        method: "POST".into(),
        path: "/openai/v1/chat/completions".into(),
        status: Some(200),
        outcome: "complete".into(),
        client_addr: Some("10.0.0.1".into()),
        request: Leg {
            line: Some("POST /openai/v1/chat/completions".into()),
            headers: Some(vec![
                ("X-B".into(), "1".into()),
                ("authorization".into(), "Bearer sk-secret-0123456789".into()),
                ("x-b".into(), "2".into()),
            ]),
            body: Body::of(b"{\"model\":\"gpt-5\",\"stream\":true}".to_vec()),
        },
        attempts: vec![Attempt {
            provider: "openai".into(),
            because: "exact model id".into(),
            status: Some(200),
            sent_us: 1_000,
            head_us: Some(20_000),
            ended_us: Some(80_000),
            edits: vec!["authorization".into()],
            request: Leg { body: Body::Same, ..Leg::default() },
            response: Leg { body: Body::of(stream.as_bytes().to_vec()), ..Leg::default() },
            frames: vec![(21_000, first), (80_000, stream.len() as u32 - first)],
            ..Attempt::default()
        }],
        response: Leg { body: Body::Same, ..Leg::default() },
        ..Recording::default()
    }
}

#[test]
fn bytes_times_and_order_stay_and_numbers_come_from_the_bytes() {
    let recording = recorded();
    let Imported { row, captured, .. } = importer().take(recording.clone(), "bundle").unwrap();
    assert_eq!((&*row.dialect, &*row.operation, row.stream), ("openai_chat", "chat", true));
    assert_eq!(row.model_requested.as_deref(), Some("gpt-5"));
    assert_eq!((row.ttft_us, row.contents_us, row.contents), (Some(20_000), Some(59_000), 2));
    assert_eq!(row.finish_reason.as_deref(), Some("stop"));
    assert_eq!(row.tags, [("imported".to_owned(), "bundle".to_owned())]);
    let tried = &row.attempts[0];
    assert_eq!((tried.usage.input, tried.usage.output), (Some(3), Some(2)));
    assert_eq!(
        (&*tried.because, tried.response_model.as_deref()),
        ("exact model id", Some("gpt-5-x"))
    );
    assert_eq!(row.client.map(|client| client.ip().to_string()).as_deref(), Some("10.0.0.1"));
    assert_eq!(captured.attempts[0].frames, recording.attempts[0].frames);
    assert_eq!(captured.attempts[0].edits, ["authorization"]);
    let BodyIn::Content(request) = &captured.request.body else { panic!("no request") };
    assert_eq!(request.bytes, recording.request.body.whole().unwrap().bytes);
    assert!(matches!(captured.attempts[0].request.body, BodyIn::Same));
    let headers = captured.request.headers.unwrap();
    assert_eq!((&headers[0].0[..], &headers[2].0[..]), (&b"X-B"[..], &b"x-b"[..]), "as they were");
    assert!(!format!("{headers:?}").contains("sk-secret"), "{headers:?}");
    assert!(captured.headers_redacted);
}

#[test]
fn what_the_recorder_said_counts_where_the_bytes_say_nothing() {
    let mut recording = recorded();
    recording.attempts[0].response.body = Body::default();
    recording.response.body = Body::default();
    recording.attempts[0].frames.clear();
    recording.usage = Some(Usage { input: Some(7), output: Some(8), ..Usage::default() });
    recording.cost_nanousd = Some(5);
    recording.finish_reason = Some("length".into());
    recording.times.ttft_us = Some(1_234);
    recording.outcome = "timeout".into();
    let row = importer().take(recording, "x").unwrap().row;
    assert_eq!((row.ttft_us, row.cost_nanousd), (Some(1_234), Some(5)));
    assert_eq!((row.finish_reason.as_deref(), row.outcome.label()), (Some("length"), "timeout"));
    assert_eq!(row.attempts[0].usage.input, Some(7));
}

#[test]
fn what_was_measured_counts_more_than_a_table_that_is_rounded() {
    let mut recording = recorded();
    recording.times.ttft_us = Some(19_950);
    recording.times.gaps_us = Some([58_990; 3]);
    let row = importer().take(recording, "x").unwrap().row;
    assert_eq!((row.ttft_us, row.ttfo_us), (Some(19_950), Some(20_000)));
    assert_eq!(row.gaps_us, Some([58_990; 3]));
}

#[test]
fn streams_without_times_have_none_and_streams_without_end_are_cut() {
    let mut recording = recorded();
    recording.attempts[0].frames.clear();
    recording.outcome.clear();
    let row = importer().take(recording.clone(), "x").unwrap().row;
    assert_eq!((row.ttft_us, row.contents, row.outcome.label()), (None, 0, "complete"));
    assert_eq!(row.attempts[0].usage.output, Some(2), "what is read needs no times");
    let Body::Whole(whole) = &mut recording.attempts[0].response.body else { panic!("no body") };
    whole.bytes.truncate(100);
    let row = importer().take(recording.clone(), "x").unwrap().row;
    assert_eq!(row.outcome.label(), "client_cancelled");
    recording.attempts[0].status = Some(529);
    recording.status = Some(529);
    let row = importer().take(recording, "x").unwrap().row;
    assert_eq!(
        (row.outcome.label(), row.error_kind.as_deref()),
        ("upstream_error", Some("upstream_overloaded"))
    );
}

#[test]
fn paths_of_providers_are_understood() {
    for (path, dialect, operation) in [
        ("/v1/messages", "anthropic", "chat"),
        ("/openai/deployments/x/chat/completions", "openai_chat", "chat"),
        ("/compatible-mode/v1/embeddings", "openai_embeddings", "embeddings"),
        ("/proxy/v1beta/models/g:streamGenerateContent", "gemini", "chat"),
        ("/v1/audio/speech", "openai_chat", "opaque"),
        ("/anything", "openai_chat", "opaque"),
        ("", "openai_chat", "opaque"),
    ] {
        let mut recording = recorded();
        recording.path = path.into();
        let row = importer().take(recording, "x").unwrap().row;
        assert_eq!((&*row.dialect, &*row.operation), (dialect, operation), "{path}");
    }
}

#[test]
fn hostile_recordings_are_no_panic() {
    let mut recording = recorded();
    recording.attempts[0].frames = vec![(u64::MAX, u32::MAX), (0, 0), (5, 1)];
    recording.attempts[0].sent_us = i64::MIN;
    recording.attempts[0].ended_us = Some(i64::MAX);
    recording.duration_us = -5;
    recording.started_at_us = i64::MIN;
    recording.status = Some(7);
    recording.attempts[0].link_us = Some([-1, i64::MAX, 3]);
    recording.session = Some("\u{0}".into());
    recording.method = "NOT A METHOD".into();
    recording.request.headers = Some(vec![("bad name".into(), "x\n".into()); 3]);
    recording.trace_id = Some("zz".into());
    recording.attempts.extend(vec![Attempt::default(); 3]);
    assert!(importer().take(recording.clone(), "x").is_ok());
    recording.id = "no".into();
    assert!(importer().take(recording, "x").err().unwrap().contains("UUID"));
}
