"""Frames in and out of SFrame (RFC 9605, section 4.4)."""

import secrets
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidTag

from softphone.errors import ConfigError

from .errors import FrameMalformedError, FrameRefusedError, FrameReplayedError, TooManySendersError
from .header import MAX_VALUE, SframeHeader
from .keys import FrameKey, RoomKey
from .replay import ReplayWindow

__all__ = ["DecryptionState", "SframeCounters", "SframeReceiver", "SframeSender"]

MAX_KIDS = 256
"""Key identifiers accepted by one receiver. None is ever forgotten, or its frames could be replayed."""
FAILING_AFTER = 5
"""Refused frames in a row after which the key must be wrong."""

_KID_BITS = 48


class SframeSender:
    """Encrypts the frames of one stream."""

    def __init__(
        self, key: RoomKey, *, metadata: bytes = b"", kid: int | None = None, first_ctr: int = 0
    ) -> None:
        """`metadata` is authenticated, but not sent: what the receiver knows already, such as a name.

        Without `kid` a fresh one of 48 bits is drawn, as it should be: a key identifier and
        counter that were ever used with this key before betray what was said.
        """
        self._kid = secrets.randbits(_KID_BITS) if kid is None else kid
        self._next = first_ctr
        self._key = FrameKey(key, self._kid)
        self._metadata = metadata

    @property
    def kid(self) -> int:
        """The key identifier in use."""
        return self._kid

    def protect(self, payload: bytes) -> bytes:
        """Encrypt one payload.

        Raises :class:`softphone.errors.ConfigError` after 2^64 frames, where a nonce would repeat.
        """
        if self._next > MAX_VALUE:
            raise ConfigError("this SFrame sender has used up its counter; start another one")
        ctr = self._next
        self._next += 1
        header = SframeHeader(self._kid, ctr).pack()
        return header + self._key.encrypt(ctr, payload, header + self._metadata)


class DecryptionState(StrEnum):
    """What to tell the user about an incoming stream."""

    WAITING = "waiting"
    """Nothing was decrypted yet, and not enough refused to say why."""
    DECRYPTING = "decrypting"
    """The last frames were authentic."""
    FAILING = "failing"
    """Frames come and none is authentic: the other side has another passphrase, or none."""


@dataclass(slots=True)
class SframeCounters:
    """Counted since the receiver was made."""

    accepted: int = 0
    """Frames decrypted."""
    malformed: int = 0
    """Frames that are no SFrame."""
    replayed: int = 0
    """Frames seen before, or too old."""
    refused: int = 0
    """Frames that are not authentic."""
    surplus: int = 0
    """Frames under a key identifier that is one too many."""


@dataclass(slots=True)
class _Sender:
    key: FrameKey
    window: ReplayWindow


class SframeReceiver:
    """Decrypts the frames of one stream."""

    def __init__(self, key: RoomKey, *, metadata: bytes = b"") -> None:
        """`metadata`: what the sender was given, byte for byte."""
        self._room = key
        self._metadata = metadata
        self._senders: dict[int, _Sender] = {}
        self._refused_in_row = 0
        self.counters = SframeCounters()

    @property
    def state(self) -> DecryptionState:
        """How it goes; never moved by duplicates."""
        if self._refused_in_row >= FAILING_AFTER:
            return DecryptionState.FAILING
        return DecryptionState.DECRYPTING if self.counters.accepted else DecryptionState.WAITING

    def unprotect(self, frame: bytes) -> bytes:
        """Check and decrypt one frame; in any order, each once.

        Raises a :class:`.errors.SframeError` for a frame that must not be played; each is
        counted.
        """
        counters = self.counters
        try:
            header, length = SframeHeader.parse(frame)
            if len(frame) < length + self._room.suite.tag_length:
                raise FrameMalformedError("the frame is too short for its authentication tag")
        except FrameMalformedError:
            counters.malformed += 1
            self._refused_in_row += 1
            raise
        sender = self._senders.get(header.kid)
        if sender is not None and not sender.window.accepts(header.ctr):
            counters.replayed += 1
            raise FrameReplayedError("the frame was received before")
        new = sender is None
        sender = sender or _Sender(FrameKey(self._room, header.kid), ReplayWindow())
        try:
            payload = sender.key.decrypt(header.ctr, frame[length:], frame[:length] + self._metadata)
        except InvalidTag:
            counters.refused += 1
            self._refused_in_row += 1
            raise FrameRefusedError("the frame can't be decrypted with the passphrase of this room") from None
        if new:
            if len(self._senders) >= MAX_KIDS:
                counters.surplus += 1
                raise TooManySendersError(f"more than {MAX_KIDS} key identifiers on one stream")
            self._senders[header.kid] = sender
        sender.window.add(header.ctr)
        counters.accepted += 1
        self._refused_in_row = 0
        return payload
