"""Certificates that OpenSSL takes."""

import ssl
from pathlib import Path

from cryptography import x509

from sidestream.testing.certificates import Authority


def test_what_is_issued_is_signed_by_its_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    path, key = authority.issue("a", names=("a.example",), uris=("sip:a.example",), addresses=("::1",))
    root, certificate = (x509.load_pem_x509_certificate(file.read_bytes()) for file in (authority.path, path))
    certificate.verify_directly_issued_by(root)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["sip:a.example"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key)


def test_a_certificate_may_do_without_alternatives(tmp_path: Path) -> None:
    path, _ = Authority(tmp_path).issue("plain", common_name="cn.example")
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=cn.example"
    assert list(certificate.extensions) == []
