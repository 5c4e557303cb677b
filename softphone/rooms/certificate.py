"""A self-made certificate, so that browsers on the local network give a page the microphone.

They warn once, because nobody vouches for it; the fingerprint is printed for comparison.
It is kept until it is about to expire or the machine has a name or address that it lacks.
"""

import datetime
import ipaddress
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from softphone.errors import ConfigError
from softphone.rooms.keeping import data_folder, keep_private

__all__ = ["ServerCertificate", "load_certificate", "self_made_certificate"]

_FILE: Final = "room-server.pem"
_LIFETIME: Final = datetime.timedelta(days=397)
"""Browsers refuse certificates that are good for longer."""
_RENEWAL: Final = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate in use."""

    context: ssl.SSLContext
    """For the server's side of TLS."""
    fingerprint: str
    """SHA-256, as browsers show it: ``AA:BB:...``."""


def load_certificate(certificate: Path, key: Path) -> ServerCertificate:
    """Use PEM files. Raises `ConfigError` when they can't be read or do not belong together."""
    try:
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"{certificate} can't be read as a PEM certificate: {error}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A callback in place of OpenSSL's own, which would ask on the terminal and block.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{certificate} and {key} can't be used together ({reason}): "
            "the key must belong to the certificate, and have no passphrase"
        ) from error
    return ServerCertificate(context, _fingerprint(first))


def self_made_certificate(hosts: Sequence[str], folder: Path | None = None) -> ServerCertificate:
    """The kept certificate of this user, or a new one for `hosts` (names and IP addresses).

    Raises `ConfigError` when it can't be written.
    """
    path = (folder or data_folder()) / _FILE
    if not _still_good(path, hosts):
        keep_private(path, _make(hosts))
    return load_certificate(path, path)


def _still_good(path: Path, hosts: Iterable[str]) -> bool:
    try:
        kept = x509.load_pem_x509_certificate(path.read_bytes())
        names = kept.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    now = datetime.datetime.now(datetime.UTC)
    return kept.not_valid_after_utc - now > _RENEWAL and all(_alternative(host) in names for host in hosts)


def _make(hosts: Sequence[str]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "softphone room server")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
