"""What goes wrong with a Siprec: its request, its recording session, its media."""

from sidestream.debugger.entry import error, warning

ENTRIES = (
    error(
        31900,
        "Stream failed",
        "The recording session could not be established or broke, for a reason no other code names.",
        "The alert's details hold what the recording server answered; see the call's trace.",
    ),
    error(
        31901,
        "Recording server does not answer",
        "No recording server of the connector gave a final answer to the INVITE in time.",
        "Check that the server runs, that its address is right and that SIP gets through firewalls both ways.",
    ),
    error(
        31902,
        "Recording server refused the connection",
        "Nothing listens at the recording server's host and port.",
        "Start the server or correct the connector's address and transport.",
    ),
    error(
        31903,
        "Connection to the recording server broke",
        "The recording session was established and then lost without a proper end.",
        "Look at the recording server's log for the time of the alert.",
    ),
    error(
        31904,
        "Recording server unreachable",
        "No route leads to the recording server, or its host name does not resolve.",
        "Check the connector's address, DNS and routing on the platform's machine.",
    ),
    error(
        31910,
        "TLS to the recording server failed",
        "The connection to the recording server could not be secured: its certificate is not trusted, has expired or "
        "is for somebody else, it wants one of ours, or it speaks no TLS 1.2.",
        "The message says which; see `ca`, `certificate` and `key` of `[tls]`, and docs/topics/sip-transports.md.",
    ),
    warning(
        31931,
        "Media discarded",
        "Packets for the recording server could not be sent, or its host refuses them; the recording has gaps.",
        "Look at the recording server, at the network to it and at the load of the platform's machine.",
    ),
    error(
        31940,
        "Unknown connector",
        "The Siprec names a connector that the account does not have; or it names none, and none is called Default.",
        "Use the unique name of a configured connector; names are case-sensitive.",
    ),
    error(
        31941,
        "Invalid track",
        "Track is not `inbound_track`, `outbound_track` or `both_tracks`.",
        "Use one of the three, or leave it out for both tracks.",
    ),
    error(
        31942,
        "Invalid connector",
        "The connector's configuration cannot be used, or asks for something this version does not support yet.",
        "Correct the connector as the message says; `sidestream check-config` shows line and key.",
    ),
    warning(
        31953,
        "No media",
        "No RTP has come in on a recorded call's leg for half a minute, so that its track of the recording is silent.",
        "Check that the phone's or trunk's RTP reaches the platform's media ports.",
    ),
    error(
        31960,
        "Too many streams",
        "The Siprec would give the call more forked streams than allowed; a Siprec with both tracks counts as two.",
        "Stop another Siprec of the call first, record one track, or raise `limits.siprec_forks_per_call`.",
    ),
)
