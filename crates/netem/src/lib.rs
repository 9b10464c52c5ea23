//! A bad line for tests: loss, bursts of it, duplicates, delay, jitter and reordering, all from one seed and on a time that
//! the caller tells. No sockets, no clock, no other crate.
//!
//! [`Line::send`] puts a packet on it, [`Line::receive`] takes what has arrived by now, [`Line::poll_timeout`] tells when
//! the next will.
#![forbid(unsafe_code)]

mod line;
mod random;

pub use line::{Counts, Line, Loss, Weather};
pub use random::Random;
