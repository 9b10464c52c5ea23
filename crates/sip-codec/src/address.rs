//! Addresses with parameters, as in From, To, Contact and Route (RFC 3261 §20.10).

use std::borrow::Cow;

use crate::lexis::{blanks_end, quoted_end, trimmed_end};
use crate::list::split_list;
use crate::params::Params;
use crate::uri::Uri;

/// An address; the parameters are the header field's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// Plain text, without quotes and escapes.
    pub display_name: Option<Cow<'a, str>>,
    /// Its URI.
    pub uri: Uri<'a>,
    /// In order.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Read one address; `*` is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let octets = text.as_bytes();
        let (display_name, open) = if octets.first() == Some(&b'"') {
            let end = quoted_end(octets, 0)?;
            (Some(unescaped(&text[1..end - 1])), blanks_end(octets, end))
        } else {
            let Some(open) = plain_end(octets).filter(|&end| octets[end] == b'<') else {
                return parse_addr_spec(text);
            };
            let plain = trimmed_end(&text[..open]);
            ((!plain.is_empty()).then_some(Cow::Borrowed(plain)), open)
        };
        if octets.get(open) != Some(&b'<') {
            return None;
        }
        let close = open + 1 + memchr::memchr2(b'<', b'>', &octets[open + 1..])?;
        let uri = if octets[close] == b'>' { Uri::parse(&text[open + 1..close])? } else { return None };
        let semicolon = blanks_end(octets, close + 1);
        // Blanks behind the bracket are no parameters; the reference has them stripped before it reads.
        if semicolon == octets.len() {
            return Some(Self { display_name, uri, params: Params::default() });
        }
        Some(Self { display_name, uri, params: Params::parse(&text[semicolon..])? })
    }
}

/// Where a display name without quotes has to end.
fn plain_end(text: &[u8]) -> Option<usize> {
    text.iter().position(|octet| matches!(octet, b'"' | b'<' | b'>' | b',' | b';'))
}

fn parse_addr_spec(text: &str) -> Option<NameAddr<'_>> {
    // RFC 3261 §20.10: without brackets, everything behind the first semicolon belongs to the header field, and a URI
    // with a question mark or comma has to be in brackets.
    let semicolon = text.find(';').unwrap_or(text.len());
    let address = trimmed_end(&text[..semicolon]);
    if address.contains(['?', ',', '<']) {
        return None;
    }
    Some(NameAddr { display_name: None, uri: Uri::parse(address)?, params: Params::parse(&text[semicolon..])? })
}

/// The text inside a quoted-string with its escapes resolved.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    Cow::Owned(plain)
}

/// The text of a parameter value: inside of its quotes if it has some, escapes resolved.
pub fn unquoted(value: &str) -> Cow<'_, str> {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => unescaped(inside),
        None => Cow::Borrowed(value),
    }
}

/// Read the addresses of the comma list `text`; None when one of them cannot be read.
pub fn parse_addresses<'a>(text: &'a str, into: &mut Vec<NameAddr<'a>>) -> Option<()> {
    for element in split_list(text) {
        into.push(NameAddr::parse(element?)?);
    }
    Some(())
}
