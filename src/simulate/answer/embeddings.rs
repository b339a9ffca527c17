//! Embedding vectors: unit length, the same for the same input and model.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::simulate::ask::Ask;
use crate::simulate::endpoint::Endpoint;
use crate::simulate::pace::{Rng, digest};
use crate::simulate::script::Profile;

/// Length of a vector when neither request nor script says.
const DIMENSIONS: usize = 1_536;
/// Limit: longer vectors are cut to this.
const DIMENSIONS_MAX: usize = 16_384;

/// The answer in the shape of the endpoint asked.
pub(crate) fn plain(ask: &Ask<'_>, profile: &Profile, seed: u64) -> Value {
    let wanted = ask.dimensions.or(profile.dimensions).unwrap_or(DIMENSIONS);
    let length = wanted.min(DIMENSIONS_MAX);
    let seed = digest(seed, ask.model.as_bytes());
    let vectors = ask.inputs.iter().map(|input| vector(seed, input, length));
    match ask.endpoint {
        Endpoint::EmbedContent => {
            let values = vectors.into_iter().next().unwrap_or_default();
            json!({"embedding": {"values": values}})
        }
        Endpoint::BatchEmbedContents => {
            let list: Vec<Value> = vectors.map(|values| json!({"values": values})).collect();
            json!({"embeddings": list})
        }
        _ => openai(ask, vectors),
    }
}

fn openai(ask: &Ask<'_>, vectors: impl Iterator<Item = Vec<f32>>) -> Value {
    let data: Vec<Value> = vectors
        .enumerate()
        .map(|(index, vector)| {
            let embedding = if ask.base64 { json!(base64(&vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = ask.inputs.iter().map(|input| input.len() / 4 + 1).sum();
    json!({"object": "list", "data": data, "model": ask.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
}

fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

fn vector(seed: u64, input: &str, length: usize) -> Vec<f32> {
    let mut rng = Rng::new(digest(seed, input.as_bytes()));
    let mut vector: Vec<f32> = (0..length).map(|_| rng.unit() as f32 - 0.5).collect();
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 0.0 {
        for value in &mut vector {
            *value /= norm;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_unit_length_and_depend_on_the_input_alone() {
        let one = vector(1, "\"a\"", 64);
        assert_eq!(one, vector(1, "\"a\"", 64));
        assert_ne!(one, vector(1, "\"b\"", 64));
        let norm: f32 = one.iter().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-4);
    }

    #[test]
    fn base64_is_little_endian_floats() {
        assert_eq!(base64(&[1.0, -2.0]), "AACAPwAAAMA=");
    }
}
