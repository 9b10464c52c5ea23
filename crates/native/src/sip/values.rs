//! Typed values as objects of the reference's classes.

use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple};
use sip_codec::address::{parse_addresses, NameAddr};
use sip_codec::list::split_list;
use sip_codec::message::parse_call_id;
use sip_codec::name::Known;
use sip_codec::number::parse_decimal;
use sip_codec::params::{Param, Params};
use sip_codec::uri::{SipUri, Uri, UriHeaders, UriParams};
use sip_codec::values::{
    parse_disposition, parse_expires, parse_number_before_params, parse_rack, parse_session_expires, CSeq, ContentType,
    MAX_NUMBER,
};
use sip_codec::via::{parse_vias, Via};

use super::types::Types;

/// RFC 3261 §20.22: 0 to 255.
const MAX_MAX_FORWARDS: u64 = 255;

type Object<'py> = Bound<'py, PyAny>;

/// Makes objects.
#[derive(Clone, Copy)]
pub struct Maker<'py> {
    pub py: Python<'py>,
    pub types: &'static Types,
}

impl<'py> Maker<'py> {
    /// Raises ImportError or TypeError when the reference is not what the codec was written for.
    #[inline]
    pub fn new(py: Python<'py>) -> PyResult<Self> {
        Ok(Self { py, types: Types::get(py)? })
    }

    /// What the reference's parser for `name` makes of `values`; None where that is for the reference to say.
    pub fn read(self, name: Known, values: &[&str]) -> PyResult<Option<Object<'py>>> {
        match name {
            Known::Via => self.read_vias(values),
            Known::Contact | Known::Route | Known::RecordRoute => self.read_addresses(values),
            Known::Require | Known::ProxyRequire | Known::Supported | Known::Unsupported => self.read_tags(values),
            Known::Allow => self.read_words(values, |word| Some(word.into())),
            Known::Accept if values.is_empty() => Ok(Some(self.none())),
            Known::Accept => self.read_words(values, media_range),
            _ => match values {
                [] if is_optional(name) => Ok(Some(self.none())),
                [value] => self.read_one(name, value),
                _ => Ok(None),
            },
        }
    }

    fn read_one(self, name: Known, value: &str) -> PyResult<Option<Object<'py>>> {
        match name {
            Known::From | Known::To => NameAddr::parse(value).map(|address| self.name_addr(&address)).transpose(),
            Known::CallId => Ok(parse_call_id(value).map(|id| self.text(id))),
            Known::CSeq => CSeq::parse(value).map(|cseq| self.cseq(&cseq)).transpose(),
            Known::ContentType => ContentType::parse(value).map(|content| self.content_type(&content)).transpose(),
            Known::ContentDisposition => {
                parse_disposition(value).map(|(word, params)| self.disposition(word, params)).transpose()
            }
            Known::MaxForwards => Ok(parse_decimal(value, MAX_MAX_FORWARDS).map(|hops| self.number(hops))),
            Known::Expires => Ok(parse_expires(value).map(|seconds| self.number(seconds))),
            Known::MinSe => Ok(parse_number_before_params(value).map(|seconds| self.number(seconds))),
            Known::RSeq => Ok(parse_decimal(value, MAX_NUMBER).map(|number| self.number(number))),
            Known::SessionExpires => parse_session_expires(value)
                .map(|(seconds, refresher)| {
                    let refresher = refresher.map_or_else(|| self.none(), |text| self.text(&text));
                    Ok(PyTuple::new(self.py, [self.number(seconds), refresher])?.into_any())
                })
                .transpose(),
            Known::RAck => parse_rack(value)
                .map(|(number, cseq)| Ok(PyTuple::new(self.py, [self.number(number), self.cseq(&cseq)?])?.into_any()))
                .transpose(),
            _ => Ok(None),
        }
    }

    fn read_vias(self, values: &[&str]) -> PyResult<Option<Object<'py>>> {
        let mut vias = Vec::with_capacity(values.len());
        if values.is_empty() || values.iter().any(|value| parse_vias(value, &mut vias).is_none()) {
            return Ok(None);
        }
        self.vias(&vias).map(Some)
    }

    fn read_addresses(self, values: &[&str]) -> PyResult<Option<Object<'py>>> {
        let mut addresses = Vec::with_capacity(values.len());
        if values.iter().any(|value| parse_addresses(value, &mut addresses).is_none()) {
            return Ok(None);
        }
        let tuple = PyTuple::new(self.py, addresses.iter().map(|address| Address(self, address)))?;
        Ok(Some(tuple.into_any()))
    }

    fn read_tags(self, values: &[&str]) -> PyResult<Option<Object<'py>>> {
        self.read_words(values, lower)
    }

    /// The elements of comma lists without empty ones, each as `change` has it; None of that is for the reference.
    fn read_words(
        self,
        values: &[&str],
        change: for<'a> fn(&'a str) -> Option<std::borrow::Cow<'a, str>>,
    ) -> PyResult<Option<Object<'py>>> {
        let mut words = Vec::with_capacity(16);
        for element in values.iter().flat_map(|value| split_list(value)) {
            match element {
                Some("") => {}
                Some(element) => match change(element) {
                    Some(word) => words.push(self.text(&word)),
                    None => return Ok(None),
                },
                None => return Ok(None),
            }
        }
        Ok(Some(PyTuple::new(self.py, words)?.into_any()))
    }

    /// The hops of a message.
    pub fn vias(self, vias: &[Via<'_>]) -> PyResult<Object<'py>> {
        PyTuple::new(self.py, vias.iter().map(|via| Hop(self, via))).map(Bound::into_any)
    }

    fn via(self, via: &Via<'_>) -> PyResult<Object<'py>> {
        let transport = if via.transport.bytes().any(|octet| octet.is_ascii_lowercase()) {
            self.text(&via.transport.to_ascii_uppercase())
        } else {
            self.text(via.transport)
        };
        let values = [transport, self.text(via.host), self.port(via.port), self.params(via.params)?];
        self.types.via.make(self.py, values)
    }

    /// An address.
    pub fn name_addr(self, address: &NameAddr<'_>) -> PyResult<Object<'py>> {
        let values =
            [self.optional(address.display_name.as_deref()), self.uri(&address.uri)?, self.params(address.params)?];
        self.types.name_addr.make(self.py, values)
    }

    /// A CSeq.
    pub fn cseq(self, cseq: &CSeq<'_>) -> PyResult<Object<'py>> {
        self.types.cseq.make(self.py, [self.number(cseq.number.into()), self.text(cseq.method)])
    }

    fn content_type(self, content: &ContentType<'_>) -> PyResult<Object<'py>> {
        let lowered = |text: &str| self.text(&text.to_ascii_lowercase());
        let values = [lowered(content.kind), lowered(content.subtype), self.params(content.params)?];
        self.types.content_type.make(self.py, values)
    }

    fn disposition(self, word: &str, params: Params<'_>) -> PyResult<Object<'py>> {
        self.types.disposition.make(self.py, [self.text(&word.to_ascii_lowercase()), self.params(params)?])
    }

    /// A URI.
    pub fn uri(self, uri: &Uri<'_>) -> PyResult<Object<'py>> {
        let (none, nothing) = (|| self.none(), || self.text(""));
        let empty = || self.empty();
        let values = match uri {
            Uri::Sip(SipUri { secure, user, password, host, port, params, headers }) => [
                self.text(if *secure { "sips" } else { "sip" }),
                self.optional(*user),
                self.optional(*password),
                self.text(host),
                self.port(*port),
                self.uri_params(params)?,
                self.uri_headers(headers)?,
                nothing(),
            ],
            Uri::Tel { number, params } => [
                self.text("tel"),
                self.text(number),
                none(),
                nothing(),
                none(),
                self.uri_params(params)?,
                empty(),
                nothing(),
            ],
            Uri::Other { scheme, opaque } => {
                [self.text(scheme), none(), none(), nothing(), none(), empty(), empty(), self.text(opaque)]
            }
        };
        self.types.uri.make(self.py, values)
    }

    fn params(self, params: Params<'_>) -> PyResult<Object<'py>> {
        if params.is_empty() {
            return Ok(self.empty());
        }
        PyTuple::new(self.py, params.iter().map(|param| Pair(self, param))).map(Bound::into_any)
    }

    fn uri_params(self, params: &UriParams<'_>) -> PyResult<Object<'py>> {
        if params.is_empty() {
            return Ok(self.empty());
        }
        PyTuple::new(self.py, params.iter().map(|param| Pair(self, param))).map(Bound::into_any)
    }

    fn uri_headers(self, headers: &UriHeaders<'_>) -> PyResult<Object<'py>> {
        if headers.is_empty() {
            return Ok(self.empty());
        }
        let pairs: Vec<_> = headers.iter().map(|(name, value)| Pair(self, (name, Some(value)))).collect();
        PyTuple::new(self.py, pairs).map(Bound::into_any)
    }

    /// A text.
    #[inline]
    pub fn text(self, text: &str) -> Object<'py> {
        self.types.text(self.py, text).into_any()
    }

    #[inline]
    fn optional(self, text: Option<&str>) -> Object<'py> {
        text.map_or_else(|| self.none(), |text| self.text(text))
    }

    fn number(self, number: u64) -> Object<'py> {
        PyInt::new(self.py, number).into_any()
    }

    fn port(self, port: Option<u16>) -> Object<'py> {
        port.map_or_else(|| self.none(), |port| self.number(port.into()))
    }

    #[inline]
    fn none(self) -> Object<'py> {
        self.py.None().into_bound(self.py)
    }

    #[inline]
    fn empty(self) -> Object<'py> {
        self.types.empty.bind(self.py).clone().into_any()
    }
}

/// Elements of tuples that are made while the tuple is.
struct Pair<'py, 'a>(Maker<'py>, Param<'a>);
struct Hop<'py, 'a>(Maker<'py>, &'a Via<'a>);
struct Address<'py, 'a>(Maker<'py>, &'a NameAddr<'a>);

macro_rules! made {
    ($element:ident, $make:expr) => {
        impl<'py> IntoPyObject<'py> for $element<'py, '_> {
            type Target = PyAny;
            type Output = Object<'py>;
            type Error = PyErr;

            #[inline]
            fn into_pyobject(self, _py: Python<'py>) -> PyResult<Object<'py>> {
                $make(self.0, self.1)
            }
        }
    };
}

made!(Pair, |maker: Maker<'py>, (name, value): Param<'_>| {
    PyTuple::new(maker.py, [maker.text(name), maker.optional(value)]).map(Bound::into_any)
});
made!(Hop, Maker::via);
made!(Address, Maker::name_addr);

/// Whether a message without the field has None for it, not an error.
fn is_optional(name: Known) -> bool {
    matches!(
        name,
        Known::MaxForwards
            | Known::ContentType
            | Known::ContentDisposition
            | Known::Expires
            | Known::SessionExpires
            | Known::MinSe
            | Known::RSeq
            | Known::RAck
    )
}

/// `word` in lower case; what is not ASCII is for the reference.
fn lower(word: &str) -> Option<std::borrow::Cow<'_, str>> {
    if !word.is_ascii() {
        return None;
    }
    Some(if word.bytes().any(|octet| octet.is_ascii_uppercase()) {
        word.to_ascii_lowercase().into()
    } else {
        word.into()
    })
}

/// The media range before its parameters, in lower case.
fn media_range(word: &str) -> Option<std::borrow::Cow<'_, str>> {
    lower(word.split(';').next()?.trim_end_matches([' ', '\t']))
}
