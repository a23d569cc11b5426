"""Certificates for mutual TLS: one authority, one server, one certificate for each client."""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFETIME: Final = dt.timedelta(days=2)
_PEM: Final = serialization.Encoding.PEM


def make_certificates(folder: Path, clients: Iterable[str]) -> None:
    """Write ``ca.pem``, and ``NAME.pem`` with ``NAME.key`` for ``server`` and each client, on P-256."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _sign("authority", authority_key, "authority", authority_key, is_authority=True)
    (folder / "ca.pem").write_bytes(authority.public_bytes(_PEM))
    for name in ("server", *clients):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign(name, key, "authority", authority_key, is_authority=False)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(_PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
