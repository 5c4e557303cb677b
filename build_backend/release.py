"""Which libopus is wanted, and how a tarball is known to be the real one."""

import hashlib
import re
from pathlib import Path
from typing import Final

__all__ = ["KNOWN_SHA256", "MINIMUM_VERSION", "UPSTREAM_URL", "parse_version", "sha256_of"]

MINIMUM_VERSION: Final = (1, 6, 1)

UPSTREAM_URL: Final = "https://downloads.xiph.org/releases/opus/opus-1.6.1.tar.gz"

KNOWN_SHA256: Final = frozenset(
    {
        # opus-1.6.1.tar.gz, the release of Xiph.Org
        "6ffcb593207be92584df15b32466ed64bbec99109f007c82205f0194572411a1",
        # opus_1.6.1.orig.tar.xz, the same as Debian carries it
        "001ac615b9f8f8994b229ad2b1a5969ed12ab48b0d154d0af1016a5899cd6ba1",
    }
)


def parse_version(text: str) -> tuple[int, ...]:
    """The first dotted number in ``text`` as a tuple; empty when there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
