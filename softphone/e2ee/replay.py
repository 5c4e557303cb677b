"""Which counters of one sender were seen already."""

__all__ = ["ReplayWindow"]


class ReplayWindow:
    """Remembers the newest counter and those shortly before it (as in RFC 4303, section 3.4.3)."""

    def __init__(self, size: int = 1024) -> None:
        """`size`: how far behind the newest a counter may be; 1024 frames of 20 ms are 20 s."""
        self._size = size
        self._newest = -1
        self._seen = 0
        """Bit k: the counter k before the newest."""

    def accepts(self, counter: int) -> bool:
        """Tell whether the counter is new. Changes nothing: the frame may yet prove to be forged."""
        behind = self._newest - counter
        return behind < 0 or (behind < self._size and not self._seen >> behind & 1)

    def add(self, counter: int) -> None:
        """Note a counter that was accepted and whose frame was authentic."""
        ahead = counter - self._newest
        if ahead > 0:
            self._newest = counter
            # A shift by more than the window would make an enormous number first.
            kept = self._seen << ahead if ahead < self._size else 0
            self._seen = (kept | 1) & ((1 << self._size) - 1)
        else:
            self._seen |= 1 << -ahead
