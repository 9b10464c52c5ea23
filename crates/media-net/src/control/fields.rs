//! The fields of requests: what each may be, and what to say of one that is something else.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use media_core::{ForkPorts, ForkRole, Format, Formats, Latch, Refusal, RefusalCode, Side, MAX_BATCH_NS, NS_PER_MS};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

const MAX_NAME: usize = 128;
const MAX_FORMATS: usize = 32;
/// RFC 3550 §6.5: an SDES item's length is one octet.
const MAX_CNAME: usize = 255;

/// A name of the client's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) Arc<str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if !(1..=MAX_NAME).contains(&text.chars().count()) || text.chars().any(char::is_control) {
            return Err(D::Error::custom(format!("a name is 1 to {MAX_NAME} characters without controls")));
        }
        Ok(Self(text.into()))
    }
}

/// An address literal and a port, of one who can be sent to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    #[serde(deserialize_with = "unicast")]
    host: IpAddr,
    port: std::num::NonZeroU16,
}

impl From<Address> for SocketAddr {
    fn from(address: Address) -> Self {
        Self::new(address.host, address.port.get())
    }
}

/// The address of one host: whoever writes a description must not have the engine call upon a whole network.
fn unicast<'de, D: Deserializer<'de>>(from: D) -> Result<IpAddr, D::Error> {
    let host = IpAddr::deserialize(from)?;
    let is_broadcast = matches!(host.to_canonical(), IpAddr::V4(host) if host.is_broadcast());
    if is_broadcast || host.to_canonical().is_multicast() || host.to_canonical().is_unspecified() {
        return Err(D::Error::custom("host is the address of one host"));
    }
    Ok(host)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireFormat {
    payload_type: u8,
    encoding: String,
    clock_rate: u32,
    #[serde(default)]
    channels: Option<u8>,
}

impl TryFrom<WireFormat> for Format {
    type Error = &'static str;

    fn try_from(wire: WireFormat) -> Result<Self, Self::Error> {
        if wire.payload_type > 127 {
            return Err("payload_type is 0 to 127");
        }
        if !(1..=64).contains(&wire.encoding.len()) {
            return Err("encoding is 1 to 64 characters");
        }
        if !(1..=384_000).contains(&wire.clock_rate) {
            return Err("clock_rate is 1 to 384000");
        }
        let channels = wire.channels.unwrap_or(1);
        if channels == 0 {
            return Err("channels is 1 to 255");
        }
        Ok(Self::new(wire.payload_type, &wire.encoding, wire.clock_rate, channels))
    }
}

pub(super) fn formats<'de, D: Deserializer<'de>>(from: D) -> Result<Formats, D::Error> {
    let wire = Option::<Vec<WireFormat>>::deserialize(from)?.unwrap_or_default();
    if wire.len() > MAX_FORMATS {
        return Err(D::Error::custom(format!("formats: at most {MAX_FORMATS}")));
    }
    let formats = wire.into_iter().map(Format::try_from).collect::<Result<Vec<_>, _>>();
    formats.map(Formats::from).map_err(D::Error::custom)
}

pub(super) fn send_formats<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Formats>, D::Error> {
    let formats = formats(from)?;
    Ok((!formats.is_empty()).then_some(formats))
}

/// The path if it is an absolute one.
pub(super) fn absolute_path(path: PathBuf) -> Result<PathBuf, Refusal> {
    if !path.is_absolute() || path.as_os_str().len() > 4096 {
        return Err(bad_field("path is an absolute path"));
    }
    Ok(path)
}

pub(super) fn recording_path<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    absolute_path(PathBuf::deserialize(from)?).map_err(|refusal| D::Error::custom(refusal.message))
}

pub(super) fn cname<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
    let text = String::deserialize(from)?;
    if !(1..=MAX_CNAME).contains(&text.len()) || text.chars().any(char::is_control) {
        return Err(D::Error::custom(format!("cname is 1 to {MAX_CNAME} octets without controls")));
    }
    Ok(text.into())
}

pub(super) fn side<'de, D: Deserializer<'de>>(from: D) -> Result<Side, D::Error> {
    match String::deserialize(from)?.as_str() {
        "inbound" => Ok(Side::Inbound),
        "outbound" => Ok(Side::Outbound),
        _ => Err(D::Error::custom("side is \"inbound\" or \"outbound\"")),
    }
}

pub(super) fn role<'de, D: Deserializer<'de>>(from: D) -> Result<ForkRole, D::Error> {
    match Option::<String>::deserialize(from)?.as_deref() {
        None | Some("endpoint") => Ok(ForkRole::Endpoint),
        Some("translator") => Ok(ForkRole::Translator),
        Some(_) => Err(D::Error::custom("role is \"endpoint\" or \"translator\"")),
    }
}

pub(super) fn fork_ports<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ForkPorts>, D::Error> {
    match Option::<String>::deserialize(from)?.as_deref() {
        None => Ok(None),
        Some("shared") => Ok(Some(ForkPorts::Shared)),
        Some("own") => Ok(Some(ForkPorts::Own)),
        Some(_) => Err(D::Error::custom("fork_ports is \"shared\" or \"own\"")),
    }
}

pub(super) fn fork_batch_ns<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let ns = Option::<u64>::deserialize(from)?.unwrap_or(0).saturating_mul(NS_PER_MS);
    if ns > MAX_BATCH_NS {
        return Err(D::Error::custom(format!("fork_batch_ms is 0 to {}", MAX_BATCH_NS / NS_PER_MS)));
    }
    Ok(ns)
}

pub(super) fn latch_each() -> Latch {
    Latch::Each
}

pub(super) fn latch<'de, D: Deserializer<'de>>(from: D) -> Result<Latch, D::Error> {
    match Value::deserialize(from)? {
        Value::Null | Value::Bool(true) => Ok(Latch::Each),
        Value::Bool(false) => Ok(Latch::Signalled),
        Value::String(text) if text == "each" => Ok(Latch::Each),
        Value::String(text) if text == "first" => Ok(Latch::First),
        Value::String(text) if text == "signalled" => Ok(Latch::Signalled),
        _ => Err(D::Error::custom("latch is \"each\", \"first\", \"signalled\", true or false")),
    }
}

pub(super) fn drop_dtmf<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    match Option::<String>::deserialize(from)?.as_deref() {
        None | Some("forward") => Ok(false),
        Some("drop") => Ok(true),
        Some(_) => Err(D::Error::custom("dtmf is \"forward\" or \"drop\"")),
    }
}

pub(super) fn endpoint_role() -> ForkRole {
    ForkRole::Endpoint
}

/// A refusal of a field.
pub(super) fn bad_field(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::BadField, message)
}
