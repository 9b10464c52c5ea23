"""Which keys the two sides of an SRTP stream use: offers and answers with `a=crypto` (RFC 4568 §5.1, §7.1)."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from sidestream.base.ids import Ids
from sidestream.base.secret import Secret
from sidestream.sdp.crypto import Crypto, CryptoSuite, MasterKey
from sidestream.sdp.media import MediaDescription

# Best first, as RFC 4568 §5.1.1 asks; the second is what every peer knows.
DEFAULT_SUITES = (CryptoSuite.AEAD_AES_256_GCM, CryptoSuite.AES_CM_128_HMAC_SHA1_80)


@dataclass(frozen=True, slots=True)
class Keying:
    """What both sides have agreed on: one suite, and a key of its own for either direction."""

    send: MasterKey
    receive: MasterKey


def new_cryptos(ids: Ids, suites: Sequence[CryptoSuite] = DEFAULT_SUITES) -> tuple[Crypto, ...]:
    """Lines for the offer of one m-line, each with a key of its own, numbered from 1."""
    return tuple(Crypto(tag, _new_key(ids, suite)) for tag, suite in enumerate(suites, 1))


def answering_crypto(
    offered: MediaDescription,
    ids: Ids,
    *,
    mine: Sequence[Crypto] = (),
    suites: Sequence[CryptoSuite] = tuple(CryptoSuite),
) -> Crypto | None:
    """Our line for the answer to an offered m-line: the first that we can take; None when there is none.

    `mine`: the lines of our last description, as long as both sides' addresses and ports are what they were then. A key
    of theirs that fits is kept; else the key is new.
    """
    for theirs in offered.cryptos:
        if theirs.key.suite not in suites:
            continue
        # RFC 4568 §5.1.2: tag and suite of the line that is taken, and a key of our own.
        for ours in mine:
            if ours.key.suite is theirs.key.suite and ours.key.key != theirs.key.key:
                return Crypto(theirs.tag, ours.key)
        return Crypto(theirs.tag, _new_key(ids, theirs.key.suite))
    return None


def keying(local: MediaDescription, remote: MediaDescription) -> Keying | None:
    """What offer and answer agree on, whichever of them is ours; None when they agree on nothing.

    RFC 4568 §5.1.3: the answer has one line, with tag and suite of one that was offered.
    """
    ours, theirs = local.cryptos, remote.cryptos
    if min(len(ours), len(theirs)) != 1:
        return None
    for mine in ours:
        for other in theirs:
            if (mine.tag, mine.key.suite) != (other.tag, other.key.suite):
                continue
            # RFC 4568 §7.1.2: one key for both directions would use its keystream twice.
            return None if mine.key.key == other.key.key else Keying(mine.key, other.key)
    return None


def _new_key(ids: Ids, suite: CryptoSuite) -> MasterKey:
    return MasterKey(suite, Secret(base64.b64encode(ids.octets(suite.key_octets)).decode("ascii")))
