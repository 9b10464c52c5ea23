//! The compiled programs, and their way into the kernel.

use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

use aya::programs::tc::SchedClassifier;
use aya::{Ebpf, EbpfLoader};

use crate::Unavailable;

#[cfg(has_program)]
const OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/relay.bpf.o")));
#[cfg(not(has_program))]
const OBJECT: Option<&[u8]> = None;

/// Loads all programs, attached to nothing yet.
pub(crate) fn load() -> Result<Ebpf, Unavailable> {
    let object = OBJECT.ok_or(Unavailable::NotBuilt)?;
    let refused = |error: io::Error| Unavailable::Refused(error.to_string());
    // no packet bears it by chance: it keeps what other programs mark from being taken for a copy
    let mark = RandomState::new().build_hasher().finish() as u32 | 1;
    let loaded = EbpfLoader::new().set_global("MARK", &mark, true).load(object);
    let mut ebpf = loaded.map_err(|error| refused(told(error)))?;
    for name in ["relay", "leave"] {
        classifier(&mut ebpf, name).and_then(|program| program.load().map_err(told)).map_err(refused)?;
    }
    Ok(ebpf)
}

pub(crate) fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> io::Result<&'a mut SchedClassifier> {
    let program = ebpf.program_mut(name).ok_or_else(|| io::Error::other(format!("no program {name}")))?;
    program.try_into().map_err(told)
}

/// An error with its causes.
pub(crate) fn told(error: impl Error) -> io::Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    io::Error::other(text)
}
