//! Compression of blobs: zstd frames with a dictionary, without the four bytes that all frames begin with.

use std::collections::HashMap;
use std::fmt;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use crate::store::vault::dictionaries::{self, LEVEL};
use crate::store::vault::wire::Bad;

/// Limit: a blob unpacked. What claims to be larger is refused.
pub(super) const PLAIN_MAX: usize = 1 << 30;

/// The level of frames that go on from earlier content, and the window that has to hold both.
const LEVEL_AFTER: i32 = 6;
const WINDOW_LOG: u32 = 19;
/// Limit: buffers larger than this are not kept.
const BUFFER_KEPT: usize = 1 << 20;
const DAMAGED: Bad = Bad("a blob does not decompress");
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Contexts with their dictionaries, made at first use.
#[derive(Default)]
pub(super) struct Codec {
    packers: HashMap<i64, Compressor<'static>>,
    openers: HashMap<i64, Decompressor<'static>>,
    /// Reused for each blob that is packed, and for each that is opened.
    packed: Vec<u8>,
    frame: Vec<u8>,
}

impl Codec {
    /// `dictionary` is asked for the bytes of a dictionary that is not prepared yet.
    pub(super) fn pack(
        &mut self,
        plain: &[u8],
        id: i64,
        dictionary: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Bad> {
        const FAILED: Bad = Bad("compression failed");
        let packer = match self.packers.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let packer = if let Some((own, _)) = dictionaries::prepared(id) {
                    Compressor::with_prepared_dictionary(own)
                } else {
                    let bytes = dictionary().ok_or(Bad("a dictionary is missing"))?;
                    Compressor::with_dictionary(LEVEL, &bytes)
                };
                let mut packer = packer.map_err(|_| FAILED)?;
                // The number stands in the row.
                packer.set_parameter(CParameter::DictIdFlag(false)).map_err(|_| FAILED)?;
                entry.insert(packer)
            }
        };
        self.packed.clear();
        self.packed.reserve(zstd_safe::compress_bound(plain.len()));
        packer.compress_to_buffer(plain, &mut self.packed).map_err(|_| FAILED)?;
        let blob = self.packed.strip_prefix(&MAGIC).ok_or(FAILED)?.to_vec();
        if self.packed.capacity() > BUFFER_KEPT {
            self.packed = Vec::new();
        }
        Ok(blob)
    }

    pub(super) fn open(
        &mut self,
        blob: &[u8],
        id: i64,
        dictionary: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Bad> {
        let size = self.frame(blob)?;
        let opener = match self.openers.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let opener = if let Some((_, own)) = dictionaries::prepared(id) {
                    Decompressor::with_prepared_dictionary(own)
                } else {
                    let bytes = dictionary().ok_or(Bad("a dictionary is missing"))?;
                    Decompressor::with_dictionary(&bytes)
                };
                entry.insert(opener.map_err(|_| DAMAGED)?)
            }
        };
        opener.decompress(&self.frame, size).map_err(|_| DAMAGED)
    }

    /// A frame that goes on from `window`.
    pub(super) fn pack_after(plain: &[u8], window: &[u8]) -> Result<Vec<u8>, Bad> {
        const FAILED: Bad = Bad("compression failed");
        let mut context = CCtx::create();
        let parameters = [
            CParameter::CompressionLevel(LEVEL_AFTER),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::DictIdFlag(false),
        ];
        for parameter in parameters {
            context.set_parameter(parameter).map_err(|_| FAILED)?;
        }
        context.ref_prefix(window).map_err(|_| FAILED)?;
        let mut blob = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
        context.compress2(&mut blob, plain).map_err(|_| FAILED)?;
        if blob.starts_with(&MAGIC) {
            blob.drain(..MAGIC.len());
            return Ok(blob);
        }
        Err(FAILED)
    }

    pub(super) fn open_after(&mut self, blob: &[u8], window: &[u8]) -> Result<Vec<u8>, Bad> {
        let size = self.frame(blob)?;
        let mut context = DCtx::create();
        context.ref_prefix(window).map_err(|_| DAMAGED)?;
        let mut plain = Vec::with_capacity(size);
        context.decompress(&mut plain, &self.frame).map_err(|_| DAMAGED)?;
        Ok(plain)
    }

    /// Makes a frame of a blob, and gives its size unpacked.
    fn frame(&mut self, blob: &[u8]) -> Result<usize, Bad> {
        self.frame.clear();
        self.frame.extend_from_slice(&MAGIC);
        self.frame.extend_from_slice(blob);
        let size = zstd_safe::get_frame_content_size(&self.frame).ok().flatten().ok_or(DAMAGED)?;
        let size = usize::try_from(size).ok().filter(|size| *size <= PLAIN_MAX);
        size.ok_or(Bad("a blob claims to be larger than any can be"))
    }

    /// Lets go of the dictionaries that were trained: they may have been replaced.
    pub(super) fn forget_trained(&mut self) {
        self.packers.retain(|id, _| *id < dictionaries::TRAINED_MIN);
        self.openers.retain(|id, _| *id < dictionaries::TRAINED_MIN);
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Codec({} packers, {} openers)", self.packers.len(), self.openers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_come_back_with_and_without_a_dictionary() {
        let mut codec = Codec::default();
        let text = b"the quick brown fox ".repeat(40);
        for (id, dictionary) in [(0, &[][..]), (1_007, &text[..300])] {
            let blob = codec.pack(&text, id, || Some(dictionary.to_vec())).unwrap();
            assert!(blob.len() < 60);
            let mut other = Codec::default();
            assert_eq!(other.open(&blob, id, || Some(dictionary.to_vec())), Ok(text.clone()));
            assert!(other.open(&blob, 1_099, || None).is_err());
            for at in 0..blob.len() {
                let mut damaged = blob.clone();
                damaged[at] ^= 0x55;
                let _refused = codec.open(&damaged, id, || None);
            }
            assert!(codec.open(&blob[..blob.len() - 1], id, || None).is_err());
        }
        let none = || Some(Vec::new());
        let blob = codec.pack(b"", 0, none).unwrap();
        assert_eq!(codec.open(&blob, 0, none), Ok(Vec::new()));
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; PLAIN_MAX / 64], 1).unwrap();
        let mut codec = Codec::default();
        let opened = codec.open(&bomb[4..], 0, || Some(Vec::new())).unwrap();
        assert_eq!(opened.len(), PLAIN_MAX / 64);
        // The same with a size of 2 GiB in its head.
        let mut liar = vec![0b1010_0000, 0, 0, 0, 0x80];
        liar.extend_from_slice(&bomb[9..]);
        assert!(codec.open(&liar, 0, || None).is_err());
    }
}
