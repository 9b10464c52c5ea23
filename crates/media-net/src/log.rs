//! JSON lines on standard error. No addresses and no names of calls go in.

use std::io::Write;

use serde_json::{json, Value};

use crate::sys::clock;

pub(crate) fn info(event: &str, fields: Value) {
    write("info", event, fields);
}

pub(crate) fn warning(event: &str, fields: Value) {
    write("warning", event, fields);
}

fn write(level: &str, event: &str, mut fields: Value) {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("level".into(), json!(level));
        fields.insert("event".into(), json!(event));
        fields.insert("at_ns".into(), json!(clock::wall_ns()));
    }
    // Not eprintln!, which panics when it cannot write: the log's reader may be gone while calls live on.
    let _ = writeln!(std::io::stderr(), "{fields}");
}
