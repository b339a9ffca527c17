//! How the gateway's own replays tell the pipeline that they are replays: a header that nobody else can write, because it
//! begins with a word that this process has made up and tells nobody.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::base::id::ExchangeId;
use crate::exchange::replay::Replay;

pub const X_PINHOLE_REPLAY: HeaderName = HeaderName::from_static("x-pinhole-replay");

/// `None`: the machine has no random numbers, and there are no replays.
static WORD: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).ok()?;
    Some(random.iter().fold(String::new(), |mut word, byte| {
        let _infallible = write!(word, "{byte:02x}");
        word
    }))
});

/// The header's value for a request of that replay.
pub fn header(replay: Replay) -> Option<HeaderValue> {
    let word = WORD.as_deref()?;
    let of = replay.of.map_or_else(|| "-".to_owned(), |of| of.to_string());
    HeaderValue::try_from(format!("{word} {} {of}", replay.run)).ok()
}

/// What a request says it repeats; `None` for everybody else's.
pub(super) fn read(headers: &HeaderMap) -> Option<Replay> {
    let value = headers.get(X_PINHOLE_REPLAY)?.to_str().ok()?;
    let mut words = value.split(' ');
    if words.next() != WORD.as_deref() {
        return None;
    }
    Some(Replay { run: ExchangeId::parse(words.next()?)?, of: ExchangeId::parse(words.next()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_process_can_say_that_it_repeats() {
        let (run, of) = (ExchangeId::new(1), ExchangeId::new(2));
        for replay in [Replay { run, of: Some(of) }, Replay { run, of: None }] {
            let mut headers = HeaderMap::new();
            assert_eq!(read(&headers), None);
            headers.insert(X_PINHOLE_REPLAY, header(replay).unwrap());
            assert_eq!(read(&headers), Some(replay));
            let forged = format!("{} {run} {of}", "0".repeat(32));
            headers.insert(X_PINHOLE_REPLAY, forged.parse().unwrap());
            assert_eq!(read(&headers), None);
            headers.insert(X_PINHOLE_REPLAY, HeaderValue::from_static("x"));
            assert_eq!(read(&headers), None);
        }
    }
}
