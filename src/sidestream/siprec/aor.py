"""The address of record under which a party appears in metadata."""

from sidestream.sip.errors import MessageError
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

ANONYMOUS = "sip:anonymous@anonymous.invalid"  # RFC 3323 §4.1.1.3


def clean_aor(address: NameAddr | Uri | str) -> str:
    """A `sip:`, `sips:` or `tel:` URI with nothing in it but user, host and port; ANONYMOUS when there is none.

    X7: the schema takes almost any text as an aor, so its scheme is decided here.
    """
    uri = _uri(address)
    # Gateways leave number parameters inside the user part as well: sip:+4930123;noa=national@host.
    user = uri.user.partition(";")[0] if uri is not None and uri.user is not None else None
    if uri is None or (uri.scheme == "tel" and not user):
        return ANONYMOUS
    if uri.scheme == "tel":
        return f"tel:{user}"
    if not uri.is_sip or uri.host.lower() == "anonymous.invalid":
        return ANONYMOUS
    return str(Uri(uri.scheme, user=user or None, host=uri.host, port=uri.port))


def _uri(address: NameAddr | Uri | str) -> Uri | None:
    if isinstance(address, NameAddr):
        return address.uri
    if isinstance(address, Uri):
        return address
    try:
        return Uri.parse(address)
    except MessageError:
        return None
