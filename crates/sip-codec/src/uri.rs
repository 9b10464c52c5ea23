//! URIs: sip, sips and tel in parts, any other scheme as opaque text (RFC 3261 §19.1, RFC 3966).

use crate::lexis::{host_end, password_end, port, uri_header_end, uri_param_end, user_end};
use crate::params::Param;

/// One URI, each part as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uri<'a> {
    /// sip or sips.
    Sip(SipUri<'a>),
    /// A telephone number and its parameters.
    Tel {
        /// With its visual separators.
        number: &'a str,
        /// In order.
        params: UriParams<'a>,
    },
    /// Another scheme.
    Other {
        /// In lower case.
        scheme: &'a str,
        /// What follows the colon.
        opaque: &'a str,
    },
}

/// A sip or sips URI, escapes kept, IPv6 in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipUri<'a> {
    /// Whether it is sips.
    pub secure: bool,
    /// User part.
    pub user: Option<&'a str>,
    /// Password, empty when there is only its colon.
    pub password: Option<&'a str>,
    /// Host.
    pub host: &'a str,
    /// Port.
    pub port: Option<u16>,
    /// In order.
    pub params: UriParams<'a>,
    /// Header parameters.
    pub headers: UriHeaders<'a>,
}

/// Parameters of a URI whose text was found to be well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UriParams<'a> {
    text: &'a str,
    count: usize,
}

impl<'a> UriParams<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Name and value, if there is one, in order.
    pub fn iter(&self) -> UriParamsIter<'a> {
        UriParamsIter { text: self.text, position: 0, left: self.count }
    }
}

/// The parameters of a `UriParams`.
#[derive(Clone, Debug)]
pub struct UriParamsIter<'a> {
    text: &'a str,
    position: usize,
    left: usize,
}

impl<'a> Iterator for UriParamsIter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        if self.left == 0 {
            return None;
        }
        let (param, end) = next_param(self.text, self.position)?;
        self.position = end;
        self.left -= 1;
        Some(param)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for UriParamsIter<'_> {}

/// Header parameters of a URI whose text was found to be well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UriHeaders<'a>(&'a str);

impl<'a> UriHeaders<'a> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.split('&').filter_map(|piece| piece.split_once('='))
    }

    /// Read what stands behind the question mark.
    fn parse(text: &'a str) -> Option<Self> {
        let is_well_formed = |piece: &str| piece.split_once('=').is_some_and(|(name, _)| !name.is_empty());
        text.split('&').all(is_well_formed).then_some(Self(text))
    }
}

impl<'a> Uri<'a> {
    /// Read a URI without surrounding blanks or brackets.
    pub fn parse(text: &'a str) -> Option<Self> {
        let colon = text.as_bytes().iter().position(|octet| *octet == b':')?;
        let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
        if scheme.eq_ignore_ascii_case("sip") {
            parse_sip(rest, false).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            parse_sip(rest, true).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("tel") {
            parse_tel(rest)
        } else {
            parse_other(scheme, rest)
        }
    }
}

fn parse_sip(text: &str, secure: bool) -> Option<SipUri<'_>> {
    let octets = text.as_bytes();
    let (user, password, host_start) = userinfo(text);
    let host_end = host_end(octets, host_start)?;
    let mut position = host_end;
    let mut number = None;
    if octets.get(position) == Some(&b':') {
        let (found, end) = port(octets, position + 1)?;
        number = Some(found);
        position = end;
    }
    let (params, params_end) = params(text, position)?;
    let headers = if params_end == text.len() {
        UriHeaders::default()
    } else {
        if octets[params_end] != b'?' || uri_header_end(octets, params_end + 1) != text.len() {
            return None;
        }
        UriHeaders::parse(&text[params_end + 1..])?
    };
    if !escapes_are_whole(octets) {
        return None;
    }
    Some(SipUri { secure, user, password, host: &text[host_start..host_end], port: number, params, headers })
}

/// User and password, if an `@` says that they are there, and where the host begins.
fn userinfo(text: &str) -> (Option<&str>, Option<&str>, usize) {
    let octets = text.as_bytes();
    let user_end = user_end(octets, 0);
    if user_end == 0 {
        return (None, None, 0);
    }
    match octets.get(user_end) {
        Some(b'@') => (Some(&text[..user_end]), None, user_end + 1),
        Some(b':') => {
            let password_end = password_end(octets, user_end + 1);
            if octets.get(password_end) == Some(&b'@') {
                (Some(&text[..user_end]), Some(&text[user_end + 1..password_end]), password_end + 1)
            } else {
                (None, None, 0)
            }
        }
        _ => (None, None, 0),
    }
}

/// The parameters that begin at `start`, and where they end; None when one has no name, or no value behind its `=`.
fn params(text: &str, start: usize) -> Option<(UriParams<'_>, usize)> {
    let mut position = start;
    let mut count = 0;
    while text.as_bytes().get(position) == Some(&b';') {
        position = next_param(text, position)?.1;
        count += 1;
    }
    Some((UriParams { text: &text[start..position], count }, position))
}

/// The parameter behind the semicolon at `start`, and where it ends.
#[inline]
fn next_param(text: &str, start: usize) -> Option<(Param<'_>, usize)> {
    let octets = text.as_bytes();
    let name_end = uri_param_end(octets, start + 1);
    if name_end == start + 1 {
        return None;
    }
    let name = &text[start + 1..name_end];
    if octets.get(name_end) != Some(&b'=') {
        return Some(((name, None), name_end));
    }
    let value_end = uri_param_end(octets, name_end + 1);
    (value_end > name_end + 1).then(|| ((name, Some(&text[name_end + 1..value_end])), value_end))
}

/// Whether two hexadecimal digits follow every percent sign.
fn escapes_are_whole(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text)
        .all(|at| text.len() > at + 2 && text[at + 1].is_ascii_hexdigit() && text[at + 2].is_ascii_hexdigit())
}

fn parse_tel(text: &str) -> Option<Uri<'_>> {
    let octets = text.as_bytes();
    let is_number = |octet: &u8| octet.is_ascii_hexdigit() || b"+-.()*#".contains(octet);
    let end = octets.iter().position(|octet| !is_number(octet)).unwrap_or(octets.len());
    let (params, params_end) = params(text, end)?;
    (end > 0 && params_end == text.len()).then(|| Uri::Tel { number: &text[..end], params })
}

fn parse_other<'a>(scheme: &'a str, opaque: &'a str) -> Option<Uri<'a>> {
    let octets = scheme.as_bytes();
    // An upper-case scheme would have to be copied to be written in lower case.
    let is_scheme = octets.first().is_some_and(u8::is_ascii_lowercase)
        && octets.iter().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"+-.".contains(octet));
    let is_opaque = |octet: u8| matches!(octet, b'!' | b'#'..=b';' | b'=' | b'?'..=b'_' | b'a'..=b'z' | b'|' | b'~');
    (is_scheme && !opaque.is_empty() && opaque.bytes().all(is_opaque)).then_some(Uri::Other { scheme, opaque })
}
