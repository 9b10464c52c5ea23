//! The native half of `sidestream.sip`: its fields, its typed values and its messages, made by `sip_codec`.

mod headers;
mod message;
mod slots;
mod types;
mod values;

use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<headers::Headers>()?;
    module.add_class::<headers::Field>()?;
    module.add_function(wrap_pyfunction!(message::parse_message, module)?)
}
