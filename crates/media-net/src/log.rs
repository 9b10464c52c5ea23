//! JSON lines on standard error. No addresses and no names of calls go in.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::sys::clock;

pub(crate) fn info(event: &str, fields: Value) {
    write("info", event, fields);
}

pub(crate) fn warning(event: &str, fields: Value) {
    write("warning", event, fields);
}

/// Between two lines of what anybody can cause: a minute of them tells what a thousand a second would, and fills no disk.
const SELDOM: Duration = Duration::from_secs(1);

/// Warnings that whoever reaches a port can cause, of which at most one in `SELDOM` is written. `omitted` in it says how many
/// were not since the one before.
#[derive(Default)]
pub(crate) struct Seldom(Mutex<Omitted>);

#[derive(Default)]
struct Omitted {
    written: Option<Instant>,
    count: u64,
}

impl Seldom {
    pub(crate) fn warning(&self, event: &str, mut fields: Value) {
        let omitted = self.0.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if let Some(omitted) = omitted {
            if let Some(fields) = fields.as_object_mut().filter(|_| omitted > 0) {
                fields.insert("omitted".into(), json!(omitted));
            }
            warning(event, fields);
        }
    }
}

impl Omitted {
    /// How many were omitted before this one; None if this one is as well.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.written.is_some_and(|written| now.duration_since(written) < SELDOM) {
            self.count += 1;
            return None;
        }
        self.written = Some(now);
        Some(std::mem::take(&mut self.count))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_fast_is_counted_and_not_written() {
        let begun = Instant::now();
        let mut omitted = Omitted::default();
        let told: Vec<_> =
            (0..2500).filter_map(|ms| Some((ms, omitted.take(begun + Duration::from_millis(ms))?))).collect();
        assert_eq!(told, [(0, 0), (1000, 999), (2000, 999)]);
    }
}
