"""What one side of a call can do, exchanged in signalling next to the SDP.

SDP alone isn't enough: a server in the middle may answer with a few parameters of
its own and drop the rest, while it forwards the packets unharmed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from softphone import opus
from softphone.errors import RemoteProtocolError

__all__ = ["DRED_MAX_MS", "DRED_VERSION", "Capabilities"]

DRED_VERSION = 12
"""Experimental version of the DRED bitstream in libopus 1.6; another version can't be decoded."""

DRED_MAX_MS = 1040
"""Most DRED that libopus puts into one packet, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Abilities of one endpoint. The defaults are those of a peer we know nothing about."""

    dred_version: int = 0
    """Version of the DRED bitstream that can be decoded; 0: none."""
    dred_ms: int = 0
    """How far back DRED can be used, in milliseconds, 0..1040."""
    red: bool = False
    """Whether RED (RFC 2198) with Opus inside is understood."""
    inband_fec: bool = False
    """Whether the decoder uses Opus in-band FEC (LBRR)."""
    loss_reports: bool = False
    """Whether the application-layer loss reports of :mod:`softphone.rtp.reports` are understood."""
    ice_restart: bool = False
    """Whether ICE can be restarted in the middle of a call."""
    new_session: bool = False
    """Whether a new session can be begun below a direct call."""
    agent: str = ""
    """Name and version of the program, for logs; at most 64 characters."""

    @classmethod
    def local(cls, *, agent: str = "softphone") -> "Capabilities":
        """Abilities of this installation; DRED only when the linked libopus has it."""
        dred = opus.capabilities().dred
        return cls(
            dred_version=DRED_VERSION if dred else 0,
            dred_ms=DRED_MAX_MS if dred else 0,
            red=True,
            inband_fec=True,
            loss_reports=True,
            ice_restart=True,
            new_session=True,
            agent=agent,
        )

    def to_json(self) -> dict[str, bool | int | str]:
        """Return an object of plain JSON types, for a signalling message."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> "Capabilities":
        """Read what a peer sent: unknown keys are ignored, missing ones default, numbers are clamped.

        Raises :class:`softphone.errors.RemoteProtocolError` when a value has the wrong type.
        """
        if not isinstance(value, Mapping):
            raise RemoteProtocolError("the peer's capabilities are not a JSON object")
        return cls(
            dred_version=_number(value, "dred_version", 255),
            dred_ms=_number(value, "dred_ms", DRED_MAX_MS),
            red=_flag(value, "red"),
            inband_fec=_flag(value, "inband_fec"),
            loss_reports=_flag(value, "loss_reports"),
            ice_restart=_flag(value, "ice_restart"),
            new_session=_flag(value, "new_session"),
            agent=_text(value, "agent", 64),
        )


def _number(value: Mapping[object, object], name: str, maximum: int) -> int:
    number = value.get(name, 0)
    if not isinstance(number, int) or isinstance(number, bool):
        raise RemoteProtocolError(f"capability {name!r} is not a whole number")
    return max(0, min(maximum, number))


def _flag(value: Mapping[object, object], name: str) -> bool:
    flag = value.get(name, False)
    if not isinstance(flag, bool):
        raise RemoteProtocolError(f"capability {name!r} is neither true nor false")
    return flag


def _text(value: Mapping[object, object], name: str, limit: int) -> str:
    text = value.get(name, "")
    if not isinstance(text, str):
        raise RemoteProtocolError(f"capability {name!r} is not text")
    return "".join(c for c in text[:limit] if c.isprintable())
