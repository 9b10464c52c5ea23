"""A phone's SRTP, by libsrtp: what the platform protects is opened by another hand."""

import base64

from pylibsrtp import Error, Policy, Session

from sidestream.sdp.crypto import CryptoSuite, MasterKey
from sidestream.sdp.keying import Keying

SRTP_SUITES = {
    CryptoSuite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    CryptoSuite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    CryptoSuite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    CryptoSuite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


class SrtpCipher:
    """Both directions of one stream. What cannot be opened is None."""

    def __init__(self, keying: Keying) -> None:
        """Raises KeyError for a suite that libsrtp's binding has no profile for."""
        self.keying = keying
        self._sending = _session(keying.send, Policy.SSRC_ANY_OUTBOUND)
        self._receiving = _session(keying.receive, Policy.SSRC_ANY_INBOUND)

    def protect(self, packet: bytes) -> bytes:
        protected: bytes = self._sending.protect(packet)
        return protected

    def protect_rtcp(self, packet: bytes) -> bytes:
        protected: bytes = self._sending.protect_rtcp(packet)
        return protected

    def unprotect(self, packet: bytes) -> bytes | None:
        try:
            opened: bytes = self._receiving.unprotect(packet)
        except Error:
            return None
        return opened

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        try:
            opened: bytes = self._receiving.unprotect_rtcp(packet)
        except Error:
            return None
        return opened


def _session(key: MasterKey, ssrc_type: int) -> Session:
    return Session(Policy(base64.b64decode(key.key.reveal()), ssrc_type, srtp_profile=SRTP_SUITES[key.suite]))
