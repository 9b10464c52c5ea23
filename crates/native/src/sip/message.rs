//! Whole messages.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};
use sip_codec::message::{Message, Start};
use sip_codec::name::Known;

use super::headers::{Headers, Value};
use super::values::Maker;

/// Read one whole message; None when it is malformed or unusual, which is for the reference to say.
#[pyfunction]
pub fn parse_message<'py>(py: Python<'py>, data: &Bound<'py, PyBytes>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(message) = Message::<Value>::parse(data.as_bytes()) else {
        return Ok(None);
    };
    let maker = Maker::new(py)?;
    let parsed = [
        (Known::Via, maker.vias(&message.vias)?),
        (Known::From, maker.name_addr(&message.from)?),
        (Known::To, maker.name_addr(&message.to)?),
        (Known::CallId, maker.text(message.call_id)),
        (Known::CSeq, maker.cseq(&message.cseq)?),
    ];
    let headers = Bound::new(py, Headers::read(data, message.fields, parsed))?.into_any();
    let body = PyBytes::new(py, &data.as_bytes()[message.body]).into_any();
    let object = match message.start {
        Start::Request { method, uri } => {
            maker.types.request.make(py, [maker.text(method), maker.uri(&uri)?, headers, body])?
        }
        Start::Response { status, reason } => {
            let status = PyInt::new(py, status).into_any();
            maker.types.response.make(py, [status, maker.text(reason), headers, body])?
        }
    };
    Ok(Some(object))
}
