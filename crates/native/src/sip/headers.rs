//! `Headers`, the same as the reference's class of this name, with fields that become objects when somebody asks.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple, PyType};
use sip_codec::field_list::FieldList;
use sip_codec::list::split_list;
use sip_codec::message::{repeated, Span};
use sip_codec::name::{Key, Known, Name};

use super::types::Types;
use super::values::Maker;

/// So many fields are asked for before somebody keeps an INVITE.
const USUAL_PARSED: usize = 16;

/// An ordered list of fields.
#[pyclass(module = "sidestream.sip.headers")]
pub struct Headers {
    /// What spans point into.
    message: Option<Py<PyBytes>>,
    fields: FieldList<Value>,
    parsed: Parsed,
}

/// What was made of fields, by their names.
#[derive(Default)]
struct Parsed {
    known: Vec<(Known, PyObject)>,
    other: Vec<(Box<str>, PyObject)>,
}

impl Parsed {
    #[inline]
    fn find(&self, key: Key<'_>) -> Option<&PyObject> {
        match key {
            Key::Known(known) => self.known.iter().find(|(name, _)| *name == known).map(|(_, value)| value),
            Key::Other(text) => {
                self.other.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| value)
            }
        }
    }

    fn keep(&mut self, key: Key<'_>, value: PyObject) {
        match key {
            Key::Known(known) => self.known.push((known, value)),
            Key::Other(text) => self.other.push((text.into(), value)),
        }
    }

    fn forget(&mut self, key: Key<'_>) {
        match key {
            Key::Known(known) => self.known.retain(|(name, _)| *name != known),
            Key::Other(text) => self.other.retain(|(name, _)| !name.eq_ignore_ascii_case(text)),
        }
    }
}

/// A field's value: as it came in, or as somebody set it.
pub enum Value {
    Read(Span),
    Set(Py<PyString>),
}

impl From<Span> for Value {
    fn from(span: Span) -> Self {
        Self::Read(span)
    }
}

impl Value {
    fn copy(&self, py: Python<'_>) -> Self {
        match self {
            Self::Read(span) => Self::Read(*span),
            Self::Set(text) => Self::Set(text.clone_ref(py)),
        }
    }
}

impl Headers {
    /// The fields of `message`, some of which have been parsed.
    pub fn read<const N: usize>(
        message: &Bound<'_, PyBytes>,
        fields: FieldList<Value>,
        parsed: [(Known, Bound<'_, PyAny>); N],
    ) -> Self {
        let mut known = Vec::with_capacity(USUAL_PARSED);
        known.extend(parsed.into_iter().map(|(name, value)| (name, value.unbind())));
        Self { message: Some(message.clone().unbind()), fields, parsed: Parsed { known, other: Vec::new() } }
    }

    /// The text of a value; None when it is a text that UTF-8 cannot hold.
    fn str<'a>(&'a self, py: Python<'a>, value: &'a Value) -> Option<&'a str> {
        match value {
            Value::Read(span) => span.text(self.message.as_ref()?.as_bytes(py)),
            Value::Set(text) => text.to_str(py).ok(),
        }
    }

    fn text<'py>(&self, py: Python<'py>, value: &Value) -> Bound<'py, PyString> {
        match value {
            Value::Read(_) => PyString::new(py, self.str(py, value).unwrap_or_default()),
            Value::Set(text) => text.bind(py).clone(),
        }
    }

    fn texts<'py>(&self, py: Python<'py>, key: Key<'_>) -> Vec<Bound<'py, PyString>> {
        self.fields.get_all(key).map(|value| self.text(py, value)).collect()
    }

    /// What the codec makes of the fields called `name`; None where that is for the reference to say.
    fn typed<'py>(&self, py: Python<'py>, name: Known) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut values = Vec::with_capacity(4);
        for value in self.fields.get_all(Key::Known(name)) {
            match self.str(py, value) {
                Some(text) => values.push(text),
                None => return Ok(None),
            }
        }
        Maker::new(py)?.read(name, &values)
    }

    fn tuples<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let types = Types::get(py)?;
        let pair = |(name, value): &(Name, Value)| PyTuple::new(py, [types.name(py, name), self.text(py, value)]);
        self.fields.iter().map(pair).collect()
    }
}

/// A field as it may be added: a name that is a token and a value without line breaks.
fn checked<'py>(name: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<(Name, Value)> {
    if let (Ok(name), Ok(value)) = (name.downcast::<PyString>(), value.downcast::<PyString>()) {
        if let (Ok(name_text), Ok(text)) = (name.to_str(), value.to_str()) {
            let is_plain = !text.bytes().any(|octet| matches!(octet, b'\r' | b'\n'))
                && !text.starts_with([' ', '\t'])
                && !text.ends_with([' ', '\t']);
            if let (true, Some(name)) = (is_plain, Name::parse(name_text)) {
                return Ok((name, Value::Set(value.clone().unbind())));
            }
        }
    }
    let (name, value) = Types::get(name.py())?.checked_field(name, value)?;
    Ok((Name::new(name.to_str()?), Value::Set(value.unbind())))
}

/// What `parse` makes of the fields called `key`, made by the codec where it can do the same.
#[inline]
fn parsed<'py>(headers: &Bound<'py, Headers>, key: Key<'_>, parse: &Bound<'py, PyAny>) -> PyResult<PyObject> {
    let found = headers.borrow().parsed.find(key).map(|value| value.clone_ref(headers.py()));
    match found {
        Some(value) => Ok(value),
        None => parse_now(headers, key, parse),
    }
}

fn parse_now<'py>(headers: &Bound<'py, Headers>, key: Key<'_>, parse: &Bound<'py, PyAny>) -> PyResult<PyObject> {
    let py = headers.py();
    let known = match key {
        Key::Known(known) if Types::get(py)?.is_parser(known, parse) => headers.borrow().typed(py, known)?,
        _ => None,
    };
    let value = match known {
        Some(value) => value.unbind(),
        // `parse` runs while nothing is borrowed.
        None => {
            let values = PyTuple::new(py, headers.borrow().texts(py, key))?;
            parse.call1((values,))?.unbind()
        }
    };
    headers.borrow_mut().parsed.keep(key, value.clone_ref(py));
    Ok(value)
}

/// A header field as an attribute of messages, whose `headers` keep what was parsed.
#[pyclass(frozen, module = "sidestream.sip.fields")]
pub struct Field {
    name: Name,
    parse: PyObject,
}

#[pymethods]
impl Field {
    #[new]
    fn new(name: &str, parse: PyObject) -> Self {
        Self { name: Name::new(name), parse }
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyAny>,
        _owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<PyObject> {
        let py = slf.py();
        if message.is_none() {
            return Ok(slf.clone().into_any().unbind());
        }
        let this = slf.get();
        let headers = message.getattr(intern!(py, "headers"))?;
        match headers.downcast::<Headers>() {
            Ok(headers) => parsed(headers, this.name.key(), this.parse.bind(py)),
            // The reference's own, which somebody made to compare.
            Err(_) => Ok(headers.call_method1(intern!(py, "parsed"), (this.name.text(), &this.parse))?.unbind()),
        }
    }
}

#[pymethods]
impl Headers {
    #[new]
    #[pyo3(signature = (items = None))]
    fn new(items: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut fields = FieldList::with_capacity(0);
        if let Some(items) = items {
            for item in items.try_iter()? {
                let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
                let (name, value) = checked(&name, &value)?;
                fields.add(name, value);
            }
        }
        Ok(Self { message: None, fields, parsed: Parsed::default() })
    }

    #[classmethod]
    fn from_wire(_class: &Bound<'_, PyType>, items: &Bound<'_, PyList>) -> PyResult<Self> {
        let mut fields = FieldList::with_capacity(items.len());
        for item in items {
            let (name, value): (Bound<'_, PyString>, Bound<'_, PyString>) = item.extract()?;
            fields.add(Name::new(name.to_str()?), Value::Set(value.unbind()));
        }
        Ok(Self { message: None, fields, parsed: Parsed::default() })
    }

    fn get<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, PyString>> {
        self.fields.get_all(Key::new(name)).next().map(|value| self.text(py, value))
    }

    fn get_all<'py>(&self, py: Python<'py>, name: &str) -> Vec<Bound<'py, PyString>> {
        self.texts(py, Key::new(name))
    }

    fn values<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Vec<Bound<'py, PyString>>> {
        let mut elements = Vec::new();
        for value in self.fields.get_all(Key::new(name)) {
            let split: Option<Vec<_>> = self.str(py, value).and_then(|text| split_list(text).collect());
            match split {
                Some(split) => elements.extend(split.into_iter().map(|element| PyString::new(py, element))),
                None => elements.extend(Types::get(py)?.split_list(&self.text(py, value))?),
            }
        }
        elements.retain(|element| element.is_truthy().unwrap_or(true));
        Ok(elements)
    }

    fn parsed<'py>(slf: &Bound<'py, Self>, name: &str, parse: &Bound<'py, PyAny>) -> PyResult<PyObject> {
        parsed(slf, Key::new(name), parse)
    }

    fn parse_all(slf: &Bound<'_, Self>, parsers: &Bound<'_, PyDict>) -> PyResult<()> {
        for (name, parse) in parsers {
            let name = name.downcast::<PyString>()?;
            let key = Key::new(name.to_str()?);
            if slf.borrow().fields.get_all(key).next().is_some() {
                parsed(slf, key, &parse)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (name, value) = checked(name, value)?;
        self.parsed.forget(name.key());
        self.fields.add(name, value);
        Ok(())
    }

    fn insert_first(&mut self, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (name, value) = checked(name, value)?;
        self.parsed.forget(name.key());
        self.fields.insert_first(name, value);
        Ok(())
    }

    #[pyo3(signature = (name, *values))]
    fn replace(&mut self, name: &Bound<'_, PyString>, values: &Bound<'_, PyTuple>) -> PyResult<()> {
        let mut checked_values = Vec::with_capacity(values.len());
        for value in values {
            checked_values.push(checked(name, &value)?.1);
        }
        let name = Name::new(name.to_str()?);
        self.parsed.forget(name.key());
        self.fields.replace(&name, checked_values);
        Ok(())
    }

    fn remove(&mut self, name: &str) {
        let name = Name::new(name);
        self.parsed.forget(name.key());
        self.fields.replace(&name, Vec::new());
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        self.tuples(py)
    }

    fn copy(&self, py: Python<'_>) -> Self {
        Self {
            message: self.message.as_ref().map(|message| message.clone_ref(py)),
            fields: self.fields.map(|value| value.copy(py)),
            parsed: Parsed::default(),
        }
    }

    /// What every response repeats.
    fn repeated(&self, py: Python<'_>) -> Self {
        Self {
            message: self.message.as_ref().map(|message| message.clone_ref(py)),
            fields: repeated(&self.fields, |value| value.copy(py)),
            parsed: Parsed::default(),
        }
    }

    /// The message with these fields; None when it holds a text that UTF-8 cannot.
    fn to_bytes<'py>(
        &self,
        py: Python<'py>,
        start_line: &Bound<'py, PyString>,
        body: &Bound<'py, PyBytes>,
    ) -> Option<Bound<'py, PyBytes>> {
        let mut octets = Vec::with_capacity(1024 + body.as_bytes().len());
        octets.extend_from_slice(start_line.to_str().ok()?.as_bytes());
        for (name, value) in self.fields.iter() {
            if *name != Name::Known(Known::ContentLength) {
                write_field(&mut octets, name.text(), self.str(py, value)?);
            }
        }
        let length = body.as_bytes().len().to_string();
        write_field(&mut octets, Known::ContentLength.text(), &length);
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(body.as_bytes());
        Some(PyBytes::new(py, &octets))
    }

    fn __contains__(&self, name: &str) -> bool {
        self.fields.get_all(Key::new(name)).next().is_some()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.tuples(py)?)?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.fields.len()
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<PyObject> {
        let Ok(other) = other.downcast::<Self>() else {
            // The reference's class knows how to compare itself with this one.
            return Ok(py.NotImplemented());
        };
        let ours = PyList::new(py, self.tuples(py)?)?;
        let is_equal = ours.eq(PyList::new(py, other.borrow().tuples(py)?)?)?;
        Ok(is_equal.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let items = PyList::new(py, self.tuples(py)?)?;
        Ok(format!("Headers({})", items.repr()?.to_str()?))
    }
}

fn write_field(octets: &mut Vec<u8>, name: &str, value: &str) {
    octets.extend_from_slice(name.as_bytes());
    octets.extend_from_slice(b": ");
    octets.extend_from_slice(value.as_bytes());
    octets.extend_from_slice(b"\r\n");
}
