"""What the scenarios of calls share: another front over changed services, numbers, and a caller without manners."""

import asyncio
from dataclasses import replace

from sidestream.accounts.account import Number, VoiceSettings
from sidestream.accounts.account_book import AccountBook
from sidestream.calls.front import CallFront
from sidestream.sip.agent.events import InviteProgress, SessionEnded
from sidestream.sip.refer import Replaces
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

HOST = "127.0.0.1"
SDP_TYPE = "application/sdp"
BRIDGED = '<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>'


def change(office, **services):
    """Give the platform other services, for calls from now on."""
    office.services = replace(office.services, **services)
    office.front = CallFront(office.services)
    office.services.driver.default_sink = office.front.take_sip_event


def add_numbers(office, **documents):
    """Numbers of the office's account with TwiML of their own: `_2000="<Reject/>"`; 1000 stays."""
    known, callback = office.services.accounts, office.app.url("/status")
    numbers = [known.number_for("1000")]
    for name, verbs in documents.items():
        voice = VoiceSettings(twiml=f"<Response>{verbs}</Response>", status_callback=callback)
        numbers.append(Number(name.lstrip("_"), office.account.sid, voice))
    change(office, accounts=AccountBook(known.accounts, numbers))


async def connect(office, dial=BRIDGED):
    """Alice calls, and Bob, who is dialled, answers."""
    office.twiml(dial)
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.answer()
    await alice.answered()
    await bob.acknowledged()
    return alice, bob


def dialog_of(call):
    """As the other end names it: what somebody who saw the messages of `call` would ask the platform for."""
    with call._driver.turn() as (agent, _):
        dialog = agent.dialog(call.session)
    return Replaces(dialog.call_id, dialog.remote.tag, dialog.local.tag)


async def until(reached, what="it", timeout=5.0):
    """Look until `reached()` is true: for what no event tells. Returns what it gave."""
    try:
        async with asyncio.timeout(timeout):
            while not (found := reached()):
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise TimeoutError(f"{what} did not happen") from None
    return found


async def wait_for_status(office, sid, status):
    return await until(lambda: (call := office.services.live.get(sid)) and call.record.status is status, status)


def statuses(office, path="/status"):
    """The call progress callbacks that came to `path`, in order of their sequence: CallStatus."""
    received = sorted(office.app.to(path), key=lambda one: int(one.parameter("SequenceNumber")))
    return [one.parameter("CallStatus") for one in received]


async def codes(office):
    return [alert.code for alert in await office.alerts()]


def sdp(*media, connection="c=IN IP4 127.0.0.1"):
    """A description of these m-lines (each with its attributes)."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", *([connection] if connection else []), "t=0 0", *media]
    return "".join(f"{line}\r\n" for line in lines).encode()


AUDIO = sdp("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")


class RawCall:
    """An INVITE with any body; whatever comes of it is kept in `events`."""

    def __init__(self, phone, target, body=AUDIO, *, content_type=SDP_TYPE, headers=(), **fields):
        self.driver = phone.driver
        self.events = []
        with self.driver.turn() as (agent, now):
            self.session = agent.invite(
                target=Uri.parse(target),
                from_=NameAddr(None, Uri.sip(phone.name, HOST)),
                to=NameAddr(None, Uri.parse(target)),
                body=body,
                content_type=content_type if body else None,
                headers=headers,
                now=now,
                **fields,
            )
            self.driver.attach(self.session, self.events.append)

    def command(self, name, *args, **fields):
        with self.driver.turn() as (agent, now):
            return getattr(agent, name)(self.session, *args, now=now, **fields)

    async def until(self, kind, count=1):
        """The last of `count` events of that kind."""
        found = await until(lambda: [e for e in self.events if isinstance(e, kind)][count - 1 : count], kind.__name__)
        return found[0]

    async def ended(self):
        """The final status, None if there was none; returns when the session is over."""
        await self.until(SessionEnded)
        final = [e.response.status for e in self.events if hasattr(e, "response") and e.response.status >= 200]
        return final[0] if final else None

    def progress(self):
        return [event.response.status for event in self.events if isinstance(event, InviteProgress)]


def platform_uri(office, user="1000", listener="udp"):
    port = office.services.driver.addresses[listener][1]
    return f"sip:{user}@{HOST}:{port}" + (";transport=tcp" if listener == "tcp" else "")
