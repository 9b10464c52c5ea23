"""What goes wrong between the platform and its SIP peers, and in what is to be sent to them."""

from sidestream.debugger.entry import error, warning

ENTRIES = (
    warning(
        32011,
        "SIP peer failed to take the request",
        "The peer answered a SIP request with an error, or not in time.",
        "The alert's details hold its answer; check the peer's log.",
    ),
    error(
        32022,
        "No ACK",
        "The peer never acknowledged the 200 OK to its INVITE, so the call was ended after 32 seconds.",
        "The peer probably cannot reach the address in our Contact: set `advertised` of the listener.",
    ),
    error(
        32102,
        "Bad SDP",
        "A session description cannot be read, or offers no audio that the platform can carry.",
        "Check the codecs and the SDP of the peer; audio by RTP, or by SRTP with keys in a=crypto, is needed.",
    ),
    error(
        32106,
        "SIP authentication failed",
        "The peer challenged our request, such as the registration of a trunk, and did not accept the answer, or there "
        "are no credentials for it.",
        "Check user name and password of the trunk or of `<Sip>`.",
    ),
    warning(
        32110,
        "Malformed SIP URI",
        "An address is not a SIP URI, or longer than 254 characters.",
        "Write sip:user@host:port, with parameters behind semicolons.",
    ),
    warning(
        32111,
        "Illegal header name",
        "The name of a custom SIP header holds characters that no header name may have.",
        "Use letters, digits and hyphens.",
    ),
    warning(
        32112,
        "Illegal header value",
        "The value of a custom SIP header holds control characters or is too long.",
        "Use printable ASCII; name and value together under 1024 characters.",
    ),
    warning(
        32113,
        "Header not allowed",
        "A custom SIP header would replace one that the platform writes itself, or begins with X-Twilio.",
        "Choose another name, beginning with X-.",
    ),
    warning(
        32114,
        "Unsupported URI parameter value",
        "A parameter of a SIP URI has a value that is not known; `secure` other than true counts as false.",
        "Correct the parameter's value.",
    ),
    error(
        32201,
        "Source address not allowed",
        "A SIP call came from an address that no trunk lists as a source; it was refused.",
        "If the caller is known, add its address or network to `sources` of its trunk.",
    ),
    error(
        32202,
        "Bad credentials from a SIP peer",
        "Somebody answered our challenges wrongly again and again, to call or register as a user of a domain or as a "
        "trunk. The source's answers are not looked at for up to a minute.",
        "If the peer is known, correct its user name or password; else block its address in front of the platform.",
    ),
    error(
        32207,
        "Secure media not accepted",
        "The peer offers only encrypted media, and the configuration does not allow it.",
        "Set `media_security` of its trunk, number or domain to `optional` or `required`.",
    ),
    error(
        32208,
        "Secure media required",
        "A call with SRTP would be recorded without it, which is not done unless the connector allows it.",
        "Let the connector's address say `secure=true`, or set `plain_copy_of_secure_calls`.",
    ),
    error(
        32209,
        "Secure transport required",
        "An address asks for TLS and SRTP (`secure=true`), but names another transport, or the platform has no "
        "listener with transport tls; nothing is sent in the clear instead.",
        "Configure a listener with transport tls; take another transport out of the address.",
    ),
    error(
        32210,
        "Media engine full",
        "The media engine has as many sessions, ports, descriptors or as much bandwidth as it may have. A caller is "
        "refused with 503 and told when to try again; calls that go on are not touched.",
        "The alert's details hold the numbers. Raise `max_sessions`, `max_mbit`, the range of ports or the limit of "
        "open files, or add an engine.",
    ),
    error(
        32211,
        "Media engine overloaded",
        "The media engine is at work nearly all of the time, so it takes no new calls: a caller is refused with 503 "
        "and told when to try again. Calls that go on are not touched.",
        "Give it more `workers`, if the machine has the cores, or add an engine.",
    ),
    warning(
        32212,
        "Media not authentic",
        "A party's packets do not fit the key that it gave in its session description, for a second at least: it is "
        "not heard. It may send in the clear, under another key, or count its packets otherwise.",
        "Look for a device between the two that changes session descriptions or media; take a trace of both sides.",
    ),
)
