"""The messages of the signalling protocol: JSON objects, one per WebSocket text frame.

Each message type is a frozen dataclass whose fields carry their own checks. A
`Vocabulary` is the set of types that one kind of conversation uses; `DIRECT_CALL`
is that of a call between two phones. ``docs/signaling.md`` is the specification.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final, NoReturn

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.signaling import wire
from softphone.signaling.errors import MessageTooLargeError, VersionMismatchError
from softphone.signaling.record import read_record, write_record
from softphone.signaling.states import EndReason
from softphone.signaling.text import MAX_NAME, MAX_SENTENCE
from softphone.signaling.wire import Capabilities, carried

__all__ = [
    "DIRECT_CALL",
    "MAX_MESSAGE_BYTES",
    "NONCE_BYTES",
    "RESUME_BYTES",
    "VERSIONS",
    "Answer",
    "Busy",
    "Bye",
    "Decline",
    "Error",
    "Hello",
    "Invite",
    "Message",
    "Reanswer",
    "Reoffer",
    "Restart",
    "RingingNotice",
    "SasCommit",
    "SasReveal",
    "Vocabulary",
    "Welcome",
    "choose_version",
    "encode",
]

VERSIONS: Final = (1,)
"""Versions of the protocol spoken here, in ascending order."""

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""Most bytes of one message as UTF-8."""

NONCE_BYTES: Final = 32
"""Length of the nonces and commitments (SHA-256) of the short authentication string."""

RESUME_BYTES: Final = 32
"""Length of the token by which a caller is known again."""

MAX_SESSIONS: Final = 1_000
"""Sessions of the media of one call."""


def _nothing() -> Capabilities:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Base of every message."""

    TYPE: ClassVar[str]
    """The value of the JSON member ``type``."""
    IGNORES_UNKNOWN_FIELDS: ClassVar[bool] = False
    """True only for what is said before both ends know their common version."""
    MAX_BYTES: ClassVar[int] = MAX_MESSAGE_BYTES
    """Most bytes of a message of this type, as UTF-8."""

    def check(self) -> None:
        """Called on arrival; raises `RemoteProtocolError` for members that do not fit together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Message):
    """First message of the end that opened the connection."""

    TYPE: ClassVar[str] = "hello"
    IGNORES_UNKNOWN_FIELDS: ClassVar[bool] = True

    versions: tuple[int, ...] = field(metadata=carried(wire.version_numbers, list))
    """Every version the sender speaks."""
    name: str = field(default="", metadata=carried(wire.sentence(MAX_NAME)))
    """Display name, chosen by the sender and proven by nothing; may be empty."""
    capabilities: Capabilities = field(default_factory=_nothing, metadata=carried(wire.capabilities, dict))
    token: str = field(default="", metadata=carried(wire.secret))
    """What the listener asks for before it lets anybody ring."""
    resumable: bool = field(default=False, metadata=carried(wire.boolean))
    """The sender can go on with a call over another connection, and takes a token for that."""
    resume: bytes = field(default=b"", metadata=carried(wire.hexadecimal(RESUME_BYTES), bytes.hex))
    """The token of the call to go on with; no invitation follows."""

    def __repr__(self) -> str:
        return f"Hello(versions={self.versions}, name={self.name!r})"  # the tokens stay out of logs


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome(Message):
    """Reply to `Hello`: the version that both speak from here on."""

    TYPE: ClassVar[str] = "welcome"

    version: int = field(metadata=carried(wire.version_number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite(Message):
    """The caller wants to talk."""

    TYPE: ClassVar[str] = "invite"

    sdp: str = field(metadata=carried(wire.sdp))
    """Complete offer (RFC 8866), candidates included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingingNotice(Message):
    """The callee's phone rings."""

    TYPE: ClassVar[str] = "ringing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Message):
    """The callee picked up."""

    TYPE: ClassVar[str] = "answer"

    sdp: str = field(metadata=carried(wire.sdp))
    """Complete answer (RFC 8866), candidates included."""
    name: str = field(default="", metadata=carried(wire.sentence(MAX_NAME)))
    """Display name of the callee, who says nothing about itself before."""
    capabilities: Capabilities = field(default_factory=_nothing, metadata=carried(wire.capabilities, dict))
    resume: bytes = field(
        default=b"", repr=False, metadata=carried(wire.hexadecimal(RESUME_BYTES), bytes.hex)
    )
    """For `Hello.resume`, should the connection be lost; only for a caller that is `resumable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline(Message):
    """The callee does not want to talk."""

    TYPE: ClassVar[str] = "decline"

    message: str = field(default="", metadata=carried(wire.sentence(MAX_SENTENCE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy(Message):
    """The callee is in a call, or too many calls wait already."""

    TYPE: ClassVar[str] = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye(Message):
    """Either end leaves; nothing follows."""

    TYPE: ClassVar[str] = "bye"

    reason: EndReason = field(
        default=EndReason.HUNG_UP,
        metadata=carried(wire.choice((EndReason.HUNG_UP, EndReason.TIMEOUT)), str),
    )
    message: str = field(default="", metadata=carried(wire.sentence(MAX_SENTENCE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Message):
    """The receiver of this did something wrong; nothing follows."""

    TYPE: ClassVar[str] = "error"

    code: str = field(metadata=carried(wire.code))
    """For programs; an unknown code is to be taken as "bad-message"."""
    message: str = field(default="", metadata=carried(wire.sentence(MAX_SENTENCE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SasCommit(Message):
    """A promise about the nonce that will follow in `SasReveal`."""

    TYPE: ClassVar[str] = "sas-commit"

    commitment: bytes = field(metadata=carried(wire.hexadecimal(NONCE_BYTES), bytes.hex))


@dataclass(frozen=True, slots=True, kw_only=True)
class SasReveal(Message):
    """The nonce, sent only once the other end's commitment has arrived."""

    TYPE: ClassVar[str] = "sas-reveal"

    nonce: bytes = field(metadata=carried(wire.hexadecimal(NONCE_BYTES), bytes.hex))


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart(Message):
    """The callee can't hear the caller any more and asks for a `Reoffer`."""

    TYPE: ClassVar[str] = "restart"

    session: int = field(default=0, metadata=carried(wire.integer(0, MAX_SESSIONS)))
    """Of the media: the present one for another path, a greater one for a new session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reoffer(Message):
    """The caller offers another path for the media (RFC 8445, section 9)."""

    TYPE: ClassVar[str] = "reoffer"

    sdp: str = field(metadata=carried(wire.sdp))
    """Complete offer, candidates included."""
    session: int = field(default=0, metadata=carried(wire.integer(0, MAX_SESSIONS)))
    """Of the media, as in `Restart`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reanswer(Message):
    """The callee's reply to `Reoffer`."""

    TYPE: ClassVar[str] = "reanswer"

    sdp: str = field(metadata=carried(wire.sdp))
    """Complete answer, candidates included."""
    session: int = field(default=0, metadata=carried(wire.integer(0, MAX_SESSIONS)))
    """Of the media, as in `Restart`."""


def _no_constant(name: str) -> NoReturn:
    raise RemoteProtocolError(f"{name} is no JSON number")


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RemoteProtocolError("a member is there twice")
    return members


class Vocabulary:
    """The message types of one kind of conversation."""

    def __init__(self, *kinds: type[Message]) -> None:
        self.kinds = MappingProxyType({kind.TYPE: kind for kind in kinds})
        self.max_bytes = max(kind.MAX_BYTES for kind in kinds)
        """Most bytes that any message may have."""

    def parse(self, text: str) -> Message:
        """Read one message.

        Raises `RemoteProtocolError` for anything that is not exactly a message of
        this vocabulary, and its subclass `MessageTooLargeError` beyond its size.
        """
        size = len(text) if len(text) > self.max_bytes else len(text.encode("utf-8", "replace"))
        _check_size(size, self.max_bytes)
        try:
            members = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        except RemoteProtocolError:
            raise
        # ValueError: malformed, or an integer of thousands of digits. RecursionError: nested too deep.
        except (ValueError, RecursionError) as error:
            raise RemoteProtocolError("not JSON") from error
        if not isinstance(members, dict):
            raise RemoteProtocolError("a message is a JSON object")
        kind = members.pop("type", None)
        known = self.kinds.get(kind) if isinstance(kind, str) else None
        if known is None:
            raise RemoteProtocolError("unknown message type")
        _check_size(size, known.MAX_BYTES)
        message = read_record(known, members, known.TYPE, lenient=known.IGNORES_UNKNOWN_FIELDS)
        message.check()
        return message


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise MessageTooLargeError(f"a message has at most {limit} bytes")


def encode(message: Message) -> str:
    """Write one message as JSON.

    Raises `ConfigError` when the message would not be accepted by `Vocabulary.parse`
    on the other side, so that a mistake of ours shows here.
    """
    try:
        members = {"type": message.TYPE, **write_record(message)}
        text = json.dumps(members, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        Vocabulary(type(message)).parse(text)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"can't send this {message.TYPE} message: {error}") from error
    return text


def choose_version(offered: Sequence[int]) -> int:
    """The highest version that is in `offered` and in `VERSIONS`.

    Raises `VersionMismatchError` when there is none.
    """
    common = set(offered) & set(VERSIONS)
    if not common:
        raise VersionMismatchError(
            f"this phone speaks version {', '.join(map(str, VERSIONS))} of the protocol"
        )
    return max(common)


DIRECT_CALL: Final = Vocabulary(
    Hello,
    Welcome,
    Invite,
    RingingNotice,
    Answer,
    Decline,
    Busy,
    Bye,
    Error,
    SasCommit,
    SasReveal,
    Restart,
    Reoffer,
    Reanswer,
)
"""What two phones say to each other."""
