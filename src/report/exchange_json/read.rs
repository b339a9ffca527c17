//! The document of one exchange, read back into what the store would have given: bytes, headers, frames and all. What a
//! newer gateway adds is passed over, what an older one lacks is as if unknown.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::report::exchange_json::{SCHEMA, reason};
use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, Label, Leg, Listed, Stored, Whole};

/// Reads what [`document`](super::document) wrote.
pub fn stored(document: Value) -> Result<Stored, String> {
    let Value::Object(mut members) = document else {
        return Err("it is no JSON object".to_owned());
    };
    match members.get("schema").and_then(Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(schema) => {
            return Err(format!(
                "its shape has the number {schema}, this program reads {SCHEMA}; use the same version on both sides"
            ));
        }
        None => return Err("it has no `schema`; is that a Pinhole gateway?".to_owned()),
    }
    let labels: Vec<Label> = taken(&mut members, "labels")?;
    let names = labels.iter().map(|label| Value::from(label.name.as_str())).collect();
    members.insert("labels".to_owned(), names);
    if let Some(headers) = members.remove("indexed_headers") {
        members.insert("headers".to_owned(), headers);
    }
    let request = leg(members.remove("request"))?;
    let response = leg(members.remove("response"))?;
    let attempts = match members.remove("attempts") {
        Some(Value::Array(attempts)) => {
            attempts.into_iter().map(attempt).collect::<Result<_, _>>()?
        }
        // A listing has their number here.
        _ => Vec::new(),
    };
    let damage: Vec<Damage> = taken(&mut members, "damage")?;
    let response_frames = taken(&mut members, "response_frames")?;
    let response_untabled = taken(&mut members, "response_frames_untabled")?;
    members.insert("attempts".to_owned(), attempts.len().into());
    let row: Listed =
        serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())?;
    let damage = damage.into_iter().map(|one| (one.part, one.reason)).collect();
    Ok(Stored {
        row,
        request,
        attempts,
        response,
        response_frames,
        response_untabled,
        labels,
        damage,
    })
}

/// Rows of a listing.
pub fn listed(rows: Value) -> Result<Vec<Listed>, String> {
    serde_json::from_value(rows).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct Damage {
    part: String,
    reason: String,
}

/// A member, or what it is when it is not there.
fn taken<T: for<'de> Deserialize<'de> + Default>(
    members: &mut Map<String, Value>,
    name: &str,
) -> Result<T, String> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(T::default()),
        Some(value) => serde_json::from_value(value).map_err(|error| format!("`{name}`: {error}")),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LegTold {
    line: Option<String>,
    headers: Option<Vec<(String, String)>>,
    body: BodyTold,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BodyTold {
    state: String,
    reason: Option<String>,
    cut_bytes: u64,
    coding: Option<String>,
    redacted: bool,
    text: Option<String>,
    base64: Option<String>,
}

fn leg(value: Option<Value>) -> Result<Leg, String> {
    let told: LegTold = serde_json::from_value(value.unwrap_or_else(|| Value::Object(Map::new())))
        .map_err(|error| format!("a leg: {error}"))?;
    Ok(Leg { line: told.line, headers: told.headers, body: body(told.body)? })
}

fn body(told: BodyTold) -> Result<Body, String> {
    match told.state.as_str() {
        "same" => return Ok(Body::Same),
        "kept" => {}
        _ => return Ok(Body::Absent(absent(told.reason.as_deref()))),
    }
    let bytes = match (told.base64, told.text) {
        (Some(base64), _) => BASE64_STANDARD
            .decode(base64)
            .map_err(|error| format!("`base64` of a body: {error}"))?,
        (None, text) => text.unwrap_or_default().into_bytes(),
    };
    Ok(Body::Whole(Whole {
        bytes,
        cut_bytes: told.cut_bytes,
        coding: told.coding,
        redacted: told.redacted,
    }))
}

fn absent(word: Option<&str>) -> Absent {
    let all = [
        Absent::NotKept,
        Absent::ShedMemory,
        Absent::ShedQueue,
        Absent::ShedDisk,
        Absent::Removed,
        Absent::Nothing,
        Absent::Damaged,
    ];
    all.into_iter().find(|why| Some(reason(*why)) == word).unwrap_or(Absent::NotKept)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AttemptTold {
    provider: String,
    model: Option<String>,
    key_label: Option<String>,
    because: String,
    status: Option<u16>,
    error_source: Option<String>,
    error_kind: Option<String>,
    sent_us: i64,
    head_us: Option<i64>,
    ended_us: Option<i64>,
    link: Option<LinkTold>,
    peer: Option<String>,
    http: Option<String>,
    tls: Option<String>,
    bytes: i64,
    upstream_request_id: Option<String>,
    response_id: Option<String>,
    response_model: Option<String>,
    service_tier: Option<String>,
    usage: UsageTold,
    cost_nanousd: Option<i64>,
    edits: Vec<String>,
    frames: Vec<(u64, u32)>,
    frames_untabled: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LinkTold {
    #[serde(rename = "resolve_us")]
    resolve: i64,
    #[serde(rename = "connect_us")]
    connect: i64,
    #[serde(rename = "tls_us")]
    tls: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UsageTold {
    source: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cache_read_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
}

fn attempt(mut value: Value) -> Result<Attempt, String> {
    let request = leg(value.get_mut("request").map(Value::take))?;
    let response = leg(value.get_mut("response").map(Value::take))?;
    let told: AttemptTold =
        serde_json::from_value(value).map_err(|error| format!("an attempt: {error}"))?;
    Ok(Attempt {
        provider: told.provider,
        model: told.model,
        key_label: told.key_label,
        because: told.because,
        status: told.status,
        error_source: told.error_source,
        error_kind: told.error_kind,
        sent_us: told.sent_us,
        head_us: told.head_us,
        ended_us: told.ended_us,
        link_us: told.link.map(|link| [link.resolve, link.connect, link.tls]),
        peer: told.peer,
        http: told.http,
        tls: told.tls,
        bytes: told.bytes,
        upstream_request_id: told.upstream_request_id,
        response_id: told.response_id,
        response_model: told.response_model,
        service_tier: told.service_tier,
        input_tokens: told.usage.input_tokens,
        output_tokens: told.usage.output_tokens,
        cache_read_tokens: told.usage.cache_read_tokens,
        cache_write_tokens: told.usage.cache_write_tokens,
        reasoning_tokens: told.usage.reasoning_tokens,
        usage_source: told.usage.source,
        cost_nanousd: told.cost_nanousd,
        edits: told.edits,
        request,
        response,
        frames: told.frames,
        untabled: told.frames_untabled,
    })
}

#[cfg(test)]
mod tests {
    use crate::report::exchange_json::document;

    #[test]
    fn what_was_told_reads_back_as_it_was() {
        for (name, stored) in crate::report::exchange::fixture::all() {
            let back = super::stored(document(&stored)).unwrap();
            // Compared as documents: legs and bodies have no equality of their own.
            assert_eq!(document(&back), document(&stored), "{name}");
            assert_eq!(back.client_request(), stored.client_request(), "{name}");
            assert_eq!(back.client_response(), stored.client_response(), "{name}");
        }
    }

    #[test]
    fn what_is_new_is_passed_over_and_another_shape_refused() {
        let (_, one) = crate::report::exchange::fixture::all().into_iter().next().unwrap();
        let mut told = document(&one);
        told["invented"] = true.into();
        told["attempts"][0]["invented"] = 1.into();
        assert!(super::stored(told.clone()).is_ok());
        told["schema"] = 2.into();
        let error = super::stored(told).unwrap_err();
        assert!(error.contains("the number 2"), "{error}");
    }
}
