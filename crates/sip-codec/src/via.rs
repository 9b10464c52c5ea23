//! The path that a response travels back (RFC 3261 §20.42).

use crate::lexis::{blanks_end, host_end, port, token_end};
use crate::list::split_list;
use crate::params::Params;

/// One hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// As written; the reference has it in upper case.
    pub transport: &'a str,
    /// IPv6 in brackets.
    pub host: &'a str,
    /// Port.
    pub port: Option<u16>,
    /// In order.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Read one hop.
    pub fn parse(text: &'a str) -> Option<Self> {
        let octets = text.as_bytes();
        let name = expect(octets, 0, b"SIP")?;
        let version = expect(octets, slash(octets, name)?, b"2.0")?;
        let transport_start = slash(octets, version)?;
        let transport_end = token_end(octets, transport_start);
        let host_start = blanks_end(octets, transport_end);
        if transport_end == transport_start || host_start == transport_end {
            return None;
        }
        let host_end = host_end(octets, host_start)?;
        let mut position = blanks_end(octets, host_end);
        let mut number = None;
        if octets.get(position) == Some(&b':') {
            let (found, end) = port(octets, blanks_end(octets, position + 1))?;
            number = Some(found);
            position = blanks_end(octets, end);
        }
        if position < octets.len() && octets[position] != b';' {
            return None;
        }
        Some(Self {
            transport: &text[transport_start..transport_end],
            host: &text[host_start..host_end],
            port: number,
            params: Params::parse(&text[position..])?,
        })
    }
}

/// Where `word`, in whichever case, ends if it stands at `start`.
fn expect(text: &[u8], start: usize, word: &[u8]) -> Option<usize> {
    let end = start + word.len();
    text.get(start..end)?.eq_ignore_ascii_case(word).then_some(end)
}

/// Where the slash at `start` and the blanks around it end.
fn slash(text: &[u8], start: usize) -> Option<usize> {
    let at = blanks_end(text, start);
    (text.get(at) == Some(&b'/')).then(|| blanks_end(text, at + 1))
}

/// Read the hops of the comma list `text`; None when one of them cannot be read.
pub fn parse_vias<'a>(text: &'a str, into: &mut Vec<Via<'a>>) -> Option<()> {
    for element in split_list(text) {
        into.push(Via::parse(element?)?);
    }
    Some(())
}
