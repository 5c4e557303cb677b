"""Buckets and caps, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import ConfigError
from softphone.signaling.limits import AddressCaps, KeyedBuckets, TokenBucket, address_key


@pytest.mark.parametrize(
    ("times", "taken"),
    [
        ([0, 0, 0, 0], [True, True, True, False]),
        ([0, 0, 0, 0.4, 0.5, 0.6], [True, True, True, False, True, False]),
        ([0, 0, 0, 100, 100, 100, 100], [True, True, True, True, True, True, False]),
        ([5, 5, 5, 4, 3, 5.4, 5.5], [True, True, True, False, False, False, True]),
    ],
    ids=["burst", "refill", "never above burst", "clock steps back"],
)
def test_token_bucket(times: list[float], taken: list[bool]) -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.take(now) for now in times] == taken


@given(st.lists(st.floats(0, 10), min_size=1, max_size=200), st.floats(0.5, 20), st.integers(1, 20))
def test_bucket_never_gives_more_than_rate_and_burst(gaps: list[float], rate: float, burst: int) -> None:
    bucket = TokenBucket(rate, burst)
    now, taken = 1000.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now)
    assert taken <= burst + rate * (now - 1000.0 - gaps[0]) + 1e-6


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_senseless_limits(rate: float, burst: float) -> None:
    with pytest.raises(ConfigError):
        TokenBucket(rate, burst)
    with pytest.raises(ConfigError):
        KeyedBuckets(rate, burst)


def test_keyed_buckets_are_independent_and_bounded() -> None:
    buckets = KeyedBuckets(rate=1.0, burst=1.0, max_keys=3)
    assert buckets.take("a", 0)
    assert not buckets.take("a", 0)
    assert buckets.take("b", 0)
    for number in range(100):
        buckets.take(str(number), 0)
    assert len(buckets) == 3


def test_address_caps() -> None:
    caps = AddressCaps(total=3, per_address=2)
    assert [caps.acquire(key) for key in "aaabb"] == [True, True, False, True, False]
    assert caps.count == 3
    caps.release("a")
    assert caps.acquire("b")
    assert not caps.acquire("c")
    for key in "abb":
        caps.release(key)
    assert caps.count == 0
    assert [caps.acquire("a"), caps.acquire("a"), caps.acquire("a")] == [True, True, False]


@pytest.mark.parametrize(("total", "per_address"), [(0, 1), (1, 0)])
def test_senseless_caps(total: int, per_address: int) -> None:
    with pytest.raises(ConfigError):
        AddressCaps(total, per_address)


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_address_key(host: str, key: str) -> None:
    assert address_key(host) == key
