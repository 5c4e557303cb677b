"""Ids of participants: unique, and in the order of coming in.

The order decides who offers to whom, so it must be the same for everybody and outlive a
restart of the server. An id is therefore a ULID: 48 bits of Unix time in milliseconds and
80 random bits, in Crockford's base 32, lower case.
"""

import secrets
from typing import Final

__all__ = ["ID_PATTERN", "IdSource"]

ID_PATTERN: Final = "[0-9a-z]{26}"

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS: Final = 80
_LENGTH: Final = 26


class IdSource:
    """Makes ids, each greater than the one before."""

    def __init__(self) -> None:
        self._last = 0

    def make(self, unix_time: float) -> str:
        """An id for somebody who comes in at `unix_time` (seconds); a clock that steps back does no harm."""
        number = (max(0, int(unix_time * 1000.0)) << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        if number <= self._last:
            number = self._last + 1 + secrets.randbits(_RANDOM_BITS - 16)
        self._last = number
        return _encode(number)


def _encode(number: int) -> str:
    return "".join(_ALPHABET[(number >> 5 * place) & 31] for place in reversed(range(_LENGTH)))
