"""What calls work with: everything that `app` builds once and every call shares."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidestream.accounts.account_book import AccountBook
from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.base.metrics import Metrics
from sidestream.calls.audio import AudioLibrary
from sidestream.calls.imaging import Imaging
from sidestream.calls.live import LiveCalls
from sidestream.calls.ports import CallStore
from sidestream.calls.requests import Instructions
from sidestream.calls.speech import Speech
from sidestream.calls.users import SipUsers, no_users
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.debugger.debugger import Debugger
from sidestream.media.engine import MediaEngine
from sidestream.recording.ports import SiprecStore
from sidestream.recording.siprec import FORK_LIMIT
from sidestream.trunks.trunk_book import TrunkBook
from sidestream.webhooks.fetch import DocumentFetcher
from sidestream.webhooks.outbox import Outbox
from sidestream.wire.driver import SipDriver

if TYPE_CHECKING:
    from sidestream.calls.call import Call
    from sidestream.calls.interpreter import Resumption


@dataclass(frozen=True, slots=True)
class CallSettings:
    """`sip_host`: the host of the URIs we make for callers that have only a number."""

    sip_host: str
    calls: int = 1000  # live calls at once; more are refused with 503
    forks_per_call: int = FORK_LIMIT


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all calls; none of them is changed by a call."""

    driver: SipDriver
    engine: MediaEngine
    clock: Clock
    ids: Ids
    metrics: Metrics
    accounts: AccountBook
    trunks: TrunkBook
    connectors: ConnectorBook
    debugger: Debugger
    fetcher: DocumentFetcher
    outbox: Outbox
    live: LiveCalls
    calls: CallStore
    imaging: Imaging
    siprecs: SiprecStore
    audio: AudioLibrary
    speech: Speech
    # runs instructions on a call, maybe from where a restart broke into them: `calls.script`
    script: Callable[["Call", Instructions, "Resumption | None"], Awaitable[None]]
    settings: CallSettings
    users: SipUsers = field(default_factory=no_users)
