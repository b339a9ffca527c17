//! Keys that can be told by how they begin: one table, read by the scanner, the policy's version and the documentation.

/// The bytes that follow a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chars {
    Alnum,
    /// Letters, digits, `_`, `-`.
    Url,
    /// The same and `.`.
    Dots,
    /// Letters, digits, and `+/=` of base64.
    Base64,
    /// Capitals and digits.
    Upper,
}

impl Chars {
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dots => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        }
    }
}

/// A key that begins in a way of its own.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) prefix: &'static str,
    pub(super) chars: Chars,
    /// Characters after the beginning.
    pub(super) min: usize,
    pub(super) max: usize,
    /// What follows must not read like words: the beginning alone is not telling enough.
    pub(super) random: bool,
}

/// Telling by its beginning alone.
const fn sure(prefix: &'static str, chars: Chars, min: usize, max: usize) -> Shape {
    Shape { prefix, chars, min, max, random: false }
}

/// Telling when what follows is random.
const fn random(prefix: &'static str, chars: Chars, min: usize) -> Shape {
    Shape { prefix, chars, min, max: LENGTH_MAX, random: true }
}

/// Limit: characters of a key.
const LENGTH_MAX: usize = 512;

use Chars::{Alnum, Base64, Dots, Upper, Url};

pub(super) const SHAPES: &[Shape] = &[
    // Model providers: OpenAI, Anthropic, OpenRouter, DeepSeek, Moonshot, LiteLLM and others; Stripe's.
    random("sk-", Url, 12),
    random("sk_", Url, 12),
    random("pk-", Url, 12),
    random("pk_live_", Url, 12),
    random("rk_", Url, 12),
    random("rk-", Url, 12),
    random("ak-", Url, 12),
    random("sess-", Url, 16),
    random("gsk_", Alnum, 12),
    random("xai-", Url, 12),
    random("pplx-", Url, 12),
    random("csk-", Url, 12),
    random("nvapi-", Url, 12),
    random("hf_", Alnum, 16),
    random("api_org_", Alnum, 16),
    random("r8_", Alnum, 16),
    random("fw_", Alnum, 16),
    random("tgp_v1_", Url, 12),
    random("tvly-", Url, 12),
    random("jina_", Url, 16),
    random("pa-", Url, 24),
    random("pcsk_", Url, 16),
    random("lsv2_", Url, 16),
    random("e2b_", Alnum, 16),
    sure("bce-v3/", Base64, 24, LENGTH_MAX),
    sure("AIza", Url, 35, 35),
    sure("ya29.", Dots, 20, LENGTH_MAX),
    random("GOCSPX-", Url, 16),
    // Clouds.
    sure("AKIA", Upper, 16, 16),
    sure("ASIA", Upper, 16, 16),
    sure("ABSK", Base64, 40, LENGTH_MAX),
    Shape { max: 24, ..random("LTAI", Alnum, 12) },
    random("dop_v1_", Alnum, 32),
    Shape { max: 40, ..random("dapi", Alnum, 32) },
    // Code, packages, chat and the like.
    random("ghp_", Alnum, 12),
    random("gho_", Alnum, 12),
    random("ghu_", Alnum, 12),
    random("ghs_", Alnum, 12),
    random("ghr_", Alnum, 12),
    sure("github_pat_", Url, 22, LENGTH_MAX),
    random("glpat-", Url, 12),
    random("npm_", Alnum, 20),
    sure("pypi-AgE", Url, 24, LENGTH_MAX),
    random("dckr_pat_", Url, 12),
    random("xoxa-", Url, 10),
    random("xoxb-", Url, 10),
    random("xoxp-", Url, 10),
    random("xoxr-", Url, 10),
    random("xoxe-", Url, 10),
    random("xoxs-", Url, 10),
    random("shpat_", Alnum, 16),
    random("shpss_", Alnum, 16),
    random("whsec_", Base64, 16),
    random("SG.", Dots, 24),
    random("hvs.", Url, 16),
    random("glsa_", Url, 16),
    random("lin_api_", Alnum, 16),
    random("ntn_", Alnum, 20),
    random("figd_", Url, 16),
    random("sbp_", Alnum, 16),
    random("ATATT3", Base64, 24),
    sure("AGE-SECRET-KEY-1", Upper, 40, 80),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_beginning_hides_another() {
        for (index, shape) in SHAPES.iter().enumerate() {
            assert!(shape.min <= shape.max && shape.prefix.len() >= 3, "{shape:?}");
            for other in SHAPES.iter().take(index) {
                assert!(
                    !shape.prefix.starts_with(other.prefix),
                    "{} {}",
                    shape.prefix,
                    other.prefix
                );
            }
        }
    }
}
