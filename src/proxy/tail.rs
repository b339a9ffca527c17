//! What follows the last event of a stream whose client has left with a complete answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use http_body::Body;

use crate::exchange::outcome::Outcome;
use crate::observe::recorder::Recorder;
use crate::proxy::state::Places;
use crate::upstream::client::AnswerBody;

/// Limits on reading the tail of a stream whose client left after the last event.
const TAIL_WAIT: Duration = Duration::from_secs(1);
const TAIL_BYTES_MAX: u64 = 64 * 1024;

/// Reads what follows the last event, for the record; the client has had a complete answer.
pub(super) async fn read(mut body: AnswerBody, mut recorder: Recorder, places: Places) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Some(data) = frame.data_ref() else {
                continue;
            };
            read += data.len() as u64;
            if let Some(exchange) = recorder.exchange() {
                let at = exchange.offset_us();
                exchange.note_frame(at, data);
            }
            if read > TAIL_BYTES_MAX {
                return;
            }
        }
    };
    // Whether the tail ended or was cut short, the client's answer was complete.
    let _in_time = tokio::time::timeout(TAIL_WAIT, reading).await;
    recorder.finish(Outcome::Complete);
    drop(places);
}
