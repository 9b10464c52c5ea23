//! Keys of SRTP as they stand on the wire (docs/topics/media-protocol.md, section 4).

use media_core::srtp::SrtpKeys;
use media_core::{MediaKeys, Refusal, RefusalCode};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, Zeroizing};

/// What an error may tell: never what was given.
const SHAPE: &str =
    "a key is {\"suite\", \"key\", \"mki\"}: a known suite, base64 of its key and salt, hexadecimal digits";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey {
    suite: String,
    key: String,
    #[serde(default)]
    mki: Option<String>,
}

impl Drop for WireKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Reads `send_key` or `receive_key`.
pub(super) fn key<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SrtpKeys>, D::Error> {
    let wire = Option::<WireKey>::deserialize(from).map_err(|_| D::Error::custom(SHAPE))?;
    wire.map(|wire| read(&wire).ok_or_else(|| D::Error::custom(SHAPE))).transpose()
}

/// The keys of both directions; they come together or not at all.
pub(super) fn both(send: Option<&SrtpKeys>, receive: Option<&SrtpKeys>) -> Result<Option<Box<MediaKeys>>, Refusal> {
    match (send, receive) {
        (None, None) => Ok(None),
        (Some(send), Some(receive)) => Ok(Some(Box::new(MediaKeys { send: send.clone(), receive: receive.clone() }))),
        _ => Err(Refusal::new(RefusalCode::BadField, "send_key and receive_key come together")),
    }
}

fn read(wire: &WireKey) -> Option<SrtpKeys> {
    let keys = SrtpKeys::named(&wire.suite, &base64(&wire.key)?).ok()?;
    keys.with_mki(&hexadecimal(wire.mki.as_deref().unwrap_or_default())?).ok()
}

/// The octets of base64 (RFC 4648 §4), whose padding may be left out.
fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if text.len() - digits.len() > 2 {
        return None;
    }
    // as long as it will get: a vector that grows leaves copies behind
    let mut octets = Zeroizing::new(Vec::with_capacity(digits.len()));
    let (mut bits, mut count) = (0u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count) as u8);
        }
    }
    Some(octets)
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, Value};

    const GOOD: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    fn read(value: Value) -> Result<Option<SrtpKeys>, String> {
        key(value).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_key_is_read_with_and_without_its_mark() {
        assert_eq!(read(Value::Null), Ok(None));
        for mki in [Value::Null, json!(""), json!("00fF")] {
            let value = json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": GOOD, "mki": mki});
            let expected =
                SrtpKeys::named("AES_CM_128_HMAC_SHA1_80", b"YS___semctl () {\t220;}\n}\nunles").map(|keys| {
                    if mki == json!("00fF") {
                        keys.with_mki(&[0, 255]).unwrap()
                    } else {
                        keys
                    }
                });
            assert_eq!(read(value).unwrap(), expected.ok(), "{mki}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        let secret = &GOOD[..39];
        for bad in [
            json!(secret),
            json!({"suite": secret, "key": GOOD}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": secret}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": format!("{secret}*")}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": format!("{GOOD}===")}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": [secret]}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": GOOD, "mki": "0"}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": GOOD, "mki": "0x"}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": GOOD, "mki": "00".repeat(129)}),
            json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": GOOD, "lifetime": 3}),
        ] {
            let error = read(bad.clone()).expect_err("no key");
            assert!(!error.contains(&secret[..20]), "{bad} {error}");
        }
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, octets) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(base64(text).unwrap().as_slice(), octets.as_bytes());
        }
        assert_eq!(base64("+/+/").unwrap().as_slice(), [0xfb, 0xff, 0xbf]);
    }
}
