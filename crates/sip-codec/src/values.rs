//! The smaller values: CSeq, media types, words with parameters, numbers with parameters.

use crate::address::unquoted;
use crate::lexis::{blanks_end, digits_end, is_token, token_end, trimmed};
use crate::number::parse_decimal;
use crate::params::Params;

/// Numbers in header fields have 32 bits.
pub const MAX_NUMBER: u64 = u32::MAX as u64;

/// Sequence number and method (RFC 3261 §20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Sequence number.
    pub number: u32,
    /// Method, case kept.
    pub method: &'a str,
}

impl<'a> CSeq<'a> {
    /// Read a CSeq.
    pub fn parse(text: &'a str) -> Option<Self> {
        let octets = text.as_bytes();
        let number_end = digits_end(octets, 0);
        let method_start = blanks_end(octets, number_end);
        if method_start == number_end || !is_token(&text[method_start..]) {
            return None;
        }
        let number = parse_decimal(&text[..number_end], MAX_NUMBER)?;
        Some(Self { number: u32::try_from(number).ok()?, method: &text[method_start..] })
    }
}

/// A media type with parameters (RFC 3261 §20.15), case kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// Type.
    pub kind: &'a str,
    /// Subtype.
    pub subtype: &'a str,
    /// In order.
    pub params: Params<'a>,
}

impl<'a> ContentType<'a> {
    /// Read a media type.
    pub fn parse(text: &'a str) -> Option<Self> {
        let octets = text.as_bytes();
        let (kind, end) = word(text, 0)?;
        if octets.get(end) != Some(&b'/') {
            return None;
        }
        let (subtype, end) = word(text, blanks_end(octets, end + 1))?;
        Some(Self { kind, subtype, params: Params::parse(&text[end..])? })
    }
}

/// A word with parameters, such as Content-Disposition (RFC 3261 §20.11): word, case kept, and parameters.
pub fn parse_disposition(text: &str) -> Option<(&str, Params<'_>)> {
    let (value, end) = word(text, 0)?;
    Some((value, Params::parse(&text[end..])?))
}

/// The token at `start` and where it and the blanks behind it end.
fn word(text: &str, start: usize) -> Option<(&str, usize)> {
    let end = token_end(text.as_bytes(), start);
    (end > start).then(|| (&text[start..end], blanks_end(text.as_bytes(), end)))
}

/// Session interval in seconds and the refresher in lower case, if one is named (RFC 4028 §4).
pub fn parse_session_expires(text: &str) -> Option<(u64, Option<String>)> {
    let semicolon = text.find(';').unwrap_or(text.len());
    let refresher = Params::parse(&text[semicolon..])?.find("refresher").map(unquoted).filter(|name| !name.is_empty());
    // What is not ASCII has its lower case made by the reference.
    if refresher.as_ref().is_some_and(|name| !name.is_ascii()) {
        return None;
    }
    let seconds = parse_decimal(trimmed(&text[..semicolon]), MAX_NUMBER)?;
    Some((seconds, refresher.map(|name| name.to_ascii_lowercase())))
}

/// A number that parameters may follow, whatever they are (RFC 4028 §5).
pub fn parse_number_before_params(text: &str) -> Option<u64> {
    parse_decimal(trimmed(text.split(';').next()?), MAX_NUMBER)
}

/// What a PRACK acknowledges: the RSeq, then the CSeq of the response (RFC 3262 §7.2).
pub fn parse_rack(text: &str) -> Option<(u64, CSeq<'_>)> {
    let (number, cseq) = text.split_once(' ')?;
    Some((parse_decimal(number, MAX_NUMBER)?, CSeq::parse(trimmed(cseq))?))
}

/// Seconds; a number above `MAX_NUMBER` counts as that (RFC 3261 §20.19).
pub fn parse_expires(text: &str) -> Option<u64> {
    if text.is_empty() || digits_end(text.as_bytes(), 0) != text.len() {
        return None;
    }
    Some(parse_decimal(text, MAX_NUMBER).unwrap_or(MAX_NUMBER))
}
