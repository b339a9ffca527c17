//! Content codings of request bodies, undone for reading only: what is forwarded stays as it came.

use std::io::Read;

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

/// Limit: codings laid over each other in one header.
const CODINGS_MAX: usize = 4;

/// Limit: zstd's window, as HTTP asks of every decoder (RFC 9659). A frame that wants more is refused.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

const STEP_BYTES: usize = 16 * 1024;

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    #[error("content-encoding `{coding}` is not supported; use gzip, deflate, br, zstd or none")]
    Unsupported { coding: String },
    #[error("more than {CODINGS_MAX} content-encodings are laid over each other; send one")]
    TooMany,
    #[error("the body does not decode as `{coding}`; send it as its content-encoding says")]
    Corrupt { coding: &'static str },
    #[error("the decoded body is over the limit of {bytes_max} bytes; raise `limits.body`")]
    TooLarge { bytes_max: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn label(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// `bytes` in gzip, at the level that costs least: for answers of our own that are made anew each time.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut coder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    let mut coded = Vec::with_capacity(bytes.len() / 4);
    let read = coder.read_to_end(&mut coded);
    debug_assert!(read.is_ok(), "reading from memory cannot fail");
    coded
}

/// Undoes the codings that `header` (the value of `content-encoding`) lists, the last one first. A body without a coding
/// is given back as it is. Limit: `bytes_max` of output after each coding.
pub fn decode(header: &str, body: &Bytes, bytes_max: usize) -> Result<Bytes, CodingError> {
    let codings = parse(header)?;
    let mut decoded = body.clone();
    for coding in codings.into_iter().rev() {
        decoded = Bytes::from(decode_one(coding, &decoded, bytes_max)?);
    }
    if decoded.len() > bytes_max {
        return Err(CodingError::TooLarge { bytes_max });
    }
    Ok(decoded)
}

/// As much of the beginning as can be read of a body of which only the first bytes are at hand; at most `bytes_max`.
pub fn beginning(header: &str, first: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut decoded = first.to_vec();
    for coding in parse(header).unwrap_or_default().into_iter().rev() {
        let mut out = Vec::new();
        let mut reader: Box<dyn Read + '_> = match coding {
            Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(decoded.as_slice())),
            Coding::Deflate => Box::new(flate2::read::ZlibDecoder::new(decoded.as_slice())),
            Coding::Brotli => Box::new(brotli::Decompressor::new(decoded.as_slice(), STEP_BYTES)),
            Coding::Zstd => match zstd::stream::read::Decoder::with_buffer(decoded.as_slice()) {
                Ok(decoder) => Box::new(decoder),
                Err(_) => return Vec::new(),
            },
        };
        // The end of what is at hand comes as an error; what was read before it counts.
        let mut step = [0; STEP_BYTES];
        while out.len() < bytes_max
            && let Ok(read @ 1..) = reader.read(&mut step)
        {
            let room = bytes_max - out.len();
            out.extend_from_slice(step.get(..read.min(room)).unwrap_or_default());
        }
        drop(reader);
        decoded = out;
    }
    decoded
}

fn parse(header: &str) -> Result<Vec<Coding>, CodingError> {
    let mut codings = Vec::new();
    for name in header.split(',').map(str::trim) {
        match name.to_ascii_lowercase().as_str() {
            "" | "identity" => {}
            "gzip" | "x-gzip" => codings.push(Coding::Gzip),
            "deflate" => codings.push(Coding::Deflate),
            "br" => codings.push(Coding::Brotli),
            "zstd" => codings.push(Coding::Zstd),
            _ => {
                return Err(CodingError::Unsupported { coding: name.chars().take(64).collect() });
            }
        }
    }
    if codings.len() > CODINGS_MAX {
        return Err(CodingError::TooMany);
    }
    Ok(codings)
}

fn decode_one(coding: Coding, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, CodingError> {
    let corrupt = CodingError::Corrupt { coding: coding.label() };
    match coding {
        Coding::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(body), bytes_max, corrupt),
        Coding::Deflate => deflate(body, bytes_max),
        Coding::Brotli => {
            read_bounded(brotli::Decompressor::new(body, STEP_BYTES), bytes_max, corrupt)
        }
        Coding::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(body).map_err(|_| corrupt.clone())?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| corrupt.clone())?;
            read_bounded(decoder, bytes_max, corrupt)
        }
    }
}

fn read_bounded(
    reader: impl Read,
    bytes_max: usize,
    corrupt: CodingError,
) -> Result<Vec<u8>, CodingError> {
    let mut out = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    reader.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(|_| corrupt)?;
    if out.len() > bytes_max {
        return Err(CodingError::TooLarge { bytes_max });
    }
    Ok(out)
}

/// `deflate` means the zlib format, but some clients send it without the wrapper.
fn deflate(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, CodingError> {
    match inflate(body, Decompress::new(true), bytes_max) {
        Err(CodingError::Corrupt { .. }) => inflate(body, Decompress::new(false), bytes_max),
        decided => decided,
    }
}

/// Driven by hand because the reader in `flate2` takes a body that breaks off for one that ends.
fn inflate(
    body: &[u8],
    mut decompress: Decompress,
    bytes_max: usize,
) -> Result<Vec<u8>, CodingError> {
    let corrupt = CodingError::Corrupt { coding: "deflate" };
    let mut out = Vec::new();
    loop {
        let taken = usize::try_from(decompress.total_in()).unwrap_or(usize::MAX);
        let rest = body.get(taken..).unwrap_or_default();
        out.reserve(STEP_BYTES);
        let made = out.len();
        let status = decompress
            .decompress_vec(rest, &mut out, FlushDecompress::None)
            .map_err(|_| corrupt.clone())?;
        if out.len() > bytes_max {
            return Err(CodingError::TooLarge { bytes_max });
        }
        let stands_still = out.len() == made && decompress.total_in() as usize == taken;
        match status {
            Status::StreamEnd => return Ok(out),
            Status::Ok | Status::BufError if stands_still => return Err(corrupt),
            Status::Ok | Status::BufError => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const MAX: usize = 1 << 20;

    #[test]
    fn a_beginning_is_read_of_a_cut_body() {
        for coding in ["gzip", "deflate", "br"] {
            let whole = encode(coding, &text());
            let mut state = 1_u64;
            let noise = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            });
            let noise: Vec<u8> = noise.take(20_000).collect();
            let long = encode(coding, &[text(), noise].concat());
            for first in [&whole[..], &long[..2_048]] {
                let read = beginning(coding, first, 512);
                assert!(!read.is_empty() && text().starts_with(&read[..200]), "{coding}");
            }
        }
        let whole = encode("zstd", &text());
        assert_eq!(beginning("zstd", &whole, 512), text()[..512]);
        assert_eq!(beginning("", b"plain", 512), b"plain");
        assert_eq!(beginning("gzip", b"no gzip", 512), b"");
    }

    fn text() -> Vec<u8> {
        br#"{"model":"gpt-5","messages":[{"role":"user","content":"hello"}]} "#.repeat(50)
    }

    fn encode(coding: &str, plain: &[u8]) -> Vec<u8> {
        use flate2::Compression;
        match coding {
            "gzip" | "x-gzip" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "raw deflate" => {
                let mut encoder =
                    flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "br" => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 4, 20).write_all(plain).unwrap();
                out
            }
            _ => zstd::stream::encode_all(plain, 3).unwrap(),
        }
    }

    fn check(header: &str, encoded: Vec<u8>, expected: &Result<&[u8], CodingError>) {
        let decoded = decode(header, &Bytes::from(encoded), MAX);
        assert_eq!(decoded.as_deref().map_err(Clone::clone), *expected, "{header}");
    }

    #[test]
    fn every_coding_is_undone() {
        let plain = text();
        for coding in ["gzip", "x-gzip", "deflate", "br", "zstd"] {
            check(coding, encode(coding, &plain), &Ok(&plain));
            check(&coding.to_uppercase(), encode(coding, &plain), &Ok(&plain));
            check(coding, encode(coding, b""), &Ok(b""));
        }
        check("deflate", encode("raw deflate", &plain), &Ok(&plain));
        check("", plain.clone(), &Ok(&plain));
        check("identity", plain.clone(), &Ok(&plain));
        check("gzip, zstd", encode("zstd", &encode("gzip", &plain)), &Ok(&plain));
        check("identity, br", encode("br", &plain), &Ok(&plain));
    }

    #[test]
    fn a_body_without_a_coding_is_not_copied() {
        let body = Bytes::from(text());
        assert_eq!(decode("identity", &body, MAX).unwrap().as_ptr(), body.as_ptr());
    }

    #[test]
    fn broken_bodies_are_refused() {
        let plain = text();
        for (header, coding) in [
            ("gzip", "gzip"),
            ("deflate", "deflate"),
            ("deflate", "raw deflate"),
            ("br", "br"),
            ("zstd", "zstd"),
        ] {
            let whole = encode(coding, &plain);
            let label = parse(header).unwrap()[0].label();
            let corrupt = Err(CodingError::Corrupt { coding: label });
            check(header, b"this is not compressed at all".to_vec(), &corrupt);
            for cut in [whole.len() / 2, whole.len() - 1] {
                check(header, whole[..cut].to_vec(), &corrupt);
            }
        }
    }

    #[test]
    fn output_is_bounded() {
        let zeros = vec![0; MAX + 1];
        for coding in ["gzip", "deflate", "raw deflate", "br", "zstd"] {
            let header = coding.trim_start_matches("raw ");
            let too_large = CodingError::TooLarge { bytes_max: MAX };
            check(header, encode(coding, &zeros), &Err(too_large));
            check(header, encode(coding, &zeros[..MAX]), &Ok(&zeros[..MAX]));
        }
        check("", zeros, &Err(CodingError::TooLarge { bytes_max: MAX }));
    }

    #[test]
    fn unknown_codings_are_named() {
        let unsupported =
            |coding: &str| Err(CodingError::Unsupported { coding: coding.to_owned() });
        check("compress", text(), &unsupported("compress"));
        check("gzip, lzma", text(), &unsupported("lzma"));
        check("gzip, gzip, gzip, gzip, gzip", text(), &Err(CodingError::TooMany));
    }
}
