"""Limits against peers that send too much. No clocks, no I/O: time is an argument."""

import ipaddress
from collections import Counter, OrderedDict

from softphone.errors import ConfigError

__all__ = ["AddressCaps", "KeyedBuckets", "TokenBucket", "address_key"]


class TokenBucket:
    """Lets `burst` events through at once and `rate` a second in the long run."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        """`rate` in events per second, `burst` in events, both above 0; else `ConfigError`."""
        if not (rate > 0 and burst > 0):
            raise ConfigError("a rate limit needs a rate and a burst above 0")
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take `amount` tokens at `now` (seconds, any epoch), or return False and take none."""
        if self._at is not None:
            # A clock that steps back gives nothing and takes nothing.
            self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now if self._at is None else max(self._at, now)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True


class KeyedBuckets:
    """A token bucket per key, with bounded memory: the key not seen for longest is forgotten."""

    def __init__(self, rate: float, burst: float, *, max_keys: int = 1024) -> None:
        TokenBucket(rate, burst)  # checks the values here rather than at the first packet
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> bool:
        """Take a token of `key` at `now` (seconds); False when it has none left."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, self._burst)
        self._buckets[key] = bucket
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return bucket.take(now)


class AddressCaps:
    """How many things may exist at once, in total and per address."""

    def __init__(self, total: int, per_address: int) -> None:
        if total < 1 or per_address < 1:
            raise ConfigError("a cap must be at least 1")
        self.total = total
        self.per_address = per_address
        self._held: Counter[str] = Counter()
        self._count = 0

    @property
    def count(self) -> int:
        """How many are held now."""
        return self._count

    def acquire(self, key: str) -> bool:
        """Hold one more for `key`, or return False when a cap is reached."""
        if self._count >= self.total or self._held[key] >= self.per_address:
            return False
        self._held[key] += 1
        self._count += 1
        return True

    def release(self, key: str) -> None:
        """Give back what `acquire` gave."""
        self._count -= 1
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]


def address_key(host: str) -> str:
    """The key under which an address is limited: IPv4 as it is, IPv6 by its /64.

    One household owns a whole /64, so single IPv6 addresses would limit nobody.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address)
