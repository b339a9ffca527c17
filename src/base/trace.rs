//! W3C trace context: reading and writing `traceparent`, new ids, and the sampling decision. Pure but for the random ids.

use std::fmt;

use crate::base::id::next_random;

/// The id all spans of one request share, across services.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

/// The id of one span.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

/// The two digits of each byte.
const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Lower-case hexadecimal digits of `bytes`.
fn hex<'a>(bytes: &[u8], into: &'a mut [u8]) -> &'a str {
    for (pair, byte) in into.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(*byte)];
    }
    std::str::from_utf8(into).unwrap_or_default()
}

impl TraceId {
    /// Writes the 32 characters into `buffer` and returns them.
    pub fn encode(self, buffer: &mut [u8; 32]) -> &str {
        hex(&self.0, buffer)
    }

    pub fn random() -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&next_random().to_be_bytes());
        // Zero is no id.
        bytes[8..].copy_from_slice(&next_random().max(1).to_be_bytes());
        Self(bytes)
    }
}

impl SpanId {
    /// Writes the 16 characters into `buffer` and returns them.
    pub fn encode(self, buffer: &mut [u8; 16]) -> &str {
        hex(&self.0, buffer)
    }

    pub fn random() -> Self {
        Self(next_random().max(1).to_be_bytes())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; 32]))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; 16]))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A caller's place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    pub trace: TraceId,
    pub span: SpanId,
    pub sampled: bool,
}

impl Parent {
    /// Reads a `traceparent`; anything the W3C forbids is no parent.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (version, known) = (header.get(..2)?, header.get(..55)?);
        let further = header.get(55..).unwrap_or_default();
        // A later version may say more after a dash; version 00 says nothing more, and ff is none.
        let ends_well = further.is_empty() || (version != b"00" && further.starts_with(b"-"));
        let dashes = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
        if !dashes || !ends_well || version == b"ff" {
            return None;
        }
        unhex::<1>(version)?;
        let trace = unhex::<16>(known.get(3..35)?)?;
        let span = unhex::<8>(known.get(36..52)?)?;
        let [flags] = unhex::<1>(known.get(53..55)?)?;
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        Some(Self { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
    }
}

/// Lower-case hexadecimal digits, as the W3C wants them.
fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The 55 characters of a `traceparent`.
pub fn traceparent(trace: TraceId, span: SpanId, sampled: bool) -> [u8; 55] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex(&trace.0, &mut text[3..35]);
    hex(&span.0, &mut text[36..52]);
    text[54] = if sampled { b'1' } else { b'0' };
    text
}

/// Which traces are recorded, decided at their first span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Follow the caller's decision where there is a caller.
    pub parent: bool,
    /// The share of the others, 0 to 1.
    pub ratio: f64,
}

impl Sampler {
    pub const OFF: Self = Self { parent: false, ratio: 0.0 };

    /// The OpenTelemetry rule: the low 63 bits of the id against the ratio, so that services with one ratio agree.
    pub fn decide(&self, trace: TraceId, parent: Option<Parent>) -> bool {
        if let Some(parent) = parent.filter(|_| self.parent) {
            return parent.sampled;
        }
        if self.ratio >= 1.0 {
            return true;
        }
        let low = trace.0.last_chunk::<8>().map_or(0, |low| u64::from_be_bytes(*low)) >> 1;
        #[expect(clippy::cast_sign_loss, reason = "a negative ratio is taken as zero")]
        let bound = (self.ratio.max(0.0) * (1u64 << 63) as f64) as u64;
        low < bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_is_read_and_written_back() {
        let parent = Parent::parse(GOOD.as_bytes()).unwrap();
        assert!(parent.sampled);
        assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span.to_string(), "00f067aa0ba902b7");
        assert_eq!(traceparent(parent.trace, parent.span, true), *GOOD.as_bytes());
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert!(!Parent::parse(later.as_bytes()).unwrap().sampled);
    }

    #[test]
    fn what_the_standard_forbids_is_no_parent() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn sampling_follows_the_parent_else_the_ratio() {
        let parent = Parent::parse(GOOD.as_bytes()).unwrap();
        let never = Sampler { parent: true, ratio: 0.0 };
        assert!(never.decide(parent.trace, Some(parent)));
        assert!(!Sampler::OFF.decide(parent.trace, Some(parent)));
        let unsampled = Parent { sampled: false, ..parent };
        assert!(!Sampler { parent: true, ratio: 1.0 }.decide(parent.trace, Some(unsampled)));
        assert!(Sampler { parent: false, ratio: 1.0 }.decide(parent.trace, Some(unsampled)));
        let tenth = Sampler { parent: true, ratio: 0.1 };
        let taken = (0..10_000).filter(|_| tenth.decide(TraceId::random(), None)).count();
        assert!((800..1_200).contains(&taken), "{taken}");
    }
}
