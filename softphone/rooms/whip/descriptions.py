"""Session descriptions and fragments of strangers, checked before anything is made of them."""

from dataclasses import dataclass

from softphone.errors import RemoteProtocolError
from softphone.webrtc.remote_description import parse_remote_description
from softphone.webrtc.sdp import DIRECTIONS, parse_session

from .errors import RequestRefusedError

__all__ = ["TrickleFragment", "check_offer", "parse_fragment"]

_MAX_CANDIDATES = 32
_MAX_FRAGMENT = 16_384


def check_offer(sdp: str, *, publishes: bool) -> str:
    """Check that an offer is for a publisher, or for a listener: one audio section, one way.

    Returns its ICE user fragment. Raises :class:`.errors.RequestRefusedError` with status 400
    for what is no usable description, and 422 for one that asks for something else.
    """
    try:
        session = parse_session(sdp)
        remote = parse_remote_description(sdp, "offer")
    except RemoteProtocolError as error:
        raise RequestRefusedError(400, str(error)) from error
    sections = [section for section in session.media if section.kind == "audio" and not section.rejected]
    if len(sections) != 1:
        raise RequestRefusedError(422, f"exactly one audio section is wanted, not {len(sections)}")
    # Bit 0 of a direction: the offerer sends, bit 1: it receives.
    wanted = 1 if publishes else 2
    if not DIRECTIONS.index(remote.audio.direction) & wanted:
        role = "publisher sends" if publishes else "listener receives"
        raise RequestRefusedError(422, f"a {role} audio; the offer is {remote.audio.direction}")
    return remote.transport.ice_ufrag


@dataclass(frozen=True, slots=True)
class TrickleFragment:
    """A fragment of type ``application/trickle-ice-sdpfrag`` (RFC 8840, section 9)."""

    ufrag: str
    """ICE user fragment; empty when not given."""
    candidates: tuple[str, ...]
    """Values of candidate attributes."""
    complete: bool
    """No more will come."""


def parse_fragment(text: str) -> TrickleFragment:
    """Read a fragment. Raises :class:`.errors.RequestRefusedError` with status 400."""
    lines = text.replace("\r\n", "\n").split("\n")
    candidates = [line[2:] for line in lines if line.startswith("a=candidate:")]
    ufrags = {line.removeprefix("a=ice-ufrag:") for line in lines if line.startswith("a=ice-ufrag:")}
    if len(text) > _MAX_FRAGMENT or len(candidates) > _MAX_CANDIDATES or len(ufrags) > 1:
        raise RequestRefusedError(400, "the fragment is too long, or has more than one user fragment")
    complete = "a=end-of-candidates" in lines
    if not candidates and not complete:
        raise RequestRefusedError(400, "the fragment has neither candidates nor their end")
    return TrickleFragment(next(iter(ufrags), ""), tuple(candidates), complete)
