//! CBOR 2: a sequence of CBOR maps, an event each, as llm-interactive-proxy's byte capture writes them. What went to and
//! came from providers is whole messages, line and headers included; pieces of streams are bytes.

use std::io::{self, BufRead};

use bytes::Bytes;

use crate::base::coding;
use crate::report::formats::import::assemble::{Assembler, Event, Facts, Way};
use crate::report::formats::import::cbor::{self, Value};
use crate::report::formats::import::foreign::seconds;
use crate::report::formats::import::{Found, ITEM_MAX, Place, ReadError, Source};

const MAGIC: &str = "LLMPROXY-CAPTURE-V2";

pub(super) fn read(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    let mut assembler = Assembler::new(Source::Cbor2, false);
    for number in 1.. {
        let place = Place::Entry(number);
        let goes_on = match cbor::item(from) {
            Ok(None) => break,
            Ok(Some(item)) if item.get("magic").text().is_some() => header(&item, found),
            Ok(Some(item)) => match event(&item) {
                Ok(Some(event)) => assembler
                    .take(event)
                    .is_none_or(|recording| found(Found::Recording(Box::new(recording)))),
                Ok(None) => true,
                Err(reason) => found(Found::Damaged { place, reason: reason.to_owned() }),
            },
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                found(Found::Damaged { place, reason: error.to_string() });
                found(Found::Note("nothing can be read after the damaged entry".to_owned()));
                break;
            }
            Err(error) => return Err(error.into()),
        };
        if !goes_on {
            return Ok(());
        }
    }
    while let Some(recording) = assembler.next_left() {
        if !found(Found::Recording(Box::new(recording))) {
            break;
        }
    }
    Ok(())
}

fn header(item: &Value, found: &mut dyn FnMut(Found) -> bool) -> bool {
    if item.get("magic").text() == Some(MAGIC) && item.get("version").int() == Some(2) {
        return true;
    }
    found(Found::Note("the file is of another version than 2; it may be misread".to_owned()))
}

/// `None`: a mark without bytes, or a frame of a web socket.
fn event(item: &Value) -> Result<Option<Event>, &'static str> {
    let facts = item.get("meta");
    let is_mark = ["ss", "se", "eos"].iter().any(|mark| facts.get(mark).is_true());
    if facts.get("transport").text() == Some("websocket") {
        return Ok(None);
    }
    let way = match item.get("dir").int() {
        Some(0) => Way::FromClient,
        Some(1) => Way::ToClient,
        Some(2) => Way::ToProvider,
        Some(3) => Way::FromProvider,
        _ => return Err("its direction is not known"),
    };
    let bytes = data(item)?;
    let piece = facts.get("ci").int().is_some();
    if bytes.is_empty() && !is_mark {
        return Ok(None);
    }
    let text = |name: &str| facts.get(name).text().map(str::to_owned);
    let session = text("sid").or_else(|| text("asid"));
    let request_id = text("rid").or_else(|| session.clone());
    let status = facts.get("http_status").int().or_else(|| facts.get("sc").int());
    let provider = matches!(way, Way::ToProvider | Way::FromProvider);
    Ok(Some(Event {
        at_us: item.get("ts").number().and_then(seconds).ok_or("it has no time")?,
        way,
        bytes,
        piece,
        facts: Facts {
            request_id: request_id.ok_or("it has neither a request's nor a session's id")?,
            session,
            provider: text("be").filter(|_| provider),
            model: text("mod").filter(|_| provider),
            key_label: text("key").filter(|_| provider),
            client: text("host"),
            user_agent: text("ua"),
            status: status.and_then(|code| u16::try_from(code).ok()),
            method: text("http_method"),
            url: text("url"),
            attempt: facts.get("bseq").int().or_else(|| facts.get("rat").int()),
        },
    }))
}

fn data(item: &Value) -> Result<Vec<u8>, &'static str> {
    let Value::Bytes(bytes) = item.get("data") else { return Err("it has no data") };
    match item.get("enc").text() {
        None => Ok(bytes.clone()),
        Some("zlib") => coding::decode("deflate", &Bytes::copy_from_slice(bytes), ITEM_MAX)
            .map(Vec::from)
            .map_err(|_| "its data does not unpack as zlib"),
        Some(_) => Err("its data is packed in a way that is not known"),
    }
}
