"""Small parts of RTCP that sender and receiver share (RFC 3550, section 6)."""

import random
import time

from aiortc.rtp import RtcpSdesPacket, RtcpSourceInfo

__all__ = ["NtpClock", "report_interval", "source_description"]

REPORT_INTERVAL = 1.0
"""Seconds between our reports; the planner of the peer needs them often."""

_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""
_SDES_CNAME = 1


class NtpClock:
    """Wall-clock time that runs evenly: set once, then carried by ``time.monotonic``."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic() + _NTP_EPOCH

    def timestamp(self, now: float) -> int:
        """64-bit NTP timestamp of a ``time.monotonic`` value in seconds."""
        return int((now + self._offset) * 2**32) & 0xFFFF_FFFF_FFFF_FFFF


def report_interval() -> float:
    """Seconds until the next report, spread so that peers don't fall into step (RFC 3550, section 6.3.1)."""
    return REPORT_INTERVAL * random.uniform(0.8, 1.2)


def source_description(ssrc: int, cname: str) -> bytes:
    """SDES packet with the canonical name, which belongs into every compound packet."""
    return bytes(RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=ssrc, items=[(_SDES_CNAME, cname.encode())])]))
