"""What is known of a room while one is in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from softphone.conference.levels import SILENCE
from softphone.conference.pair import PairState
from softphone.playout import Source
from softphone.rooms.values import ParticipantInfo
from softphone.sending import RedundancyPlan, SendingStatistics

__all__ = ["ConferenceStatistics", "ParticipantStatistics"]


@dataclass(frozen=True, slots=True)
class ParticipantStatistics:
    """A snapshot of one participant. Times in seconds, counts since the participant was first heard."""

    person: ParticipantInfo
    """As the room knows it."""
    state: PairState = PairState.NONE
    """Of the connection between us."""
    level: float = SILENCE
    """How loud it is at this moment, dBov."""
    speaking: bool = False
    """It is the active speaker."""
    volume: float = 1.0
    """How loud we play it."""
    asleep: bool = False
    """It is silent, and nothing is decoded."""
    verification: str | None = None
    """The digits to compare; None while they are not known."""
    suspicious: bool = False
    """The check of the connection failed."""
    frames: Mapping[Source, int] = field(default_factory=dict)
    """Frames of 20 ms that were played, by what they were made of."""
    packets_lost: int = 0
    """Of the present connection."""
    fraction_lost: float = 0.0
    """Share of its latest packets (20 s at most) that did not arrive, 0..1."""
    remote_fraction_lost: float | None = None
    """Share of our packets that did not reach it, from its last report; None before the first."""
    round_trip: float | None = None
    """From its last report; None before."""
    delay: float | None = None
    """From mouth to ear at this moment, without sound cards; None while nothing is played."""

    @property
    def repaired_share(self) -> float | None:
        """Share of the missing frames that redundancy brought back, 0..1; None when none was missing."""
        repaired = sum(self.frames.get(source, 0) for source in (Source.RED, Source.LBRR, Source.DRED))
        missing = repaired + self.frames.get(Source.PLC, 0)
        return repaired / missing if missing else None


@dataclass(frozen=True, slots=True)
class ConferenceStatistics:
    """A snapshot of the whole. Times in seconds."""

    duration: float = 0.0
    """Since we were let in; 0 before."""
    participants: tuple[ParticipantStatistics, ...] = ()
    """Everybody but ourselves, in the order of coming in."""
    level: float = SILENCE
    """Our own level, dBov."""
    muted: bool = False
    """Our microphone is off."""
    signaling_lost: bool = False
    """We are about to come back to the room server."""
    plan: RedundancyPlan | None = None
    """How our speech is protected now; None before the first packet."""
    worst_peer: str | None = None
    """Id of the participant for whose network that is; None while nobody loses any."""
    sending: SendingStatistics = field(default_factory=SendingStatistics)
    """What was encoded, once for all."""
    warnings: tuple[str, ...] = ()
    """What is wrong with microphone or loudspeaker at this moment, in sentences."""
