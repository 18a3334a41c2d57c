// SPDX-License-Identifier: GPL-2.0-only
//! Sizes as people write them.

/// `4096`, `64K`, `512M`, `1G`, `2T` (powers of 1024) to bytes.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is not a size; write bytes, or a number with K, M, G or T");
    let (number, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        Some(b't' | b'T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// Bytes in the shortest exact form: `64M`, `1536K`, `513`.
pub fn format(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    match units.iter().find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for (text, bytes) in
            [("513", 513), ("1536K", 1536 << 10), ("64M", 64 << 20), ("3T", 3 << 40)]
        {
            assert_eq!(format(bytes), text);
            assert_eq!(parse(text), Ok(bytes));
        }
        assert_eq!(format(0), "0");
    }

    #[test]
    fn sizes() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("1G"), Ok(1 << 30));
        assert_eq!(parse("3k"), Ok(3072));
        for bad in ["", "G", "0", "1X", "-1", "99999999T"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
