"""The same packets once more, with nothing but concealment against loss."""

from collections.abc import Iterable

import numpy as np

from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.demo.collector import LoggedPacket
from softphone.playout import Decision, Observation, PlayoutConfig, PlayoutEngine, Source
from softphone.playout.policies.histogram import HistogramPolicy
from softphone.playout.policy import PolicyConfig
from softphone.rtp.packet import RtpPacket

__all__ = ["ConcealOnlyPolicy", "play_with_concealment_only"]

_TICK = 480


class ConcealOnlyPolicy(HistogramPolicy):
    """The adaptive baseline for a phone that knows of no redundancy."""

    def on_repair(self, relative_delay: float) -> None:
        """Knows of no repairs."""

    def decide(self, observation: Observation) -> Decision:
        """As the baseline, but what did not come itself is concealed."""
        if observation.best is not Source.REGULAR:
            observation.sources = (Source.PLC,)
        return super().decide(observation)._replace(source=observation.best)


def play_with_concealment_only(
    packets: Iterable[LoggedPacket], config: PlayoutConfig, start: float, seconds: float
) -> Pcm:
    """What ``packets`` would have sounded like without LBRR, DRED and RED.

    Plays from ``start`` (the clock of the arrivals) for ``seconds``.
    """
    engine = PlayoutEngine(config, ConcealOnlyPolicy(PolicyConfig(max_delay=config.max_delay)))
    waiting = sorted(packets, key=lambda packet: packet.at, reverse=True)
    heard = []
    for number in range(round(seconds * SAMPLE_RATE / _TICK)):
        now = start + number * _TICK / SAMPLE_RATE
        while waiting and waiting[-1].at <= now:
            packet = waiting.pop()
            engine.insert(
                RtpPacket(packet.payload_type, packet.sequence, packet.timestamp, 1, packet.payload),
                packet.at,
            )
        heard.append(engine.pull(now, _TICK))
    return np.concatenate(heard) if heard else np.zeros(0, np.float32)
