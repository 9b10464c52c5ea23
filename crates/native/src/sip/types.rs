//! What the codec needs of `sidestream.sip`: its classes, its parsers, and texts that occur in every message.

use pyo3::prelude::*;
use pyo3::sync::GILOnceCell;
use pyo3::types::{PyDict, PyString, PyTuple};
use sip_codec::name::{Known, Name, KNOWN};

use super::slots::Class;

/// Looked up once.
pub struct Types {
    pub request: Class<4>,
    pub response: Class<4>,
    pub uri: Class<8>,
    pub via: Class<4>,
    pub name_addr: Class<3>,
    pub cseq: Class<2>,
    pub content_type: Class<3>,
    pub disposition: Class<2>,
    pub empty: Py<PyTuple>,
    names: Vec<Py<PyString>>,
    words: Vec<Py<PyString>>,
    parsers: Vec<Option<PyObject>>,
    checked_field: PyObject,
    split_list: PyObject,
}

static TYPES: GILOnceCell<Types> = GILOnceCell::new();

impl Types {
    /// The classes and texts. Raises ImportError while `sidestream.sip` cannot be imported, TypeError when its classes
    /// are not what the codec was written for.
    #[inline]
    pub fn get(py: Python<'_>) -> PyResult<&'static Self> {
        match TYPES.get(py) {
            Some(types) => Ok(types),
            None => TYPES.get_or_try_init(py, || Self::load(py)),
        }
    }

    fn load(py: Python<'_>) -> PyResult<Self> {
        let values = py.import("sidestream.sip.values")?;
        let message = py.import("sidestream.sip.message")?;
        let parsers = py.import("sidestream.sip.fields")?.getattr("PARSERS")?.downcast_into::<PyDict>()?;
        let parser = |name: &Known| parsers.get_item(name.text()).map(|found| found.map(Bound::unbind));
        let text = |text: &str| PyString::intern(py, text).unbind();
        Ok(Self {
            request: Class::load(&message, "Request", ["method", "uri", "headers", "body"])?,
            response: Class::load(&message, "Response", ["status", "reason", "headers", "body"])?,
            uri: Class::load(
                &py.import("sidestream.sip.uri")?,
                "Uri",
                ["scheme", "user", "password", "host", "port", "params", "headers", "opaque"],
            )?,
            via: Class::load(&values, "Via", ["transport", "host", "port", "params"])?,
            name_addr: Class::load(&values, "NameAddr", ["display_name", "uri", "params"])?,
            cseq: Class::load(&values, "CSeq", ["number", "method"])?,
            content_type: Class::load(&values, "ContentType", ["type", "subtype", "params"])?,
            disposition: Class::load(&values, "Disposition", ["value", "params"])?,
            empty: PyTuple::empty(py).unbind(),
            names: KNOWN.iter().map(|name| text(name.text())).collect(),
            words: WORDS.iter().map(|word| text(word)).collect(),
            parsers: KNOWN.iter().map(parser).collect::<PyResult<_>>()?,
            checked_field: py.import("sidestream.sip.headers")?.getattr("checked_field")?.unbind(),
            split_list: py.import("sidestream.sip.grammar")?.getattr("split_list")?.unbind(),
        })
    }

    /// The text of a name.
    #[inline]
    pub fn name<'py>(&self, py: Python<'py>, name: &Name) -> Bound<'py, PyString> {
        match name {
            Name::Known(known) => self.names[*known as usize].bind(py).clone(),
            Name::Other(text) => PyString::new(py, text),
        }
    }

    /// `text` as Python's; words that occur in most messages exist already.
    #[inline]
    pub fn text<'py>(&self, py: Python<'py>, text: &str) -> Bound<'py, PyString> {
        match word(text) {
            Some(index) => self.words[index].bind(py).clone(),
            None => PyString::new(py, text),
        }
    }

    /// Whether `parse` is the reference's parser for `name`, whose results the codec knows how to make.
    pub fn is_parser(&self, name: Known, parse: &Bound<'_, PyAny>) -> bool {
        self.parsers[name as usize].as_ref().is_some_and(|parser| parser.is(parse))
    }

    /// Name and value as the reference checks them. Raises its LocalError.
    pub fn checked_field<'py>(
        &self,
        name: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyString>)> {
        self.checked_field.bind(name.py()).call1((name, value))?.extract()
    }

    /// The elements of a comma list as the reference finds them.
    pub fn split_list<'py>(&self, text: &Bound<'py, PyString>) -> PyResult<Vec<Bound<'py, PyString>>> {
        self.split_list.bind(text.py()).call1((text,))?.extract()
    }
}

macro_rules! words {
    ($($word:ident = $text:literal),* $(,)?) => {
        const WORDS: &[&str] = &[$($text),*];

        enum Word {
            $($word),*
        }

        #[inline]
        fn word(text: &str) -> Option<usize> {
            Some(match text {
                $($text => Word::$word as usize,)*
                _ => return None,
            })
        }
    };
}

words! {
    Sip = "sip",
    Sips = "sips",
    Tel = "tel",
    OverUdp = "UDP",
    OverTcp = "TCP",
    OverTls = "TLS",
    Ws = "WS",
    Wss = "WSS",
    Branch = "branch",
    Rport = "rport",
    Received = "received",
    Tag = "tag",
    Lr = "lr",
    Transport = "transport",
    Udp = "udp",
    Tcp = "tcp",
    Tls = "tls",
    User = "user",
    Phone = "phone",
    Expires = "expires",
    Q = "q",
    Ob = "ob",
    Charset = "charset",
    Boundary = "boundary",
    Application = "application",
    Sdp = "sdp",
    Invite = "INVITE",
    Ack = "ACK",
    Bye = "BYE",
    Cancel = "CANCEL",
    Options = "OPTIONS",
    Info = "INFO",
    Update = "UPDATE",
    Prack = "PRACK",
    Refer = "REFER",
    Notify = "NOTIFY",
    Subscribe = "SUBSCRIBE",
    Register = "REGISTER",
    Message = "MESSAGE",
    Publish = "PUBLISH",
    Rel100 = "100rel",
    Timer = "timer",
    Replaces = "replaces",
    Siprec = "siprec",
    Norefersub = "norefersub",
    Path = "path",
    Uac = "uac",
    Uas = "uas",
    ApplicationSdp = "application/sdp",
    Trying = "Trying",
    Ringing = "Ringing",
    Ok = "OK",
    SessionProgress = "Session Progress",
    Session = "session",
    Multipart = "multipart",
    Mixed = "mixed",
    Handling = "handling",
    Optional = "optional",
    Required = "required",
}
