import random

import pytest

from sidestream.base.ids import Ids
from sidestream.sip.timers import Timers
from sidestream.testing.phone.phone import SipPhone

# A lost datagram on loopback is repeated soon, so that no test hangs on T1.
QUICK = Timers(t1=0.05)


@pytest.fixture
async def make_phone():
    """Starts phones, and closes them at the end."""
    phones: list[SipPhone] = []

    async def make(name: str, **options) -> SipPhone:
        phone = SipPhone(name, ids=Ids(random.Random(name)), **{"timers": QUICK} | options)
        await phone.start()
        phones.append(phone)
        return phone

    yield make
    for phone in phones:
        await phone.close()


@pytest.fixture
async def pair(make_phone):
    """Two phones of which the first calls the second; the call is not answered yet."""
    alice, bob = await make_phone("alice"), await make_phone("bob")
    outgoing = alice.call(bob.uri)
    return outgoing, await bob.wait_for_call()


@pytest.fixture
async def talking(pair):
    """Both ends of an answered call."""
    outgoing, incoming = pair
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    return outgoing, incoming
