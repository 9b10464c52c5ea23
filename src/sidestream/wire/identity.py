"""Whose a certificate is (RFC 5922 §7): the form of `ssl.SSLObject.getpeercert`."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from sidestream.sip.errors import MessageError
from sidestream.sip.uri import Uri

Certificate = Mapping[str, Any]


def is_for(certificate: Certificate, name: str) -> bool:
    """Whether `certificate` names the domain or IP address `name`."""
    try:
        wanted = ip_address(name)
    except ValueError:
        return name.lower().rstrip(".") in domains(certificate)
    return any(_is_address(text, wanted) for kind, text in _alternatives(certificate) if kind == "IP Address")


def domains(certificate: Certificate) -> frozenset[str]:
    """The SIP domains that the certificate speaks for, in lower case."""
    # RFC 5922 §7.1: SIP URIs without a user; only where there is none the DNS names; only without both the CN.
    # RFC 5922 §7.2: a name matches as a whole, so one with a star matches nothing.
    return frozenset(_uris(certificate) or _names(certificate))


def hosts(certificate: Certificate) -> frozenset[str]:
    """Whatever a client may ask for that is to see the certificate, in lower case; a star stands for a label."""
    return frozenset(_uris(certificate) | _names(certificate))


def describe(certificate: Certificate) -> str:
    """For people: whom it was issued to."""
    return ", ".join(sorted(domains(certificate))) or "nobody that it names"


def _uris(certificate: Certificate) -> set[str]:
    return {domain for kind, text in _alternatives(certificate) if kind == "URI" and (domain := _sip_domain(text))}


def _names(certificate: Certificate) -> set[str]:
    alternatives = _alternatives(certificate)
    if alternatives:
        return {text.lower().rstrip(".") for kind, text in alternatives if kind == "DNS"}
    subject = [pair for field in certificate.get("subject", ()) for pair in field]
    return {text.lower() for kind, text in subject if kind == "commonName"}


def _alternatives(certificate: Certificate) -> tuple[tuple[str, str], ...]:
    return tuple(certificate.get("subjectAltName", ()))


def _sip_domain(text: str) -> str | None:
    try:
        uri = Uri.parse(text)
    except MessageError:
        return None
    return uri.host.lower() if uri.scheme == "sip" and uri.user is None else None


def _is_address(text: str, wanted: object) -> bool:
    try:
        return ip_address(text.strip()) == wanted
    except ValueError:
        return False
