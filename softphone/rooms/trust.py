"""Whether the certificate of a room server is believed, and what to say when it isn't."""

import asyncio
import contextlib
import hashlib
import re
import ssl
from dataclasses import dataclass
from typing import Final

import aiohttp

from softphone.errors import ConfigError

__all__ = ["ServerTrust", "presented_fingerprint"]

_FINGERPRINT: Final = re.compile(r"(?:[0-9a-f]{2}:){31}[0-9a-f]{2}|[0-9a-f]{64}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerTrust:
    """By default what the certificate authorities of this machine vouch for.

    Raises `ConfigError` for settings that make no sense.
    """

    fingerprint: str = ""
    """SHA-256 of the one certificate that is believed, 32 hexadecimal pairs with or without
    colons; empty: the authorities decide."""
    insecure: bool = False
    """Believe any certificate: whoever is in between can listen to the signalling and change it."""

    def __post_init__(self) -> None:
        if self.fingerprint and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise ConfigError(
                "the fingerprint of a certificate is 32 pairs of hexadecimal digits (SHA-256), AA:BB:..."
            )
        if self.fingerprint and self.insecure:
            raise ConfigError("choose one: the fingerprint of a certificate, or no check at all")

    @property
    def ssl(self) -> bool | aiohttp.Fingerprint:
        """For aiohttp."""
        if self.fingerprint:
            return aiohttp.Fingerprint(bytes.fromhex(self.fingerprint.replace(":", "")))
        return not self.insecure


async def presented_fingerprint(host: str, port: int, *, patience: float = 5.0) -> str | None:
    """SHA-256 of the certificate that a server shows, as ``AA:BB:...``; None when it shows none.

    It proves nothing: it is there to be compared with what the operator printed.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.close()
            return hashlib.sha256(shown).digest().hex(":").upper() if shown else None
    return None
