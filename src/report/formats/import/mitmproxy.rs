//! mitmproxy's flow files (`mitmdump -w`), as versions 7 to 12 write them. Bodies are the bytes of the wire; when pieces of
//! a stream arrived is not in them.

use std::io::BufRead;

use pinhole_replay::recording::{Fault, Recording};

use crate::report::formats::import::foreign::{Foreign, Heads, seconds};
use crate::report::formats::import::tnet::{self, Value};
use crate::report::formats::import::{Found, Place, ReadError, Source};

pub(super) fn read(
    from: &mut dyn BufRead,
    found: &mut dyn FnMut(Found) -> bool,
) -> Result<(), ReadError> {
    for number in 1.. {
        let place = Place::Entry(number);
        let damaged = |reason: &str| Found::Damaged { place, reason: reason.to_owned() };
        let (bytes, kind) = match tnet::element(from) {
            Ok(Some(element)) => element,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                // Without a length nobody knows where the next one begins.
                found(damaged(&error.to_string()));
                found(Found::Note("nothing can be read after the damaged entry".to_owned()));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let goes_on = found(match tnet::value(&bytes, kind) {
            None => damaged("it is no typed netstring"),
            Some(flow) => match recording(&flow) {
                Ok(Some(recording)) => Found::Recording(Box::new(recording)),
                Ok(None) => Found::Other,
                Err(reason) => damaged(reason),
            },
        });
        if !goes_on {
            return Ok(());
        }
    }
    Ok(())
}

fn recording(flow: &Value) -> Result<Option<Recording>, &'static str> {
    if flow.get("type").bytes() != Some(b"http") {
        return Ok(None);
    }
    let (request, response) = (flow.get("request"), flow.get("response"));
    let time = |of: &Value, name: &str| of.get(name).number().and_then(seconds);
    let started_us = time(request, "timestamp_start").ok_or("its request has no time")?;
    let error = flow.get("error").get("msg").text();
    let server = flow.get("server_conn");
    let foreign = Foreign {
        id: flow.get("id").text().ok_or("it has no id")?,
        started_us,
        head_us: time(response, "timestamp_start"),
        ended_us: time(response, "timestamp_end")
            .or_else(|| time(flow.get("error"), "timestamp"))
            .or_else(|| time(request, "timestamp_end")),
        method: request.get("method").text().ok_or("its request has no method")?,
        url: url(request).ok_or("its request has no path")?,
        request_headers: Some(headers(request)),
        request_body: request.get("content").bytes().map(<[u8]>::to_vec),
        status: response.get("status_code").int().and_then(|code| u16::try_from(code).ok()),
        response_headers: (*response != Value::Null).then(|| headers(response)),
        response_body: response.get("content").bytes().map(<[u8]>::to_vec),
        link_us: link(server, started_us),
        peer: peer(server),
        client: peer(flow.get("client_conn")),
        error: error.map(|detail| Fault {
            source: "upstream".to_owned(),
            kind: "upstream_reset".to_owned(),
            detail: Some(detail),
        }),
        ..Foreign::default()
    };
    Ok(Some(foreign.recording(Source::Mitmproxy)))
}

fn url(request: &Value) -> Option<String> {
    let path = request.get("path").text()?;
    let scheme = request.get("scheme").text().unwrap_or_else(|| "https".to_owned());
    let host = request.get("host").text().unwrap_or_default();
    Some(match request.get("port").int() {
        Some(port) if port != 443 && port != 80 => {
            format!("{scheme}://{host}:{port}{path}")
        }
        _ => format!("{scheme}://{host}{path}"),
    })
}

fn headers(message: &Value) -> Heads {
    let pairs = message.get("headers").items().iter();
    pairs
        .filter_map(|pair| match pair.items() {
            [name, value] => Some((name.text()?, value.text()?)),
            _ => None,
        })
        .collect()
}

/// How long the connection took to be made, where it was made for this request.
fn link(server: &Value, started_us: i64) -> Option<[i64; 3]> {
    let time = |name: &str| server.get(name).number().and_then(seconds);
    let began = time("timestamp_start").filter(|began| *began >= started_us)?;
    let connected = time("timestamp_tcp_setup")?;
    let secured = time("timestamp_tls_setup").unwrap_or(connected);
    Some([0, (connected - began).max(0), (secured - connected).max(0)])
}

fn peer(connection: &Value) -> Option<String> {
    // Older versions call it `ip_address` and `address`.
    let names = ["peername", "ip_address", "address"];
    let address = names.iter().map(|name| connection.get(name)).find(|it| it.items().len() >= 2)?;
    let [host, port, ..] = address.items() else { return None };
    let (host, port) = (host.text()?, port.int()?);
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}
