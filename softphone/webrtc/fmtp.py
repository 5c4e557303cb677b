"""Format parameters: the value of an SDP ``a=fmtp`` line (RFC 8866, section 6.15; RFC 7587, section 6.1)."""

from collections.abc import Mapping

__all__ = ["Parameters", "format_fmtp", "integer", "parse_fmtp"]

Parameters = Mapping[str, str | None]
"""Lower-case parameter names with their values as text; None for a bare word."""

MAX_PARAMETERS = 64
"""More than any codec defines; what follows is ignored."""


def parse_fmtp(value: str) -> dict[str, str | None]:
    """Split ``"minptime=10; useinbandfec=1"`` into its parameters.

    Tolerant: spaces around names, values and semicolons are stripped, names are
    case-insensitive, empty items are skipped, and of a repeated name the first
    one counts. Never raises.
    """
    parameters: dict[str, str | None] = {}
    for item in value.split(";", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, equals, text = item.partition("=")
        name = name.strip().lower()
        if name:
            parameters.setdefault(name, text.strip() if equals else None)
    return parameters


def format_fmtp(parameters: Mapping[str, str | int | None]) -> str:
    """Join parameters as ``"minptime=10;useinbandfec=1"``, in the order of the mapping."""
    return ";".join(name if value is None else f"{name}={value}" for name, value in parameters.items())


def integer(parameters: Parameters, name: str, minimum: int, maximum: int) -> int | None:
    """Read one whole number, clamped to [minimum, maximum]; None when absent or not a number.

    Negative numbers count as not a number: no parameter of Opus or RED has them.
    """
    text = parameters.get(name)
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    return max(minimum, min(maximum, int(text)))
