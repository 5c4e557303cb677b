"""Session descriptions as text: sections, lines and attributes (RFC 8866), with limits.

This is the lexical level only. :mod:`.remote_description` says which remote
descriptions are acceptable, :mod:`.local_description` writes ours.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from softphone.errors import RemoteProtocolError

__all__ = ["DIRECTIONS", "Attributes", "MediaSection", "SessionText", "parse_session", "reverse_direction"]

MAX_CHARACTERS = 65_536
MAX_LINE = 4_096
MAX_LINES = 2_000
MAX_SECTIONS = 16

DIRECTIONS = ("inactive", "sendonly", "recvonly", "sendrecv")
"""Values of the direction attribute (RFC 8866, section 6.7); bit 0 of the index: sends, bit 1: receives."""

_LINE = re.compile(r"[a-z]=.*")
_MEDIA = re.compile(r"m=(\S+) (\d{1,5})(?:/\d+)? (\S+) (\S.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Lines below one ``m=`` line, or those above the first."""

    lines: tuple[str, ...]
    """Every line as ``x=value``, without line ends."""

    def values(self, name: str) -> Iterator[str]:
        """Yield the values of all ``a=name:value`` lines, stripped, in order."""
        prefix = f"a={name}:"
        for line in self.lines:
            if line.startswith(prefix):
                yield line[len(prefix) :].strip()

    def value(self, name: str) -> str | None:
        """Return the first value of attribute `name`, or None."""
        return next(self.values(name), None)

    def flag(self, name: str) -> bool:
        """Tell whether the property attribute ``a=name`` is there."""
        return f"a={name}" in self.lines


@dataclass(frozen=True, slots=True)
class MediaSection(Attributes):
    """One media section."""

    kind: str
    """Media type: ``audio``, ``video``, ``application``..."""
    port: int
    """Port of the ``m=`` line; 0 means rejected (or bundle-only)."""
    protocol: str
    """Transport protocol, for instance ``UDP/TLS/RTP/SAVPF``."""
    formats: tuple[str, ...]
    """Formats of the ``m=`` line; payload types for RTP, in order of preference."""

    @property
    def rejected(self) -> bool:
        """Whether the section is switched off (RFC 3264, section 6), not just bundled (RFC 8843)."""
        return self.port == 0 and not self.flag("bundle-only")

    @property
    def direction(self) -> str | None:
        """The section's own direction attribute, or None."""
        return next((d for d in DIRECTIONS if self.flag(d)), None)


@dataclass(frozen=True, slots=True)
class SessionText:
    """A whole session description, split into its sections."""

    session: Attributes
    media: tuple[MediaSection, ...]


def reverse_direction(direction: str) -> str:
    """Say the direction as the other side sees it."""
    return {"sendonly": "recvonly", "recvonly": "sendonly"}.get(direction, direction)


def parse_session(text: str) -> SessionText:
    """Split a session description into sections.

    Accepts CRLF and LF. Raises :class:`softphone.errors.RemoteProtocolError` when it
    isn't SDP at all or exceeds 64 Ki characters, 2,000 lines, 4,096 characters a
    line or 16 media sections.
    """
    if not isinstance(text, str):
        raise RemoteProtocolError("the session description is not text")
    if len(text) > MAX_CHARACTERS:
        raise RemoteProtocolError(f"the session description exceeds {MAX_CHARACTERS} characters")
    lines = [line.rstrip(" \t") for line in text.replace("\r\n", "\n").split("\n")]
    lines = [line for line in lines if line]
    if len(lines) > MAX_LINES:
        raise RemoteProtocolError(f"the session description exceeds {MAX_LINES} lines")
    if not lines or lines[0] != "v=0":
        raise RemoteProtocolError("the session description does not start with v=0")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE or not _LINE.fullmatch(line) or not line.isprintable():
            raise RemoteProtocolError(f"line {number} of the session description is malformed")
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    if len(starts) > MAX_SECTIONS:
        raise RemoteProtocolError(f"the session description has more than {MAX_SECTIONS} media sections")
    media = tuple(_media_section(lines[start:end]) for start, end in pairwise([*starts, len(lines)]))
    return SessionText(Attributes(tuple(lines[: starts[0]] if starts else lines)), media)


def _media_section(lines: list[str]) -> MediaSection:
    match = _MEDIA.fullmatch(lines[0])
    if match is None or int(match[2]) > 65_535:
        raise RemoteProtocolError("a media line of the session description is malformed")
    return MediaSection(tuple(lines[1:]), match[1], int(match[2]), match[3], tuple(match[4].split()))
