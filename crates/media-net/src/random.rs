//! What is drawn by lot: beginnings of streams (RFC 3550 §5.1, §8.1), and the name of an engine's life.

use std::io;

use media_core::{Cname, Numbers};

use crate::sys::process;

pub(crate) fn numbers() -> io::Result<Numbers> {
    let mut bytes = [0; 10];
    process::random(&mut bytes)?;
    let [a, b, c, d, e, f, g, h, i, j] = bytes;
    Ok(Numbers {
        ssrc: u32::from_ne_bytes([a, b, c, d]),
        timestamp: u32::from_ne_bytes([e, f, g, h]),
        sequence: u16::from_ne_bytes([i, j]),
    })
}

pub(crate) fn cname() -> io::Result<Cname> {
    let mut bytes = [0; 12];
    process::random(&mut bytes)?;
    Ok(Cname(bytes))
}

/// 32 hexadecimal digits.
pub(crate) fn instance() -> io::Result<String> {
    let mut bytes = [0; 16];
    process::random(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
