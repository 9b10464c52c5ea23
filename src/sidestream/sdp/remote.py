"""Where a peer's description asks us to send media."""

from dataclasses import dataclass
from ipaddress import ip_address

from sidestream.sdp.error import SdpError
from sidestream.sdp.lines import HOLD_ADDRESSES, names_group
from sidestream.sdp.media import HIGHEST_PORT
from sidestream.sdp.session import SessionDescription


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """Where RTP and RTCP of one m-line go."""

    host: str
    rtp_port: int
    rtcp_host: str
    rtcp_port: int

    @property
    def family(self) -> int:
        """4 or 6: the version of IP that both addresses have."""
        return ip_address(self.host).version


def remote_address(description: SessionDescription, index: int) -> RemoteAddress | None:
    """Where m-line `index` wants its media; None when it wants none there (port 0, or hold by address).

    A direction without `receives` also asks for silence, but RTCP still flows then, so the address is given.
    Raises SdpError when no `c=` line covers the m-line, or the one that does has a group or a name for an address.
    """
    media = description.media[index]
    if media.is_refused:
        return None
    connection = description.connection(index)
    if connection is None:
        # RFC 8866 §5.7: a c= line at the session or at each medium.
        raise SdpError(f"no c= line covers m-line {index + 1}", status=488)
    if connection.is_hold:
        return None
    if names_group(connection.address):
        raise SdpError(f"m-line {index + 1} wants media at {connection.address}, which is no host", status=488)
    family = _family(connection.address)
    if family is None:
        raise SdpError(f"m-line {index + 1} wants media at {connection.address}, which is no IP address", status=488)
    rtcp_host, rtcp_port = connection.address, min(media.port + 1, HIGHEST_PORT)
    # RFC 3605 §2.1: a=rtcp:53020, or with an address of its own: a=rtcp:53020 IN IP4 126.16.64.4
    stated = (media.attribute("rtcp") or "").split()
    if stated and stated[0].isascii() and stated[0].isdigit() and 0 < int(stated[0][:6]) <= HIGHEST_PORT:
        rtcp_port = int(stated[0][:6])
        usable = len(stated) == 4 and stated[3] not in HOLD_ADDRESSES and not names_group(stated[3])
        if usable and _family(stated[3]) == family:
            rtcp_host = stated[3]
    return RemoteAddress(connection.address, media.port, rtcp_host, rtcp_port)


def _family(host: str) -> int | None:
    """The version of IP; None for a name, which nobody looks up in the midst of a call."""
    try:
        return ip_address(host).version
    except ValueError:
        return None
