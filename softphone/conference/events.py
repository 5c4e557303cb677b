"""What happens in a room, as the program that joined it hears of it."""

from dataclasses import dataclass
from typing import TypeAlias

from softphone.rooms.values import Leaving, ParticipantInfo, RoomRole

__all__ = [
    "Admitted",
    "ChatLine",
    "ConferenceEvent",
    "ConferenceOver",
    "Event",
    "InLobby",
    "LobbyEntered",
    "LobbyVacated",
    "LocalTrouble",
    "MutedByModerator",
    "PairConnected",
    "PairLost",
    "PairUnverified",
    "PairVerified",
    "ParticipantCame",
    "ParticipantChanged",
    "ParticipantWent",
    "RequestRefused",
    "RoomRulesChanged",
    "SelfChanged",
    "SignalingLost",
    "SignalingRestored",
    "SpeakerChanged",
]


@dataclass(frozen=True, slots=True)
class InLobby:
    """We wait for a moderator to let us in."""

    message: str
    """From the server, perhaps empty."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """We are in the room."""

    name: str
    """Our display name, as the others see it."""
    role: RoomRole


@dataclass(frozen=True, slots=True)
class ParticipantCame:
    """Somebody is in the room, newly or already when we came."""

    person: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantChanged:
    """Somebody muted, raised a hand, records, was renamed, is away or back."""

    person: ParticipantInfo
    before: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantWent:
    """Somebody is not in the room any more."""

    person: ParticipantInfo
    reason: Leaving


@dataclass(frozen=True, slots=True)
class SelfChanged:
    """How the others see us has changed."""

    person: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ChatLine:
    """Somebody wrote a line. Text is clean of control characters, but it is text, never markup."""

    peer: str
    name: str
    text: str
    time: int
    """Unix time in seconds."""
    own: bool
    """We wrote it."""


@dataclass(frozen=True, slots=True)
class MutedByModerator:
    """A moderator turned our microphone off; we may turn it on again."""

    name: str
    """Of the moderator, perhaps empty."""


@dataclass(frozen=True, slots=True)
class RoomRulesChanged:
    """The room as it is now."""

    locked: bool
    lobby: bool


@dataclass(frozen=True, slots=True)
class LobbyEntered:
    """To moderators: somebody waits."""

    peer: str
    name: str


@dataclass(frozen=True, slots=True)
class LobbyVacated:
    """To moderators: somebody waits no longer."""

    peer: str
    name: str


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """Something we asked for was not done."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SignalingLost:
    """The connection to the room server is gone; audio goes on, and we come back by ourselves."""

    message: str
    retry_in: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class SignalingRestored:
    """We are back."""

    same: bool
    """As the participant that we were; else as a newcomer, and all connections begin anew."""


@dataclass(frozen=True, slots=True)
class PairConnected:
    """Audio flows between us and somebody, for the first time or again."""

    person: ParticipantInfo


@dataclass(frozen=True, slots=True)
class PairLost:
    """The path to somebody is dead; another one is looked for."""

    person: ParticipantInfo


@dataclass(frozen=True, slots=True)
class PairVerified:
    """The digits that both of us see; if they differ, somebody sits in between."""

    person: ParticipantInfo
    digits: str
    """Such as "4821 0937"."""


@dataclass(frozen=True, slots=True)
class PairUnverified:
    """The check of a connection failed: it may be intercepted. Nothing is sent or played over it."""

    person: ParticipantInfo
    reason: str


@dataclass(frozen=True, slots=True)
class LocalTrouble:
    """Something on this machine keeps connections from being made."""

    message: str
    """A sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class SpeakerChanged:
    """Somebody else speaks."""

    peer: str | None
    """None: whoever spoke last has left."""


@dataclass(frozen=True, slots=True)
class ConferenceOver:
    """We are out; no event follows."""

    reason: str
    """A reason of ``bye``, a code of ``error``, or "left", "device" when something is wrong here."""
    message: str
    """A sentence, perhaps empty."""


Event: TypeAlias = (
    Admitted
    | ChatLine
    | LobbyEntered
    | LobbyVacated
    | MutedByModerator
    | ParticipantCame
    | ParticipantChanged
    | ParticipantWent
    | RequestRefused
    | RoomRulesChanged
    | SelfChanged
    | SignalingRestored
)
"""What follows from a message of the server."""

ConferenceEvent: TypeAlias = (
    Event
    | InLobby
    | SignalingLost
    | PairConnected
    | PairLost
    | PairVerified
    | PairUnverified
    | LocalTrouble
    | SpeakerChanged
    | ConferenceOver
)
