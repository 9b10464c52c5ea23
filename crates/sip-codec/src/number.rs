//! Decimal numbers.

/// As many digits as the reference reads behind leading zeros; a longer number is too large for every field.
const MAX_DIGITS: usize = 10;

/// A number from 0 to `limit`, leading zeros allowed.
pub fn parse_decimal(text: &str, limit: u64) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0').as_bytes();
    if digits.len() > MAX_DIGITS {
        return None;
    }
    let number = digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    (number <= limit).then_some(number)
}
