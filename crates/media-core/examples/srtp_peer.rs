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

use media_core::srtp::{Rollover, SrtpError, SrtpKeys, SrtpSession};

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
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["send", suite, master, ref mki @ ..] => {
            let keys = keys(suite, master, mki.first().copied())?;
            session.set_sending_keys(&keys, Rollover::Restart).map_err(|error| error.to_string())?;
            Ok(Vec::new())
        }
        ["receive", suite, master, ref mki @ ..] => {
            let keys = keys(suite, master, mki.first().copied())?;
            session.set_receiving_keys(&keys).map_err(|error| error.to_string())?;
            Ok(Vec::new())
        }
        ["protect-rtp", packet] => protect(packet, |buffer, len| session.protect_rtp(buffer, len)),
        ["protect-rtcp", packet] => protect(packet, |buffer, len| session.protect_rtcp(buffer, len)),
        ["unprotect-rtp", packet] => unprotect(packet, |packet| session.unprotect_rtp(packet)),
        ["unprotect-rtcp", packet] => unprotect(packet, |packet| session.unprotect_rtcp(packet)),
        _ => Err(format!("unknown command: {line}")),
    }
}

fn keys(suite: &str, master: &str, mki: Option<&str>) -> Result<SrtpKeys, String> {
    let keys = SrtpKeys::named(suite, &octets(master)?).map_err(|error| error.to_string())?;
    keys.with_mki(&octets(mki.unwrap_or_default())?).map_err(|error| error.to_string())
}

fn protect(
    packet: &str,
    mut with: impl FnMut(&mut [u8], usize) -> Result<usize, SrtpError>,
) -> Result<Vec<u8>, String> {
    let mut buffer = octets(packet)?;
    let len = buffer.len();
    buffer.resize(BUFFER_LEN.max(len), 0);
    let len = with(&mut buffer, len).map_err(|error| error.to_string())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn unprotect(packet: &str, mut with: impl FnMut(&mut [u8]) -> Result<usize, SrtpError>) -> Result<Vec<u8>, String> {
    let mut packet = octets(packet)?;
    let len = with(&mut packet).map_err(|error| error.to_string())?;
    packet.truncate(len);
    Ok(packet)
}

fn octets(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = digits.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()),
        _ => Err(String::from("not hexadecimal")),
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
