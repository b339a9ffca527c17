//! Bodies that a client has compressed with zstd: found out how, so that they can be stored as what they say.

use std::io;

/// How a body was compressed: the library's way of doing it, and its level. Never changed once released.
const WAYS: [(Way, i32); 4] =
    [(Way::Streamed, 3), (Way::AtOnce, 3), (Way::Streamed, 1), (Way::AtOnce, 1)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The head does not tell the size.
    Streamed,
    AtOnce,
}

/// The number of the way in which `plain` becomes `coded`.
pub(super) fn find(plain: &[u8], coded: &[u8]) -> Option<u8> {
    // The fifth byte is the frame's descriptor; without any of these bits it tells no size.
    let way = if coded.get(4)? & 0b1110_0000 == 0 { Way::Streamed } else { Way::AtOnce };
    let ways = (0..).zip(WAYS).filter(|(_, known)| known.0 == way);
    ways.map(|(number, _)| number).find(|way| again(*way, plain).is_ok_and(|again| again == coded))
}

/// Compresses `plain` in the way with that number.
pub(super) fn again(way: u8, plain: &[u8]) -> io::Result<Vec<u8>> {
    match WAYS.get(usize::from(way)) {
        Some((Way::Streamed, level)) => zstd::stream::encode_all(plain, *level),
        Some((Way::AtOnce, level)) => zstd::bulk::compress(plain, *level),
        None => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_are_told_apart() {
        let plain: Vec<u8> =
            (0..20_000_u32).flat_map(|n| (n * n % 251).to_string().into_bytes()).collect();
        for way in 0..4 {
            let coded = again(way, &plain).unwrap();
            let found = find(&plain, &coded).unwrap();
            assert_eq!(again(found, &plain).unwrap(), coded);
        }
        assert_eq!(find(&plain, &zstd::bulk::compress(&plain, 19).unwrap()), None);
        assert_eq!(find(&plain, b"no"), None);
        assert!(again(9, &plain).is_err());
    }
}
