"""The address of record under which a party appears in metadata."""

from sidestream.sip.uri import Uri, parse_uri_or_none
from sidestream.sip.values import NameAddr

ANONYMOUS = "sip:anonymous@anonymous.invalid"  # RFC 3323 §4.1.1.3


def clean_aor(address: NameAddr | Uri | str) -> str:
    """A `sip:`, `sips:` or `tel:` URI with nothing in it but user, host and port; ANONYMOUS when there is none.

    X7: the schema takes almost any text as an aor, so its scheme is decided here.
    """
    uri = parse_uri_or_none(address) if isinstance(address, str) else address
    if isinstance(uri, NameAddr):
        uri = uri.uri
    # Gateways leave number parameters inside the user part as well: sip:+4930123;noa=national@host.
    user = uri.user.partition(";")[0] if uri is not None and uri.user is not None else None
    if uri is None or (uri.scheme == "tel" and not user):
        return ANONYMOUS
    if uri.scheme == "tel":
        return f"tel:{user}"
    if not uri.is_sip or uri.host.lower() == "anonymous.invalid":
        return ANONYMOUS
    return str(Uri(uri.scheme, user=user or None, host=uri.host, port=uri.port))
