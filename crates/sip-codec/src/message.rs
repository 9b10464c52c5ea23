//! One whole message: a datagram, or what was cut out of a stream (RFC 3261 §7, §18.3).

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::address::NameAddr;
use crate::field_list::FieldList;
use crate::lexis::{blanks_end, is_token, trimmed_end};
use crate::name::{Key, Known, Name};
use crate::number::parse_decimal;
use crate::uri::Uri;
use crate::values::CSeq;
use crate::via::{parse_vias, Via};

/// As in the reference: one UDP datagram carries no more.
pub const MAX_MESSAGE_SIZE: usize = 65535;
/// As in the reference.
pub const MAX_FIELDS: usize = 256;
/// As in the reference, which counts characters: what is longer in octets is left to it.
pub const MAX_LINE_LENGTH: usize = 8192;
/// As in the reference.
pub const MAX_CALL_ID: usize = 1024;

/// So many fields fit without another allocation: an INVITE has about twenty.
const USUAL_FIELDS: usize = 24;

static END_OF_HEAD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// A place in the octets of a message, of which there are at most 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The place as a range.
    pub fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// The text at this place of the message; None when it is not one of that message's spans.
    pub fn text(self, message: &[u8]) -> Option<&str> {
        std::str::from_utf8(message.get(self.range())?).ok()
    }
}

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request's.
    Request {
        /// Case kept.
        method: &'a str,
        /// Without header parameters.
        uri: Uri<'a>,
    },
    /// A response's.
    Response {
        /// 100 to 699.
        status: u16,
        /// May be empty.
        reason: &'a str,
    },
}

/// A message whose start line, field syntax, body length and five necessary fields are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a, V> {
    /// Its first line.
    pub start: Start<'a>,
    /// All fields in order, with what the caller makes of the places of their values.
    pub fields: FieldList<V>,
    /// All hops, topmost first; never empty.
    pub vias: Vec<Via<'a>>,
    /// From.
    pub from: NameAddr<'a>,
    /// To.
    pub to: NameAddr<'a>,
    /// Call-ID.
    pub call_id: &'a str,
    /// CSeq; the method is the request's.
    pub cseq: CSeq<'a>,
    /// Where the body is, as long as Content-Length says.
    pub body: Range<usize>,
}

impl<'a, V: From<Span>> Message<'a, V> {
    /// Read one whole message.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        if data.len() > MAX_MESSAGE_SIZE {
            return None;
        }
        // RFC 3261 §7.5: empty lines before the start line are ignored.
        let first = data.iter().position(|octet| !matches!(octet, b'\r' | b'\n'))?;
        let head_end = END_OF_HEAD.find(&data[first..])? + first;
        let head = std::str::from_utf8(&data[first..head_end]).ok()?;
        let mut lines = Lines { text: head, start: 0 };
        let start = parse_start(&head[lines.next()??])?;
        let mut essentials = Essentials::default();
        let mut fields = FieldList::with_capacity(USUAL_FIELDS);
        for line in lines {
            let line = line?;
            let colon = line.start + memchr::memchr(b':', &head.as_bytes()[line.clone()])?;
            let name = Name::parse(&head[line.start..colon])?;
            let value_start = blanks_end(&head.as_bytes()[..line.end], colon + 1);
            let value = trimmed_end(&head[value_start..line.end]);
            if let Name::Known(known) = name {
                essentials.take(known, value)?;
            }
            let start = first + value_start;
            fields.add(name, V::from(Span { start: start as u16, end: (start + value.len()) as u16 }));
        }
        if fields.len() > MAX_FIELDS {
            return None;
        }
        let body_start = head_end + 4;
        let body_length = match essentials.content_length {
            // RFC 3261 §18.3: what is behind the body is no part of the message.
            Some(length) => usize::try_from(length).ok().filter(|&length| length <= data.len() - body_start)?,
            None => data.len() - body_start,
        };
        let cseq = essentials.cseq?;
        // RFC 3261 §8.1.1.5: the CSeq method is the request's.
        if matches!(start, Start::Request { method, .. } if method != cseq.method) || essentials.vias.is_empty() {
            return None;
        }
        Some(Self {
            start,
            fields,
            vias: essentials.vias,
            from: essentials.from?,
            to: essentials.to?,
            call_id: essentials.call_id?,
            cseq,
            body: body_start..body_start + body_length,
        })
    }
}

/// The fields that are read at once; all but Via stand alone.
#[derive(Default)]
struct Essentials<'a> {
    vias: Vec<Via<'a>>,
    from: Option<NameAddr<'a>>,
    to: Option<NameAddr<'a>>,
    call_id: Option<&'a str>,
    cseq: Option<CSeq<'a>>,
    content_length: Option<u64>,
}

impl<'a> Essentials<'a> {
    /// Note a field; None when it cannot be read or stands there twice.
    fn take(&mut self, name: Known, value: &'a str) -> Option<()> {
        match name {
            Known::Via => parse_vias(value, &mut self.vias),
            Known::From => once(&mut self.from, NameAddr::parse(value)?),
            Known::To => once(&mut self.to, NameAddr::parse(value)?),
            Known::CallId => once(&mut self.call_id, parse_call_id(value)?),
            Known::CSeq => once(&mut self.cseq, CSeq::parse(value)?),
            Known::ContentLength => once(&mut self.content_length, parse_decimal(value, MAX_MESSAGE_SIZE as u64)?),
            _ => Some(()),
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Read a Call-ID.
pub fn parse_call_id(value: &str) -> Option<&str> {
    (!value.is_empty() && value.len() <= MAX_CALL_ID && !value.contains([' ', '\t'])).then_some(value)
}

fn parse_start(line: &str) -> Option<Start<'_>> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let digits = rest.get(..3)?;
        let status = parse_decimal(digits, 699).filter(|status| *status >= 100)?;
        let reason = match &rest[3..] {
            "" => "",
            reason => reason.strip_prefix(' ')?,
        };
        return Some(Start::Response { status: status as u16, reason });
    }
    let (method, rest) = line.split_once(' ')?;
    let uri = rest.strip_suffix(" SIP/2.0")?;
    if !is_token(method) {
        return None;
    }
    let uri = Uri::parse(uri)?;
    // RFC 3261 §19.1.1, table 1: no headers in a Request-URI.
    if matches!(&uri, Uri::Sip(sip) if !sip.headers.is_empty()) {
        return None;
    }
    Some(Start::Request { method, uri })
}

/// The lines of a head; None among them ends it: a line too long, a break that is none, or a folded line.
struct Lines<'a> {
    text: &'a str,
    start: usize,
}

impl Iterator for Lines<'_> {
    type Item = Option<Range<usize>>;

    fn next(&mut self) -> Option<Option<Range<usize>>> {
        let octets = self.text.as_bytes();
        let start = self.start;
        if start > octets.len() {
            return None;
        }
        let end = match memchr::memchr2(b'\r', b'\n', &octets[start..]) {
            Some(found) => {
                let end = start + found;
                if octets[end] != b'\r' || octets.get(end + 1) != Some(&b'\n') {
                    return self.refuse();
                }
                self.start = end + 2;
                end
            }
            None => {
                self.start = octets.len() + 1;
                octets.len()
            }
        };
        // RFC 3261 §7.3.1: a line that begins with a blank continues the one before.
        if end - start > MAX_LINE_LENGTH || matches!(octets.get(start), Some(b' ' | b'\t')) {
            return self.refuse();
        }
        Some(Some(start..end))
    }
}

impl Lines<'_> {
    fn refuse(&mut self) -> Option<Option<Range<usize>>> {
        self.start = self.text.len() + 1;
        Some(None)
    }
}

/// What every response repeats from its request (RFC 3261 §8.2.6.2), and how many of each.
pub const REPEATED: [(Known, usize); 5] =
    [(Known::Via, usize::MAX), (Known::From, 1), (Known::To, 1), (Known::CallId, 1), (Known::CSeq, 1)];

/// The fields that a response to a request with `fields` begins with.
pub fn repeated<V>(fields: &FieldList<V>, copy: impl Fn(&V) -> V) -> FieldList<V> {
    let mut answer = FieldList::with_capacity(USUAL_FIELDS);
    for (name, limit) in REPEATED {
        for value in fields.get_all(Key::Known(name)).take(limit) {
            answer.add(Name::Known(name), copy(value));
        }
    }
    answer
}
