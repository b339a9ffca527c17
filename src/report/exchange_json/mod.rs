//! The whole of one exchange as JSON: what `captures show ID --as json` prints and `GET /api/exchanges/{id}` answers. The
//! shape has a number and is described in docs/exchange-json.md; members are added, never renamed or dropped. `read.rs` is
//! the way back, for whoever browses a gateway from afar.

pub mod read;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::report::exchange::body::clear;
use crate::report::exchange::list;
use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, Leg, Stored, Whole};

/// The number of the shape.
pub const SCHEMA: u32 = 1;

/// Everything there is of it.
pub fn document(stored: &Stored) -> Value {
    let row = &stored.row;
    let mut document = Map::new();
    document.insert("schema".to_owned(), SCHEMA.into());
    if let Value::Object(columns) = list::json(row) {
        document.extend(columns);
    }
    // A listing has numbers and names where the whole exchange has the things themselves.
    let indexed = document.remove("headers").unwrap_or_default();
    for (name, value) in [
        ("indexed_headers", indexed),
        ("labels", serde_json::to_value(&stored.labels).unwrap_or_default()),
        (
            "usage",
            json!({
                "source": row.usage_source,
                "input_tokens": row.input_tokens,
                "output_tokens": row.output_tokens,
                "cache_read_tokens": row.cache_read_tokens,
                "cache_write_tokens": row.cache_write_tokens,
                "reasoning_tokens": row.reasoning_tokens,
            }),
        ),
        ("request", leg(&stored.request, "")),
        (
            "attempts",
            stored.attempts.iter().enumerate().map(|(at, one)| attempt(at, one)).collect(),
        ),
        ("response", leg(&stored.response, "the response of the last attempt")),
        (
            "damage",
            stored
                .damage
                .iter()
                .map(|(part, reason)| json!({ "part": part, "reason": reason }))
                .collect(),
        ),
    ] {
        document.insert(name.to_owned(), value);
    }
    if !stored.response_frames.is_empty() {
        document.insert("response_frames".to_owned(), json!(stored.response_frames));
        let untabled = json!(stored.response_untabled);
        document.insert("response_frames_untabled".to_owned(), untabled);
    }
    Value::Object(document)
}

fn attempt(at: usize, attempt: &Attempt) -> Value {
    let link = attempt.link_us.map(|[resolve, connect, tls]| {
        json!({ "resolve_us": resolve, "connect_us": connect, "tls_us": tls })
    });
    json!({
        "n": at + 1,
        "provider": attempt.provider,
        "model": attempt.model,
        "key_label": attempt.key_label,
        "because": attempt.because,
        "status": attempt.status,
        "error_source": attempt.error_source,
        "error_kind": attempt.error_kind,
        "sent_us": attempt.sent_us,
        "head_us": attempt.head_us,
        "ended_us": attempt.ended_us,
        "link": link,
        "peer": attempt.peer,
        "http": attempt.http,
        "tls": attempt.tls,
        "bytes": attempt.bytes,
        "upstream_request_id": attempt.upstream_request_id,
        "response_id": attempt.response_id,
        "response_model": attempt.response_model,
        "service_tier": attempt.service_tier,
        "usage": {
            "source": attempt.usage_source,
            "input_tokens": attempt.input_tokens,
            "output_tokens": attempt.output_tokens,
            "cache_read_tokens": attempt.cache_read_tokens,
            "cache_write_tokens": attempt.cache_write_tokens,
            "reasoning_tokens": attempt.reasoning_tokens,
        },
        "cost_nanousd": attempt.cost_nanousd,
        "edits": attempt.edits,
        "request": leg(&attempt.request, "the client's request"),
        "response": leg(&attempt.response, ""),
        "frames": attempt.frames,
        "frames_untabled": attempt.untabled,
    })
}

fn leg(leg: &Leg, same_as: &str) -> Value {
    json!({ "line": leg.line, "headers": leg.headers, "body": body(&leg.body, same_as) })
}

fn body(body: &Body, same_as: &str) -> Value {
    match body {
        Body::Absent(why) => json!({ "state": "absent", "reason": reason(*why) }),
        Body::Same => json!({ "state": "same", "as": same_as }),
        Body::Whole(whole) => kept(whole),
    }
}

/// `text` is for reading: the coding is undone. Where it is not the bytes themselves, `base64` is.
fn kept(whole: &Whole) -> Value {
    let clear = clear(whole);
    let text = std::str::from_utf8(&clear).ok();
    let exact = text.is_some_and(|text| text.as_bytes() == whole.bytes);
    let mut value = json!({
        "state": "kept",
        "bytes": whole.bytes.len(),
        "cut_bytes": whole.cut_bytes,
        "coding": whole.coding,
        "redacted": whole.redacted,
        "blake3": blake3::hash(&whole.bytes).to_hex().as_str(),
        "text": text,
    });
    if !exact {
        value["base64"] = BASE64_STANDARD.encode(&whole.bytes).into();
    }
    value
}

/// Why a body is not there, as one word of a closed set.
pub fn reason(why: Absent) -> &'static str {
    match why {
        Absent::NotKept => "not_kept",
        Absent::ShedMemory => "shed_memory",
        Absent::ShedQueue => "shed_queue",
        Absent::ShedDisk => "shed_disk",
        Absent::Removed => "removed",
        Absent::Nothing => "none",
        Absent::Damaged => "damaged",
    }
}

/// The same as a sentence with the remedy.
pub fn explained(why: Absent) -> &'static str {
    match why {
        Absent::NotKept => {
            "it was not kept: the level of capture was below full; capture.level = \"full\" keeps bodies"
        }
        Absent::ShedMemory => {
            "it was let go for want of memory while the exchange ran; its record is whole, raise the memory that capture may take"
        }
        Absent::ShedQueue => {
            "it was let go because the store's queue was full; its record is whole, put the data directory on a faster disk"
        }
        Absent::ShedDisk => {
            "it was let go because the disk was full; its record is whole, make room"
        }
        Absent::Removed => {
            "it was removed later, by retention, `captures prune` or `captures scrub`"
        }
        Absent::Nothing => "there was none: it was never read, or the leg did not come about",
        Absent::Damaged => {
            "it is damaged and cannot be read back; `captures verify` tells what is, `captures restore` brings a backup back"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::stored::{Label, LabelOn, Listed};

    fn stored() -> Stored {
        let whole = |bytes: &[u8], coding: Option<&str>| {
            Body::Whole(Whole {
                bytes: bytes.to_vec(),
                coding: coding.map(str::to_owned),
                ..Whole::default()
            })
        };
        let gzip = crate::base::coding::gzip("wörds".as_bytes());
        Stored {
            row: Listed {
                id: "019aa1c2-8d1f-7c3e-9a40-3f0b6c1d2e5f".to_owned(),
                outcome: "complete".to_owned(),
                input_tokens: Some(5),
                attempts: 1,
                labels: vec!["good".to_owned()],
                headers: vec![("x-team".to_owned(), "blue".to_owned())],
                tags: vec![("team".to_owned(), "search".to_owned())],
                ..Listed::default()
            },
            request: Leg {
                line: Some("POST /v1/chat/completions".to_owned()),
                headers: Some(vec![
                    ("accept".to_owned(), "a".to_owned()),
                    ("accept".to_owned(), "b".to_owned()),
                ]),
                body: whole(b"{}", None),
            },
            attempts: vec![Attempt {
                provider: "openai".to_owned(),
                request: Leg { body: Body::Same, ..Leg::default() },
                response: Leg { body: whole(&gzip, Some("gzip")), ..Leg::default() },
                frames: vec![(1_200, 30), (2_300, 12)],
                link_us: Some([1, 2, 3]),
                ..Attempt::default()
            }],
            response: Leg { body: Body::Absent(Absent::ShedQueue), ..Leg::default() },
            damage: Vec::new(),
            labels: vec![Label {
                on: LabelOn::Exchange,
                name: "good".to_owned(),
                score: Some(1.0),
                note: None,
                author: None,
                at_us: 7,
            }],
            ..Stored::default()
        }
    }

    #[test]
    fn an_exchange_is_told_whole() {
        let told = document(&stored());
        assert_eq!((&told["schema"], &told["outcome"]), (&json!(1), &json!("complete")));
        assert_eq!(told["request"]["headers"], json!([["accept", "a"], ["accept", "b"]]));
        assert_eq!(told["request"]["body"]["text"], "{}");
        assert!(told["request"]["body"].get("base64").is_none());
        assert_eq!(told["usage"]["input_tokens"], 5);
        assert_eq!(told["tags"], json!({ "team": "search" }));
        assert_eq!(told["indexed_headers"], json!({ "x-team": "blue" }));
        assert_eq!(told["labels"][0]["score"], 1.0);
        let attempt = &told["attempts"][0];
        assert_eq!(
            attempt["request"]["body"],
            json!({ "state": "same", "as": "the client's request" })
        );
        assert_eq!(attempt["response"]["body"]["text"], "wörds");
        let base64 = attempt["response"]["body"]["base64"].as_str().unwrap();
        assert_eq!(
            BASE64_STANDARD.decode(base64).unwrap(),
            crate::base::coding::gzip("wörds".as_bytes())
        );
        assert_eq!(attempt["frames"], json!([[1_200, 30], [2_300, 12]]));
        assert_eq!(attempt["link"]["tls_us"], 3);
        assert_eq!(told["response"]["body"], json!({ "state": "absent", "reason": "shed_queue" }));
    }

    #[test]
    fn every_member_stands_in_the_documentation() {
        let page = include_str!("../../../docs/exchange-json.md");
        let told = document(&stored());
        let attempt = &told["attempts"][0];
        let members =
            [&told, attempt, &told["request"], &told["request"]["body"], &attempt["link"]];
        for member in members.iter().flat_map(|object| object.as_object().unwrap().keys()) {
            assert!(page.contains(&format!("`{member}`")), "{member}");
        }
    }
}
