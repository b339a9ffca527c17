//! Whole numbers in as few bytes as they need: seven bits a byte, the lowest first, the eighth says that more follow.

/// Appends the number.
pub fn push(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the beginning; `None` where it has no end, or one beyond 64 bits.
pub fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_take_the_bytes_they_need() {
        for (number, long) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)]
        {
            let mut out = Vec::new();
            push(&mut out, number);
            assert_eq!(out.len(), long, "{number}");
            out.push(9);
            let mut rest = &out[..];
            assert_eq!((take(&mut rest), rest), (Some(number), &[9][..]));
        }
        assert_eq!((take(&mut &[][..]), take(&mut &[0x80][..])), (None, None));
        assert_eq!(take(&mut &[0xff; 11][..]), None, "no end");
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(take(&mut &beyond[..]), None, "65 bits");
    }
}
