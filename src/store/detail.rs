//! The attempts of one exchange, in one blob: what `exchange_records.detail` holds. Described for other readers in
//! `docs/store.md`.
//!
//! ```text
//!  blob      version (1) │ calls of tools │ attempts │ length, attempt │ length, attempt │ …
//!  attempt   which parts are there, one bit each │ the parts, in the order of their bits
//!  number    varint: seven bits a byte, lowest first, the eighth set where more follow
//!  text      varint: the row in `words`, doubled, plus one; or the bytes that follow, doubled
//! ```
//!
//! Parts are only ever added, with higher bits: a reader takes those it knows and leaves the rest of the attempt, and
//! whatever follows the last attempt, alone.

use std::borrow::Cow;

use crate::base::varint;
use crate::neutral::usage::{Usage, UsageSource};
use crate::store::row::{AttemptRow, Row, int};
use crate::store::words::Word;

const VERSION: u8 = 1;
/// Limit: attempts that are read of one blob; no exchange makes as many.
const ATTEMPTS_MAX: u64 = 4_096;

/// What is known of an attempt. The discriminants are the bits, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Provider = 0,
    Model = 1,
    /// Absent where it is that of `Model`.
    ModelLabel = 2,
    KeyLabel = 3,
    Because = 4,
    Status = 5,
    SentUs = 6,
    HeadUs = 7,
    EndedUs = 8,
    Bytes = 9,
    Http = 10,
    Tls = 11,
    Peer = 12,
    Input = 13,
    Output = 14,
    CacheRead = 15,
    CacheWrite = 16,
    Reasoning = 17,
    UsageSource = 18,
    Cost = 19,
    PriceBasis = 20,
    PriceVersion = 21,
    ResponseId = 22,
    ResponseModel = 23,
    ServiceTier = 24,
    /// One of [`PARTIAL`], [`MISSING`], [`UNPRICED`], or several.
    Marks = 25,
    ErrorSource = 26,
    ErrorKind = 27,
    /// Of the last attempt it stands in the record.
    UpstreamRequestId = 28,
    ResolveUs = 29,
    ConnectUs = 30,
    TlsUs = 31,
    CacheWrite1h = 32,
    ImageInput = 33,
    ImageOutput = 34,
    AudioInput = 35,
    AudioOutput = 36,
    WebSearches = 37,
    EstimatedInput = 38,
    EstimatedOutput = 39,
}

pub(super) const PARTS: usize = 40;
pub(super) const PARTIAL: i64 = 1;
pub(super) const MISSING: i64 = 1 << 1;
pub(super) const UNPRICED: i64 = 1 << 2;

/// The bits whose parts are texts.
const TEXTS: u64 = bit(Part::Provider)
    | bit(Part::Model)
    | bit(Part::ModelLabel)
    | bit(Part::KeyLabel)
    | bit(Part::Because)
    | bit(Part::Http)
    | bit(Part::Tls)
    | bit(Part::Peer)
    | bit(Part::UsageSource)
    | bit(Part::PriceBasis)
    | bit(Part::PriceVersion)
    | bit(Part::ResponseId)
    | bit(Part::ResponseModel)
    | bit(Part::ServiceTier)
    | bit(Part::ErrorSource)
    | bit(Part::ErrorKind)
    | bit(Part::UpstreamRequestId);

const fn bit(part: Part) -> u64 {
    1 << part as u8
}

/// A part as it is written or was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Value<'a> {
    #[default]
    None,
    Number(i64),
    Text(Cow<'a, str>),
    /// The row in `words`, not looked up yet.
    Word(i64),
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried<'a> {
    parts: [Value<'a>; PARTS],
}

/// All attempts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Detail<'a> {
    /// Calls of tools in the answer that went to the client.
    pub tool_calls: i64,
    pub attempts: Vec<Tried<'a>>,
}

impl Default for Tried<'_> {
    fn default() -> Self {
        Self { parts: [const { Value::None }; PARTS] }
    }
}

impl<'a> Tried<'a> {
    pub(super) fn of(attempt: &'a AttemptRow, is_last: bool) -> Self {
        let mut tried = Self::default();
        let estimated = &attempt.estimated;
        tried.set_text(Part::Provider, Some(&attempt.provider));
        tried.set_text(Part::Model, attempt.model.as_deref());
        let label =
            Some(&*attempt.model_label).filter(|label| attempt.model.as_deref() != Some(*label));
        tried.set_text(Part::ModelLabel, label);
        tried.set_text(Part::KeyLabel, attempt.key_label.as_deref());
        tried.set_text(Part::Because, Some(&attempt.because));
        tried.set(Part::Status, attempt.status.map(i64::from));
        tried.set(Part::SentUs, Some(attempt.sent_us));
        tried.set(Part::HeadUs, attempt.head_us);
        tried.set(Part::EndedUs, attempt.ended_us);
        tried.set(Part::Bytes, Some(attempt.bytes));
        tried.set_text(Part::Http, Some(&*attempt.http).filter(|version| !version.is_empty()));
        tried.set_text(Part::Tls, attempt.tls.as_deref());
        tried.set_text(Part::Peer, attempt.peer.as_deref());
        tried.set_usage(&attempt.usage);
        tried.set(Part::EstimatedInput, estimated.input.map(int));
        tried.set(Part::EstimatedOutput, estimated.output.map(int));
        tried.set_text(Part::UsageSource, attempt.usage_source.map(UsageSource::label));
        tried.set(Part::Cost, attempt.cost_nanousd);
        tried.set_text(Part::PriceBasis, attempt.price_basis.as_deref());
        tried.set_text(Part::PriceVersion, attempt.price_version.as_deref());
        tried.set_text(Part::ResponseId, attempt.response_id.as_deref());
        tried.set_text(Part::ResponseModel, attempt.response_model.as_deref());
        tried.set_text(Part::ServiceTier, attempt.service_tier.as_deref());
        tried.set_marks([attempt.partial, attempt.missing, attempt.unpriced]);
        tried.set_text(Part::ErrorSource, attempt.error_source.as_deref());
        tried.set_text(Part::ErrorKind, attempt.error_kind.as_deref());
        let own_id = attempt.upstream_request_id.as_deref().filter(|_| !is_last);
        tried.set_text(Part::UpstreamRequestId, own_id);
        let links = [Part::ResolveUs, Part::ConnectUs, Part::TlsUs];
        for (part, us) in links.into_iter().zip(attempt.link_us.iter().flatten()) {
            tried.set(part, Some(*us));
        }
        tried
    }

    pub(super) fn set(&mut self, part: Part, number: Option<i64>) {
        self.put(part, number.map_or(Value::None, Value::Number));
    }

    pub(super) fn set_text(&mut self, part: Part, text: Option<&'a str>) {
        self.put(part, text.map_or(Value::None, |text| Value::Text(Cow::Borrowed(text))));
    }

    pub(super) fn put(&mut self, part: Part, value: Value<'a>) {
        if let Some(place) = self.parts.get_mut(part as usize) {
            *place = value;
        }
    }

    pub(super) fn set_marks(&mut self, [partial, missing, unpriced]: [bool; 3]) {
        let of = |mark: i64, is_set: bool| if is_set { mark } else { 0 };
        let marks = of(PARTIAL, partial) | of(MISSING, missing) | of(UNPRICED, unpriced);
        self.set(Part::Marks, (marks != 0).then_some(marks));
    }

    fn set_usage(&mut self, usage: &Usage) {
        for (part, count) in kinds(usage) {
            self.set(part, count.map(int));
        }
    }

    pub(super) fn number(&self, part: Part) -> Option<i64> {
        match self.parts.get(part as usize) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The text of a part; words must have been looked up.
    pub(super) fn text(&self, part: Part) -> Option<&str> {
        match self.parts.get(part as usize) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn owned(&self, part: Part) -> Option<String> {
        self.text(part).map(str::to_owned)
    }

    pub(super) fn model_label(&self) -> &str {
        self.text(Part::ModelLabel).or_else(|| self.text(Part::Model)).unwrap_or_default()
    }

    pub(super) fn has_mark(&self, mark: i64) -> bool {
        self.number(Part::Marks).unwrap_or(0) & mark != 0
    }

    pub(super) fn usage(&self) -> Usage {
        let of = |part| self.number(part).and_then(|count| u64::try_from(count).ok());
        Usage {
            input: of(Part::Input),
            output: of(Part::Output),
            cache_read: of(Part::CacheRead),
            cache_write: of(Part::CacheWrite),
            cache_write_1h: of(Part::CacheWrite1h),
            reasoning: of(Part::Reasoning),
            image_input: of(Part::ImageInput),
            image_output: of(Part::ImageOutput),
            audio_input: of(Part::AudioInput),
            audio_output: of(Part::AudioOutput),
            web_searches: of(Part::WebSearches),
        }
    }

    /// The kinds that the gateway counted.
    pub(super) fn estimated(&self) -> Usage {
        let of = |part| self.number(part).and_then(|count| u64::try_from(count).ok());
        let (input, output) = (of(Part::EstimatedInput), of(Part::EstimatedOutput));
        Usage { input, output, ..Usage::default() }
    }

    pub(super) fn usage_source(&self) -> Option<UsageSource> {
        let told = self.text(Part::UsageSource)?;
        UsageSource::ALL.into_iter().find(|source| source.label() == told)
    }

    /// Resolving, connecting, TLS; `None` on a connection that was there already.
    pub(super) fn link_us(&self) -> Option<[i64; 3]> {
        let of = |part| self.number(part);
        Some([of(Part::ResolveUs)?, of(Part::ConnectUs)?, of(Part::TlsUs)?])
    }

    /// Puts other texts in the place of those that are spelled out; true when there were any.
    pub(super) fn change_texts(&mut self, mut to: impl FnMut(&str) -> Option<String>) -> bool {
        let mut changed = false;
        for part in &mut self.parts {
            if let Value::Text(text) = part
                && let Some(other) = to(text)
            {
                *part = Value::Text(Cow::Owned(other));
                changed = true;
            }
        }
        changed
    }

    /// Looks up the words.
    pub(super) fn resolve<E>(
        &mut self,
        mut text_of: impl FnMut(i64) -> Result<String, E>,
    ) -> Result<(), E> {
        for part in &mut self.parts {
            if let Value::Word(id) = part {
                *part = Value::Text(Cow::Owned(text_of(*id)?));
            }
        }
        Ok(())
    }
}

pub(super) fn kinds(usage: &Usage) -> [(Part, Option<u64>); 11] {
    [
        (Part::Input, usage.input),
        (Part::Output, usage.output),
        (Part::CacheRead, usage.cache_read),
        (Part::CacheWrite, usage.cache_write),
        (Part::CacheWrite1h, usage.cache_write_1h),
        (Part::Reasoning, usage.reasoning),
        (Part::ImageInput, usage.image_input),
        (Part::ImageOutput, usage.image_output),
        (Part::AudioInput, usage.audio_input),
        (Part::AudioOutput, usage.audio_output),
        (Part::WebSearches, usage.web_searches),
    ]
}

impl<'a> Detail<'a> {
    pub(super) fn of(row: &'a Row) -> Self {
        let last = row.attempts.len().saturating_sub(1);
        let attempts = row.attempts.iter().enumerate();
        Self {
            tool_calls: row.tool_calls(),
            attempts: attempts.map(|(n, attempt)| Tried::of(attempt, n == last)).collect(),
        }
    }

    /// Nothing to write: no attempt was made.
    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.tool_calls == 0
    }

    /// Writes the blob; `word` says what stands for a text.
    pub(super) fn encode<E>(
        &self,
        out: &mut Vec<u8>,
        mut word: impl for<'t> FnMut(&'t str) -> Result<Word<'t>, E>,
    ) -> Result<(), E> {
        out.push(VERSION);
        varint::push(out, self.tool_calls.cast_unsigned());
        varint::push(out, self.attempts.len() as u64);
        for tried in &self.attempts {
            // Most attempts are shorter than 128 bytes; a longer length is put in when it is known.
            let at = out.len();
            out.push(0);
            tried.encode(out, &mut word)?;
            let length = out.len() - at - 1;
            if let (Ok(short @ ..=0x7f), Some(place)) = (u8::try_from(length), out.get_mut(at)) {
                *place = short;
            } else {
                let mut longer = Vec::with_capacity(4);
                varint::push(&mut longer, length as u64);
                out.splice(at..=at, longer);
            }
        }
        Ok(())
    }

    /// As much of a blob as makes sense.
    pub(super) fn decode(bytes: &[u8]) -> Detail<'static> {
        let mut detail = Detail::default();
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return detail };
        let (Some(calls), Some(count)) = (varint::take(&mut rest), varint::take(&mut rest)) else {
            return detail;
        };
        detail.tool_calls = calls.cast_signed();
        for _ in 0..count.min(ATTEMPTS_MAX) {
            let Some(mut attempt) =
                varint::take(&mut rest).and_then(|length| take(&mut rest, length))
            else {
                break;
            };
            detail.attempts.push(Tried::decode(&mut attempt));
        }
        detail
    }
}

impl Tried<'_> {
    fn encode<E>(
        &self,
        out: &mut Vec<u8>,
        word: &mut impl for<'t> FnMut(&'t str) -> Result<Word<'t>, E>,
    ) -> Result<(), E> {
        let mut there = 0u64;
        for (n, part) in self.parts.iter().enumerate() {
            there |= u64::from(*part != Value::None) << n;
        }
        varint::push(out, there);
        for part in &self.parts {
            match part {
                Value::None => {}
                Value::Number(number) => varint::push(out, number.cast_unsigned()),
                Value::Word(id) => varint::push(out, id.cast_unsigned() << 1 | 1),
                Value::Text(text) => match word(text)? {
                    Word::Id(id) => varint::push(out, id.cast_unsigned() << 1 | 1),
                    Word::Text(text) => {
                        varint::push(out, (text.len() as u64) << 1);
                        out.extend_from_slice(text.as_bytes());
                    }
                },
            }
        }
        Ok(())
    }

    fn decode(rest: &mut &[u8]) -> Tried<'static> {
        let mut tried = Tried::default();
        let there = varint::take(rest).unwrap_or(0);
        for (n, place) in tried.parts.iter_mut().enumerate().filter(|(n, _)| there >> n & 1 == 1) {
            let Some(number) = varint::take(rest) else { break };
            *place = if TEXTS >> n & 1 == 0 {
                Value::Number(number.cast_signed())
            } else if number & 1 == 1 {
                Value::Word((number >> 1).cast_signed())
            } else {
                let Some(text) = take(rest, number >> 1) else { break };
                Value::Text(Cow::Owned(String::from_utf8_lossy(text).into_owned()))
            };
        }
        tried
    }
}

fn take<'b>(rest: &mut &'b [u8], length: u64) -> Option<&'b [u8]> {
    let (taken, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Texts of even length are interned, so that both forms come.
    fn word_of(text: &str) -> Option<i64> {
        (text.len() & 1 == 0).then(|| i64::try_from(text.len()).unwrap())
    }

    fn encoded(detail: &Detail<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Ok(()) = detail.encode(&mut bytes, |text| {
            Ok::<_, Infallible>(word_of(text).map_or(Word::Text(text.into()), Word::Id))
        });
        bytes
    }

    /// What reading gives back.
    fn expected(detail: &Detail<'_>) -> Detail<'static> {
        let part = |part: &Value<'_>| match part {
            Value::None => Value::None,
            Value::Number(number) => Value::Number(*number),
            Value::Word(id) => Value::Word(*id),
            Value::Text(text) => word_of(text)
                .map_or_else(|| Value::Text(Cow::Owned(text.clone().into_owned())), Value::Word),
        };
        let tried =
            |tried: &Tried<'_>| Tried { parts: std::array::from_fn(|n| part(&tried.parts[n])) };
        Detail {
            tool_calls: detail.tool_calls,
            attempts: detail.attempts.iter().map(tried).collect(),
        }
    }

    fn attempt() -> impl Strategy<Value = Tried<'static>> {
        let text = "\\PC{0,90}";
        proptest::collection::vec((any::<bool>(), any::<i64>(), text), PARTS).prop_map(|parts| {
            let mut tried = Tried::default();
            for (n, (is_there, number, text)) in parts.into_iter().enumerate() {
                if is_there {
                    let is_text = TEXTS >> n & 1 == 1;
                    tried.parts[n] =
                        if is_text { Value::Text(Cow::Owned(text)) } else { Value::Number(number) };
                }
            }
            tried
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            tool_calls in any::<i64>(),
            attempts in proptest::collection::vec(attempt(), 0..4),
            after in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let detail = Detail { tool_calls, attempts };
            let mut bytes = encoded(&detail);
            bytes.extend(after);
            prop_assert_eq!(Detail::decode(&bytes), expected(&detail));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let detail = Detail::decode(&bytes);
            prop_assert!(detail.attempts.len() <= bytes.len());
        }
    }

    #[test]
    fn what_a_later_version_adds_is_left_alone() {
        let mut first = Tried::default();
        first.set(Part::Status, Some(200));
        first.set_text(Part::Because, Some("odd"));
        let detail = Detail { tool_calls: 3, attempts: vec![first.clone(), first] };
        let bytes = encoded(&detail);
        assert_eq!(bytes.len(), 3 + 2 * (1 + 1 + 4 + 2));
        // Each attempt gets a part of bit 40, whose value is 5, and the blob a trailer.
        let mut later = vec![VERSION, 3, 2];
        for _ in 0..2 {
            let mut attempt = Vec::new();
            varint::push(&mut attempt, bit(Part::Status) | bit(Part::Because) | 1 << 40);
            attempt.extend_from_slice(&bytes[5..11]);
            attempt.push(5);
            later.push(attempt.len() as u8);
            later.extend(attempt);
        }
        later.extend([9, 9, 9]);
        assert_eq!(Detail::decode(&later), expected(&detail));
        assert_eq!(
            Detail::decode(&[2, 0, 0]),
            Detail::default(),
            "another version is not guessed at"
        );
    }
}
