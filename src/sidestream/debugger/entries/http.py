"""What goes wrong when the platform asks an application for instructions or tells it of an event."""

from sidestream.debugger.entry import error

ENTRIES = (
    error(
        11100,
        "Invalid URL",
        "A URL that the platform was to request has no http or https scheme, no host, or cannot be read at all.",
        "Correct the URL where it was given: configuration, API request or TwiML.",
    ),
    error(
        11200,
        "HTTP retrieval failure",
        "The application's server could not be asked, or gave no usable answer, for a reason no other code names.",
        "Request the URL from the platform's machine with curl and look at the server's log.",
    ),
    error(
        11201,
        "TCP connection timed out",
        "The server did not accept a TCP connection within the connect time-out.",
        "Check host, port and firewalls between the platform and the server; `#ct=` in the URL sets the time-out.",
    ),
    error(
        11202,
        "TCP connection refused",
        "Nothing listens at the host and port of the URL.",
        "Start the server or correct the port.",
    ),
    error(
        11203,
        "Request timed out",
        "The request and its retries together took longer than the total time allowed, 15 seconds at most.",
        "Make the application answer faster; do slow work after the answer.",
    ),
    error(
        11205,
        "Connection failed",
        "The connection could not be established or was lost before an answer came, after all retries.",
        "Check the server and the network in between.",
    ),
    error(
        11206,
        "HTTP protocol violation",
        "What the server sent is not valid HTTP.",
        "Check that the URL's port really speaks HTTP (or HTTPS, as the scheme says).",
    ),
    error(
        11210,
        "Host name not found",
        "The host name of the URL does not resolve to an address.",
        "Correct the name or its DNS record.",
    ),
    error(
        11215,
        "Too many redirects",
        "The server redirected the request again and again.",
        "Give the final URL at once.",
    ),
    error(
        11216,
        "Invalid redirect",
        "A redirect has no Location header, or one that is no http or https URL.",
        "Correct the Location header of the answer.",
    ),
    error(
        11217,
        "HTTP error answer",
        "The server answered with a 4xx or 5xx status instead of instructions.",
        "Look at the application's log for this request; the alert holds status and URL.",
    ),
    error(
        11220,
        "TLS handshake failed",
        "The server and the platform agreed on no TLS version or cipher, or the handshake broke off.",
        "Let the server offer TLS 1.2 or newer.",
    ),
    error(
        11235,
        "Certificate of another host",
        "The server's certificate does not hold the host name of the URL.",
        "Use the name the certificate was issued for, or get one for this name.",
    ),
    error(
        11236,
        "Certificate expired",
        "The server's certificate is past its last day, or not valid yet.",
        "Renew the certificate; check the clocks of both machines.",
    ),
    error(
        11237,
        "Certificate not trusted",
        "No certificate authority that the platform knows has signed the server's certificate.",
        "Send the intermediate certificates along, or install the private authority on the platform's machine.",
    ),
    error(
        11240,
        "Invalid edge in the connection overrides",
        "The `e` key behind the # of a URL is not the name of an edge.",
        "Remove it: a self-hosted platform has no edges.",
    ),
    error(
        11243,
        "Invalid connection overrides",
        "A key behind the # of a URL (`ct`, `rt`, `tt`, `rc`, `rp`, `sni`) has a value out of its range; the default "
        "is used.",
        "Correct the value; docs/topics/webhooks.md lists keys and ranges.",
    ),
)
