//! An SRTP session on standard input and output, for tests against other implementations.
//!
//! Each line is a command and gets one line in answer, `ok HEX` or `refused REASON`:
//!
//! * `send SUITE KEY||SALT [MKI]` and `receive SUITE KEY||SALT [MKI]` set the keys of a direction;
//! * `protect-rtp PACKET`, `unprotect-rtp PACKET`, `protect-rtcp PACKET`, `unprotect-rtcp PACKET`.
//!
//! Keys and packets are hexadecimal digits.

use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use media_core::srtp::{KeyError, Rollover, SrtpError, SrtpKeys, SrtpSession};

/// Octets of the longest packet that is protected here.
const BUFFER_LEN: usize = 4096;

fn main() -> io::Result<()> {
    let mut session = SrtpSession::default();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        match answer(&mut session, &line?) {
            Ok(octets) => writeln!(out, "ok {}", hexadecimal(&octets))?,
            Err(reason) => writeln!(out, "refused {reason}")?,
        }
        out.flush()?;
    }
    Ok(())
}

fn answer(session: &mut SrtpSession, line: &str) -> Result<Vec<u8>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let reason = |error: KeyError| error.to_string();
    match words[..] {
        ["send", suite, key] => set(session, suite, key, "", SrtpSession::set_first_sending_keys).map_err(reason),
        _ => Err(format!("unknown command: {line}")),
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
