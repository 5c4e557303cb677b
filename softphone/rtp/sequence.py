"""Unwrapping of RTP sequence numbers and timestamps to integers that never wrap."""

__all__ = ["MAX_DROPOUT", "SequenceUnwrapper", "signed_difference"]

MAX_DROPOUT = 3_000
"""Longest gap in packets taken for loss; a longer one is a restart (RFC 3550, A.1)."""

_DEFAULT_MAX_STEP = {16: MAX_DROPOUT, 32: 60 * 48_000}


def signed_difference(a: int, b: int, bits: int) -> int:
    """Shortest way from ``b`` to ``a`` on a circle of ``2**bits`` values.

    In ``(-2**(bits-1), 2**(bits-1)]``: the point exactly opposite counts as ahead.
    """
    size = 1 << bits
    difference = (a - b) % size
    return difference - size if difference > size >> 1 else difference


class SequenceUnwrapper:
    """Maps wrapping numbers to extended ones, the nearest to what was seen last.

    The first value is its own extension; what precedes it by reordering may become
    negative. A step longer than ``max_step`` is answered with the nearest extension too,
    but is believed (moves the reference) only when the next value lies close to it.
    So a lone forged or corrupted packet can't push the stream into another cycle, while a
    source that really restarted is followed from its second packet on.
    """

    def __init__(self, bits: int = 16, *, max_step: int | None = None) -> None:
        """``bits`` is 16 (sequence numbers) or 32 (timestamps).

        ``max_step`` is the longest step believed at once, in either direction: by default
        `MAX_DROPOUT` packets or a minute at 48 kHz.
        Raises ValueError for other widths.
        """
        if bits not in _DEFAULT_MAX_STEP:
            raise ValueError(f"bits must be 16 or 32, not {bits}")
        self._bits = bits
        self._mask = (1 << bits) - 1
        self._max_step = _DEFAULT_MAX_STEP[bits] if max_step is None else max_step
        self._reference: int | None = None
        self._doubtful: int | None = None

    @property
    def last(self) -> int | None:
        """Extended value the next one is compared with; None before the first."""
        return self._reference

    def peek(self, value: int) -> int:
        """Extension of ``value`` without taking note of it."""
        value &= self._mask
        if self._reference is None:
            return value
        return self._reference + signed_difference(value, self._reference & self._mask, self._bits)

    def unwrap(self, value: int) -> int:
        """Extension of ``value``; bits above the width are ignored."""
        extended = self.peek(value)
        if self._reference is None or abs(extended - self._reference) <= self._max_step:
            believed = True
        elif self._doubtful is None:
            believed = False
        else:
            step = signed_difference(extended & self._mask, self._doubtful & self._mask, self._bits)
            believed = abs(step) <= self._max_step
        if believed:
            self._reference = extended
        self._doubtful = None if believed else extended
        return extended

    def reset(self) -> None:
        """Forget everything; the next value is a first one."""
        self._reference = None
        self._doubtful = None
