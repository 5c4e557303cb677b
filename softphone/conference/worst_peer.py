"""One stream for everybody: which network it is made for.

Speech is encoded once and the same packets go to all, so there is one plan for how it is
protected. The rule:

- It is made for the peer that loses most: its loss, its bursts, and what it can repair
  (DRED, in-band FEC, RED). Another one takes its place when it loses more by `MARGIN`, so
  that the plan does not swing between two. As long as nobody loses anything worth
  mentioning, everything that anybody can use is on the table.
- Congestion counts wherever it is: the longest queue among the peers is the one reported.
- Packets are as long as everybody takes them.
- One bad path must not spoil it for all: of its loss at most `MOST_LOSS` counts, since what
  loses more is out of reach anyway, and congestion takes the rate down to `LEAST_BITRATE`
  and no further.
- A peer whose reports are older than `STALE` is not considered.
"""

from dataclasses import dataclass, replace
from typing import Final

from softphone.sending import NetworkReport, SendingConfig
from softphone.webrtc import NegotiatedAudio

__all__ = ["LEAST_BITRATE", "MARGIN", "MOST_LOSS", "STALE", "WorstPeer"]

MARGIN: Final = 0.03
"""Share of packets by which another peer must lose more."""
MOST_LOSS: Final = 0.5
"""Largest share of lost packets that is planned for."""
NO_LOSS: Final = 0.01
"""Share of lost packets below which nothing needs repair."""
STALE: Final = 12.0
"""Seconds; browsers report every five."""
LEAST_BITRATE: Final = 24_000
"""Bit/s that everybody gets, however congested one path is."""
_FADE: Final = 0.3
"""Weight of a new report in the loss by which peers are compared."""


@dataclass(slots=True)
class _Known:
    agreed: NegotiatedAudio
    report: NetworkReport | None = None
    loss: float = 0.0
    shortest: float | None = None


class WorstPeer:
    """Makes one report, and one set of abilities, out of those of many peers. Sans-I/O."""

    def __init__(self) -> None:
        self._peers: dict[str, _Known] = {}
        self._worst: str | None = None
        self._last_at = float("-inf")

    @property
    def worst(self) -> str | None:
        """The peer that the stream is made for; None while nobody loses anything."""
        return self._worst

    def add(self, peer: str, agreed: NegotiatedAudio) -> None:
        """From now on we send to `peer`, or under another agreement than before."""
        known = self._peers.get(peer)
        if known is None:
            self._peers[peer] = _Known(agreed)
        else:
            known.agreed = agreed

    def remove(self, peer: str) -> None:
        """We do not send to `peer` any more."""
        self._peers.pop(peer, None)
        if self._worst == peer:
            self._worst = None
            self._choose()

    def on_report(self, peer: str, report: NetworkReport) -> NetworkReport | None:
        """Take the report of one peer; returns the one to plan by, None when there is none."""
        known = self._peers.get(peer)
        if known is None or not report.is_valid() or report.at <= self._last_at:
            return None
        self._last_at = report.at
        known.loss += (_FADE if known.report else 1.0) * (report.fraction_lost - known.loss)
        if report.round_trip is not None:
            known.shortest = min(report.round_trip, known.shortest or report.round_trip)
        known.report = report
        for other in self._peers.values():
            if other.report is not None and report.at - other.report.at > STALE:
                other.report, other.loss = None, 0.0
        self._choose()
        return self._merged(report)

    def fit(self, config: SendingConfig) -> SendingConfig:
        """The wishes of `config`, with what the peers can do."""
        if not self._peers:
            return config
        everybody = [known.agreed for known in self._peers.values()]
        audience = everybody if self._worst is None else [self._peers[self._worst].agreed]
        limits = [agreed.max_average_bitrate for agreed in everybody if agreed.max_average_bitrate]
        bitrate = min([config.bitrate, *(max(limit, LEAST_BITRATE) for limit in limits)])
        longest = min(agreed.max_ptime for agreed in everybody)
        return replace(
            config,
            bitrate=bitrate,
            frame_ms=min(config.frame_ms, longest),
            max_frame_ms=min(config.max_frame_ms, longest),
            peer_dred_ms=max(agreed.peer_dred_ms for agreed in audience),
            peer_fec=any(agreed.peer_fec for agreed in audience),
            peer_red=any(agreed.red_pt is not None for agreed in audience),
            congestion=replace(config.congestion, min_payload_bps=min(bitrate, LEAST_BITRATE)),
        )

    def _choose(self) -> None:
        losses = {peer: known.loss for peer, known in self._peers.items() if known.report is not None}
        most = max(losses, key=losses.__getitem__, default=None)
        if most is None or losses[most] < NO_LOSS:
            self._worst = None
        elif self._worst not in losses or losses[most] > losses[self._worst] + MARGIN:
            self._worst = most

    def _merged(self, newest: NetworkReport) -> NetworkReport:
        reports = [(known, known.report) for known in self._peers.values() if known.report is not None]
        loser = self._peers[self._worst].report if self._worst is not None else None
        lossy = loser or max((report for _, report in reports), key=lambda report: report.fraction_lost)
        queue = max((_queue(known, report) for known, report in reports), key=lambda queue: queue[0])
        return NetworkReport(
            at=newest.at,
            fraction_lost=min(MOST_LOSS, lossy.fraction_lost),
            mean_burst=lossy.mean_burst,
            round_trip=newest.round_trip,
            jitter=max(report.jitter for _, report in reports),
            queueing_delay=queue[0],
            delay_trend=queue[1],
            received_bps=queue[2],
        )


def _queue(known: _Known, report: NetworkReport) -> tuple[float, float, float | None]:
    """How long packets wait, how that grows, and what arrives there.

    Of a peer that does not say it, the round trip above its shortest is taken. That has the way
    back in it and comes rarely, so only half of it counts.
    """
    if report.queueing_delay is not None:
        return report.queueing_delay, report.delay_trend, report.received_bps
    if report.round_trip is None or known.shortest is None:
        return 0.0, 0.0, None
    return (report.round_trip - known.shortest) / 2, 0.0, None
