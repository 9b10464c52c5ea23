//! SIP messages from octets to typed parts, for the shapes that carriers, PBXs and phones send (RFC 3261).
//!
//! The reference is the Python of `sidestream.sip`, which reads everything and says what is wrong. This crate answers
//! `None` to whatever is malformed *or* unusual (folded lines, text that is not UTF-8, fields without a mate, …), and
//! the caller asks the reference. So it has no errors of its own; but what it reads, it must read like the reference.
//! Nothing is copied: results point into the text they were read from.
#![forbid(unsafe_code)]

mod lexis;

pub mod address;
pub mod field_list;
pub mod list;
pub mod message;
pub mod name;
pub mod number;
pub mod params;
pub mod uri;
pub mod values;
pub mod via;
