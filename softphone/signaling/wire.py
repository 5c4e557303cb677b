"""How one field of a message is read from JSON: a check per kind of value.

A decoder takes whatever the JSON parser gave and returns the value for the
dataclass, or raises `RemoteProtocolError` with a few words that say what is wrong.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from softphone.errors import RemoteProtocolError
from softphone.signaling.text import clean_text

__all__ = [
    "MAX_INTEGER",
    "Capabilities",
    "Capability",
    "Decoder",
    "boolean",
    "capabilities",
    "carried",
    "choice",
    "code",
    "flat_map",
    "hexadecimal",
    "integer",
    "opaque",
    "sdp",
    "secret",
    "sentence",
    "version_number",
    "version_numbers",
    "word",
]

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

Scalar: TypeAlias = bool | int | float | str
Capability: TypeAlias = Scalar | tuple[Scalar, ...]
"""A value in a capability map: a scalar or a flat list of scalars."""
Capabilities: TypeAlias = Mapping[str, Capability]
Decoder: TypeAlias = Callable[[object], T]

MAX_SDP: Final = 32_768
"""Characters of a session description; ours have about 2,000."""
MAX_SECRET: Final = 128
MAX_VERSIONS: Final = 16
MAX_CAPABILITIES: Final = 32
MAX_CAPABILITY_TEXT: Final = 128
MAX_CAPABILITY_LIST: Final = 32
MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON implementation keeps exactly (RFC 8259 section 6)."""

_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,47}")
_CODE = re.compile(r"[a-z][a-z-]{0,31}")
_SDP_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def carried(decode: Decoder[T], encode: Callable[[T], object] | None = None) -> Mapping[str, Any]:
    """Metadata of a dataclass field that travels: read by `decode`, written by `encode`, if any."""
    return {"decode": decode, "encode": encode}


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise RemoteProtocolError("must be a string")
    if len(value) > limit:
        raise RemoteProtocolError(f"is longer than {limit} characters")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise RemoteProtocolError("holds half a surrogate pair")
    return value


def sentence(limit: int) -> Decoder[str]:
    """Text for people, cleaned; refused only when it is more than four times too long."""
    return lambda value: clean_text(_text(value, 4 * limit), limit)


def sdp(value: object) -> str:
    """A session description (RFC 8866), checked for its outer shape only."""
    text = _text(value, MAX_SDP)
    if not text.startswith(("v=0\r\n", "v=0\n")):
        raise RemoteProtocolError('must be a session description that begins with "v=0"')
    if "\nm=" not in text:
        raise RemoteProtocolError("has no media section")
    if _SDP_CONTROL.search(text):
        raise RemoteProtocolError("holds control characters")
    return text


def opaque(limit: int) -> Decoder[str]:
    """A string for programs, as it is."""
    return lambda value: _text(value, limit)


def word(pattern: str, what: str) -> Decoder[str]:
    """A string that matches `pattern` as a whole; `what` describes it in errors."""
    compiled = re.compile(pattern)

    def decode(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise RemoteProtocolError(f"must be {what}")
        return value

    return decode


def boolean(value: object) -> bool:
    """JSON's true or false."""
    if not isinstance(value, bool):
        raise RemoteProtocolError("must be true or false")
    return value


def integer(low: int, high: int) -> Decoder[int]:
    """A whole number from `low` to `high`."""

    def decode(value: object) -> int:
        # bool is a subclass of int, and JSON's true is no number.
        if type(value) is not int or not low <= value <= high:
            raise RemoteProtocolError(f"must be an integer from {low} to {high}")
        return value

    return decode


def secret(value: object) -> str:
    """A token; what it must be is the business of the access policy."""
    return _text(value, MAX_SECRET)


def code(value: object) -> str:
    """A machine-readable word: lower-case letters and hyphens."""
    text = _text(value, 32)
    if not _CODE.fullmatch(text):
        raise RemoteProtocolError("must be a word of lower-case letters and hyphens")
    return text


def choice(options: Sequence[E]) -> Decoder[E]:
    """One of a few words."""
    allowed = {str(option): option for option in options}

    def decode(value: object) -> E:
        if not isinstance(value, str) or value not in allowed:
            raise RemoteProtocolError(f"must be one of {', '.join(allowed)}")
        return allowed[value]

    return decode


def hexadecimal(length: int) -> Decoder[bytes]:
    """Exactly `length` bytes as lower-case hexadecimal digits."""
    pattern = re.compile(rf"[0-9a-f]{{{2 * length}}}")

    def decode(value: object) -> bytes:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise RemoteProtocolError(f"must be {2 * length} lower-case hexadecimal digits")
        return bytes.fromhex(value)

    return decode


def version_number(value: object) -> int:
    """A version of the protocol: an integer from 1 to 65535."""
    return integer(1, 65_535)(value)


def version_numbers(value: object) -> tuple[int, ...]:
    """A list of 1 to 16 versions."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_VERSIONS:
        raise RemoteProtocolError(f"must be a list of 1 to {MAX_VERSIONS} versions")
    return tuple(version_number(item) for item in value)


def _scalar(value: object, max_text: int) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise RemoteProtocolError("holds an integer beyond 2^53")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RemoteProtocolError("holds a number that is not finite")
        return value
    if isinstance(value, str):
        return _text(value, max_text)
    raise RemoteProtocolError("may hold only booleans, numbers, strings and lists of these")


def flat_map(max_text: int) -> Decoder[Capabilities]:
    """At most 32 keys to scalars or flat lists of scalars; strings have at most `max_text` characters."""

    def decode(value: object) -> Capabilities:
        if not isinstance(value, Mapping):
            raise RemoteProtocolError("must be an object")
        if len(value) > MAX_CAPABILITIES:
            raise RemoteProtocolError(f"has more than {MAX_CAPABILITIES} entries")
        decoded: dict[str, Capability] = {}
        for key, item in value.items():
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise RemoteProtocolError("has a key that is not a lower-case word of at most 48 characters")
            if isinstance(item, list | tuple):
                if len(item) > MAX_CAPABILITY_LIST:
                    raise RemoteProtocolError(f"holds a list of more than {MAX_CAPABILITY_LIST} items")
                decoded[key] = tuple(_scalar(element, max_text) for element in item)
            else:
                decoded[key] = _scalar(item, max_text)
        return MappingProxyType(decoded)

    return decode


capabilities: Final = flat_map(MAX_CAPABILITY_TEXT)
"""A decoder of what an end can do."""
