//! From master keys to session keys, and to the transforms that work with them.

use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use zeroize::Zeroizing;

use super::counter_mode::{CounterMode, AUTHENTICATION_KEY_LEN};
use super::derivation::{derive, Label};
use super::error::KeyError;
use super::gcm::Gcm;
use super::keys::SrtpKeys;
use super::suite::CryptoSuite;
use super::transform::Transform;

/// A direction's transforms: of RTP and of RTCP, which never share a key (RFC 3711 §3.2.1).
pub(super) struct Transforms {
    pub(super) rtp: Box<dyn Transform>,
    pub(super) rtcp: Box<dyn Transform>,
}

/// The transforms that master keys stand for.
pub(super) fn transforms(keys: &SrtpKeys) -> Result<Transforms, KeyError> {
    let session = |encryption, authentication, salt| {
        let (key, master_salt) = (keys.master_key(), keys.master_salt());
        let mut derived = SessionKeys::default();
        derive(key, master_salt, encryption, &mut derived.encryption[..keys.suite().key_len()])?;
        derive(key, master_salt, authentication, &mut derived.authentication[..])?;
        derive(key, master_salt, salt, &mut derived.salt[..keys.suite().salt_len()])?;
        Ok(derived)
    };
    let rtp = session(Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt)?;
    let rtcp = session(Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt)?;
    let suite = keys.suite();
    Ok(Transforms {
        rtp: transform(suite, suite.rtp_tag_len(), &rtp)?,
        rtcp: transform(suite, suite.rtcp_tag_len(), &rtcp)?,
    })
}

/// Session keys, each as long as the longest suite needs.
#[derive(Default)]
struct SessionKeys {
    encryption: Zeroizing<[u8; 32]>,
    authentication: Zeroizing<[u8; AUTHENTICATION_KEY_LEN]>,
    salt: Zeroizing<[u8; 14]>,
}

/// A suite's transform with its session keys.
fn transform(suite: CryptoSuite, tag_len: usize, keys: &SessionKeys) -> Result<Box<dyn Transform>, KeyError> {
    let key = &keys.encryption[..suite.key_len()];
    Ok(match suite {
        CryptoSuite::AesCm128HmacSha1_80 | CryptoSuite::AesCm128HmacSha1_32 => {
            Box::new(CounterMode::<Aes128Enc>::new(key, &keys.authentication, &keys.salt, tag_len)?)
        }
        CryptoSuite::Aes256CmHmacSha1_80 | CryptoSuite::Aes256CmHmacSha1_32 => {
            Box::new(CounterMode::<Aes256Enc>::new(key, &keys.authentication, &keys.salt, tag_len)?)
        }
        CryptoSuite::AeadAes128Gcm => Box::new(Gcm::<Aes128Gcm>::new(key, &keys.salt)?),
        CryptoSuite::AeadAes256Gcm => Box::new(Gcm::<Aes256Gcm>::new(key, &keys.salt)?),
    })
}
