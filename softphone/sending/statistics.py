"""What was sent, and how much of it twice."""

from dataclasses import dataclass

__all__ = ["SendingStatistics"]


@dataclass(slots=True)
class SendingStatistics:
    """Cumulative counts of a sending pipeline. Bytes are RTP payload, without headers."""

    frames_encoded: int = 0
    """Opus packets made."""
    packets_sent: int = 0
    """Payloads handed out."""
    packets_suppressed: int = 0
    """Opus packets of silence that DTX kept back."""
    seconds: float = 0.0
    """Media time encoded, silence that was kept back included."""
    payload_bytes: int = 0
    """All bytes of the payloads."""
    dred_bytes: int = 0
    """DRED extensions with their padding headers; exact."""
    lbrr_bytes: int = 0
    """LBRR; an estimate from measured means, since its bits have no visible boundary."""
    red_bytes: int = 0
    """RED headers and copies (with whatever redundancy the copies hold); exact."""
    muted_frames: int = 0
    """Opus packets made while muted."""
    gaps: int = 0
    """Breaks in the captured audio that were bridged by a jump of the timestamp."""
    rate_state: str = "steady"
    """What the congestion control is about: steady, backing off, holding or probing."""
    backoffs: int = 0
    """Times the rate was lowered because of congestion."""
    probes: int = 0
    """Steps by which the rate was raised again."""
    probes_failed: int = 0
    """Steps that met congestion and were taken back."""
    limited_seconds: float = 0.0
    """Media time encoded while congestion kept the rate below what is allowed."""

    @property
    def redundancy_bytes(self) -> int:
        """Bytes that say something a second time."""
        return self.dred_bytes + self.lbrr_bytes + self.red_bytes

    @property
    def media_bytes(self) -> int:
        """Bytes that say something for the first time."""
        return self.payload_bytes - self.redundancy_bytes

    @property
    def total_bps(self) -> float:
        """Mean rate of all payload bytes in bit/s; 0 before the first packet."""
        return 8.0 * self.payload_bytes / self.seconds if self.seconds else 0.0

    @property
    def media_bps(self) -> float:
        """Mean rate of the bytes that aren't redundancy in bit/s; 0 before the first packet."""
        return 8.0 * self.media_bytes / self.seconds if self.seconds else 0.0
