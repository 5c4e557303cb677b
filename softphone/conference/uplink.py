"""Our speech on its way to a media server: encrypted, and protected for listeners who can't report.

A media server ends RTCP: its reports tell how packets reach the server, not how they
reach anybody. So every report is made worse by a loss assumed on the way from there.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from softphone.e2ee import SframeSender
from softphone.rtp.packet import RtpPayload
from softphone.sending import NetworkReport
from softphone.webrtc import AudioSender

__all__ = ["ASSUMED_BURST", "ASSUMED_LOSS", "Uplink"]

ASSUMED_LOSS: Final = 0.1
"""Share of packets that somebody may lose behind the server: enough for half a second of DRED."""
ASSUMED_BURST: Final = 3.0
"""Mean length of the runs in which that happens, in packets."""


class Uplink:
    """Stands where an `AudioSender` would."""

    def __init__(self, sender: AudioSender, cipher: SframeSender | None, now: Callable[[], float]) -> None:
        """`now`: the clock of the reports, seconds."""
        self._sender = sender
        self._cipher = cipher
        self._now = now

    @property
    def on_report(self) -> Callable[[NetworkReport], None] | None:
        """Called with what there is to plan for."""
        return self._sender.on_report

    @on_report.setter
    def on_report(self, callback: Callable[[NetworkReport], None] | None) -> None:
        if callback is None:
            self._sender.on_report = None
            return
        self._sender.on_report = lambda report: callback(_assuming(report))
        callback(_assuming(NetworkReport(at=self._now(), fraction_lost=0.0)))

    def send(self, payload: RtpPayload) -> bool:
        """Send one payload, as `AudioSender.send` does."""
        if self._cipher is not None:
            payload = replace(payload, payload=self._cipher.protect(payload.payload))
        return self._sender.send(payload)


def _assuming(report: NetworkReport) -> NetworkReport:
    lost = 1.0 - (1.0 - report.fraction_lost) * (1.0 - ASSUMED_LOSS)
    return replace(report, fraction_lost=lost, mean_burst=max(report.mean_burst or 1.0, ASSUMED_BURST))
