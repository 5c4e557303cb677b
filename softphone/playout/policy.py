"""What decides, step by step, how the playout core spends its time.

A policy sees only what a receiver can know and answers with a :class:`Decision`.
The engine masks what is impossible, so a bad policy can sound worse but never break
a call. Policies are found by name through the entry-point group
``softphone.playout_policies``; each entry is a class that takes a `PolicyConfig`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from softphone.playout.frames import Action, Source
from softphone.registry import Registry

__all__ = [
    "MAX_DELAY",
    "Arrival",
    "Decision",
    "Effort",
    "Observation",
    "PlayoutPolicy",
    "PolicyConfig",
    "default_policy",
    "playout_policies",
]


MAX_DELAY = 1.0
"""Largest delay from mouth to ear unless told otherwise, seconds. Behind long queues it is better to
hear words late than not at all: for the E-model (ITU-T G.107) half a second costs 39 R, a whole one
54, and speech that nothing restores more than 100."""


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """Limits every policy is given."""

    max_delay: float = MAX_DELAY
    """Largest mouth-to-ear delay to choose, seconds: framing, codec and network included."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet that has just come in."""

    at: float
    """Arrival, seconds."""
    timestamp: int
    """Extended RTP timestamp, 48 kHz."""
    sequence: int
    """Extended sequence number."""
    samples: int
    """Media in the packet, samples at 48 kHz."""
    relative_delay: float
    """Its transit time above the fastest packet of the last seconds, seconds, >= 0."""
    late: bool
    """Its time to be played had passed."""
    lbrr: bool
    """It holds in-band FEC for the frame before it."""
    dred_reach: float
    """How far back its DRED reaches, seconds; 0 without DRED."""
    copy_distance: float = 0.0
    """How much older the oldest frame is of which a copy came with it, seconds; 0 without copies."""


@dataclass(slots=True)
class Observation:
    """What is known at one step, before the next frame of media is spent."""

    now: float
    """When the first sample of this step will be heard, seconds."""
    frame: float
    """Length of the next frame of media, seconds."""
    sources: tuple[Source, ...]
    """What the next frame could be made of, best first; always ends with `Source.PLC`."""
    delay: float
    """Delay of the next frame if it is played now, above the fastest packet of the last
    seconds (the scale of `Arrival.relative_delay`), seconds."""
    mouth_to_ear: float
    """The same delay from mouth to ear: framing, codec and network included, seconds."""
    buffered: float
    """Media from the play position to the end of the newest packet, holes included, seconds."""
    contiguous: float
    """Media from the play position that is there without a hole, seconds."""
    gap: float | None
    """Media between the play position and the next packet held; None when nothing is held."""
    since_arrival: float
    """Time since the last packet came, seconds."""
    waited: float
    """Audio made without consuming media since the last frame played, seconds."""
    concealed: float
    """Length of the current run of concealment, seconds; 0 when speech was heard last."""
    pause: bool
    """The audio played last was a pause in the speech."""
    dtx: bool
    """The sender has announced silence (discontinuous transmission)."""
    reach: float
    """How far back the newest DRED reached, seconds; 0 when the sender uses none."""
    round_trip: float | None
    """Network round trip, seconds; None while unknown."""
    silent: bool = False
    """The next frame is missing, and DRED says that the sender was silent then."""
    lead: float = 0.0
    """How long before it will be heard the step is decided, seconds: what arrives in between is too
    late for it. Up to one block of the output."""
    recoverable: float = 0.0
    """How far `Action.RECOVER` would go back in the current run of concealment, seconds: to media
    that can be heard after all, as far as the delay allows."""

    @property
    def best(self) -> Source:
        """The best source of the next frame."""
        return self.sources[0]

    @property
    def missing(self) -> bool:
        """True when nothing of what the sender said is there for the next frame."""
        return self.sources[0].is_concealment

    @property
    def nothing_held(self) -> bool:
        """The next frame is missing, nothing after it has come, and the sender isn't silent: it may still
        be on its way."""
        return self.missing and self.gap is None and not self.dtx


class Effort(IntEnum):
    """How far `STRETCH` and `COMPRESS` may go."""

    PAUSES = 0
    """Pauses only: nobody hears it."""
    SPEECH = 1
    """Speech too, by up to 12 %, where the waveform repeats itself."""
    URGENT = 2
    """Speech by up to 20 %, and where it repeats itself but roughly: may be heard."""


class Decision(NamedTuple):
    """What to do in this step."""

    action: Action
    source: Source
    """What to make the frame of; ignored by `WAIT`, `SKIP` and `RECOVER`."""
    target_delay: float
    """Delay wanted, on the scale of `Observation.delay`, seconds; goes into the trace."""
    effort: Effort = Effort.SPEECH
    """How far `STRETCH` and `COMPRESS` may go."""


class PlayoutPolicy(ABC):
    """Base of all policies; write `decide`, and what else you need."""

    fallbacks: int = 0
    """How often, since it was made, the policy has left its decisions to another one, for example
    because its model can't be used. Count it up there, and `PlayoutStatistics.policy_fallbacks` follows."""

    def __init__(self, config: PolicyConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def start_delay(self) -> float:
        """Delay at which a stream begins to play, on the scale of `Observation.delay`, seconds."""

    @abstractmethod
    def decide(self, observation: Observation) -> Decision:
        """Choose the action for one step. Must not block, and must not keep `observation`."""

    def on_arrival(self, arrival: Arrival) -> None:  # noqa: B027 - a hook, empty on purpose
        """A packet has come in."""

    def on_repair(self, relative_delay: float) -> None:  # noqa: B027 - a hook, empty on purpose
        """A packet brought what repairs a lost frame.

        ``relative_delay`` is the delay the lost frame would have needed for the repair
        to be in time, on the scale of `Arrival.relative_delay`, seconds.
        """

    def reset(self) -> None:  # noqa: B027 - a hook, empty on purpose
        """The stream begins anew (another SSRC, a jump of the sender's clock)."""


playout_policies: Registry[type[PlayoutPolicy]] = Registry(
    "softphone.playout_policies",
    "playout policy",
    {
        "fixed": "softphone.playout.policies.fixed:FixedPolicy",
        "histogram": "softphone.playout.policies.histogram:HistogramPolicy",
    },
)
"""Every playout policy that is installed."""


@cache
def default_policy() -> str:
    """The policy for those who name none: ``onnx`` where it is installed, else ``histogram``.

    ``onnx`` itself goes over to ``histogram``, and says so, when its model can't be used.
    """
    return "onnx" if "onnx" in playout_policies.names() else "histogram"
