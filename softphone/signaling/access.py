"""Who may ring: anybody, holders of a token, or whoever was given a one-time secret."""

import hmac
import secrets
from typing import Final

from softphone.errors import ConfigError

__all__ = ["MIN_TOKEN", "AccessPolicy"]

MIN_TOKEN: Final = 8
"""Fewest characters of a token that the user chooses."""

_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""Letters and digits that nobody confuses when reading them aloud."""


def _new_secret() -> str:
    # Three groups of four of 31 symbols: 59 bits, guessed online only and at a limited rate.
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3))


class AccessPolicy:
    """Decides over the token in a caller's hello."""

    def __init__(self, token: str = "", *, one_time: bool = False) -> None:
        """Anybody without `token`; a fresh secret for every answered call with `one_time`.

        Raises `ConfigError` for a token that is too short or holds what can't be typed.
        """
        if token and one_time:
            raise ConfigError("a token is not one-time")
        if token and (
            len(token) < MIN_TOKEN or len(token) > 128 or not token.isascii() or not token.isprintable()
        ):
            raise ConfigError(f"a token has {MIN_TOKEN} to 128 printable ASCII characters")
        self.one_time = one_time
        self.secret = _new_secret() if one_time else token
        """What callers must present now; empty when anybody may ring."""

    def admits(self, token: str) -> bool:
        """True when `token` is good enough. Takes the same time for every wrong token."""
        if not self.secret:
            return True
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.secret.encode())

    def spend(self) -> None:
        """An answered call uses a one-time secret up."""
        if self.one_time:
            self.secret = _new_secret()
