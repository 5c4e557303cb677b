"""Named network profiles, and profiles written as short strings."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from softphone.errors import ConfigError
from softphone.sim.profile import (
    CrossTraffic,
    GilbertElliott,
    Handovers,
    JitterDistribution,
    MarkovLoss,
    NetworkProfile,
    Outage,
    OutageMode,
    PeriodicOutage,
    Stalls,
)
from softphone.sim.trace import PacketTrace

__all__ = ["parse_profile", "profile_names", "register_profile"]

_GAMMA = JitterDistribution.GAMMA
_PARETO = JitterDistribution.PARETO

_PROFILES: dict[str, NetworkProfile] = {}


def register_profile(name: str, profile: NetworkProfile) -> None:
    """Make ``profile`` known as ``name``; :class:`ConfigError` when the name is taken or unusable."""
    if not name or set(name) & set("=,") or name != name.strip():
        raise ConfigError(
            f"a network profile can't be called {name!r}; leave out commas, '=' and outer spaces"
        )
    if name in _PROFILES:
        raise ConfigError(f"there is a network profile {name!r} already")
    _PROFILES[name] = profile


def profile_names() -> list[str]:
    """Names that `parse_profile` knows, sorted."""
    return sorted(_PROFILES)


def _bursty(loss: float, burst: float) -> NetworkProfile:
    return NetworkProfile(
        delay=0.04, jitter=0.003, jitter_distribution=_GAMMA, loss_model=GilbertElliott.from_mean(loss, burst)
    )


for _name, _profile in {
    "perfect": NetworkProfile(),
    "lan": NetworkProfile(delay=0.001, jitter=0.0002, jitter_distribution=_GAMMA),
    "clean": NetworkProfile(delay=0.03, jitter=0.001, jitter_distribution=_GAMMA),
    "wifi": NetworkProfile(
        delay=0.03,
        jitter=0.006,
        jitter_distribution=_GAMMA,
        jitter_correlation=0.5,
        loss_model=GilbertElliott.from_mean(0.005, 2),
        stalls=Stalls(interval=10, shortest=0.06, longest=0.15),
    ),
    "wifi-busy": NetworkProfile(
        delay=0.035,
        jitter=0.02,
        jitter_distribution=_PARETO,
        jitter_correlation=0.6,
        loss_model=GilbertElliott.from_mean(0.03, 3),
        stalls=Stalls(interval=4, shortest=0.1, longest=0.35),
    ),
    "lte": NetworkProfile(
        delay=0.045,
        jitter=0.01,
        jitter_distribution=_GAMMA,
        jitter_correlation=0.7,
        loss_model=GilbertElliott.from_mean(0.005, 3),
        handovers=Handovers(interval=25, outage=0.08, step=0.03),
    ),
    "3g": NetworkProfile(
        delay=0.09,
        jitter=0.03,
        jitter_distribution=_GAMMA,
        jitter_correlation=0.8,
        loss_model=GilbertElliott.from_mean(0.02, 4),
        stalls=Stalls(interval=8, shortest=0.2, longest=0.8),
    ),
    "satellite": NetworkProfile(
        delay=0.28, jitter=0.01, jitter_distribution=_GAMMA, loss_model=GilbertElliott.from_mean(0.01, 5)
    ),
    "congested": NetworkProfile(
        delay=0.03,
        jitter=0.002,
        jitter_distribution=_GAMMA,
        rate=1_000_000,
        queue=0.3,
        cross_traffic=CrossTraffic(rate=1_200_000, on=2.0, off=2.0),
    ),
    "bufferbloat": NetworkProfile(
        delay=0.03, rate=2_000_000, queue=1.5, cross_traffic=CrossTraffic(rate=2_600_000, on=4.0, off=6.0)
    ),
    "bottleneck": NetworkProfile(delay=0.04, rate=40_000, queue=0.3),
    "bottleneck-varying": NetworkProfile(
        delay=0.04,
        rate=80_000,
        queue=0.3,
        timeline=(
            (10.0, NetworkProfile(delay=0.04, rate=32_000, queue=0.3)),
            (25.0, NetworkProfile(delay=0.04, rate=80_000, queue=0.3)),
        ),
    ),
    "bursty20": _bursty(0.20, 3),
    "bursty30": _bursty(0.30, 6),
    "bursty50": _bursty(0.50, 8),
    "random5": NetworkProfile(delay=0.04, jitter=0.003, jitter_distribution=_GAMMA, loss=0.05),
    "random10": NetworkProfile(delay=0.04, jitter=0.003, jitter_distribution=_GAMMA, loss=0.10),
    "random20": NetworkProfile(delay=0.04, jitter=0.003, jitter_distribution=_GAMMA, loss=0.20),
    "markov": NetworkProfile(
        delay=0.04,
        jitter=0.003,
        jitter_distribution=_GAMMA,
        loss_model=MarkovLoss.three_state(burst_rate=0.01, burst=5, gap_rate=0.01, gap=100, gap_loss=0.1),
    ),
    "jitter80": NetworkProfile(
        delay=0.06, jitter=0.04, jitter_distribution=JitterDistribution.UNIFORM, keep_order=False
    ),
    "spikes": NetworkProfile(
        delay=0.03,
        jitter=0.005,
        jitter_distribution=_GAMMA,
        stalls=Stalls(interval=3.75, shortest=0.15, longest=0.35),
    ),
    "outage400": NetworkProfile(delay=0.04, periodic_outage=PeriodicOutage(period=5.0, length=0.4)),
    "handover": NetworkProfile(
        delay=0.04,
        jitter=0.005,
        jitter_distribution=_GAMMA,
        handovers=Handovers(interval=6, outage=0.25, step=0.12),
    ),
}.items():
    register_profile(_name, _profile)


def parse_profile(text: str) -> NetworkProfile:
    """Read "bursty20", "loss=20,burst=3,delay=40,jitter=10" or "lte,loss=5".

    A profile's name may come first; the settings change it. Times are milliseconds and
    shares per cent where nothing else is said:

    delay, jitter, dist (normal|uniform|gamma|pareto), corr (0..1), order (yes|no),
    loss and burst (mean burst in packets; without burst losses are independent),
    ge=P:R[:GOOD[:BAD]] (Gilbert-Elliott), reorder, gap (ms a packet is held back), dup,
    rate (kbit/s), queue, cross=RATE:ON:OFF (kbit/s, seconds on and off),
    outage=START:LENGTH[:hold] (seconds, ms), period=EVERY:LENGTH[:hold] (seconds, ms),
    stalls=EVERY:SHORTEST:LONGEST and handover=EVERY:OUTAGE:STEP (seconds, ms, ms),
    drift (ms per second), trace=FILE.

    Raises :class:`ConfigError` that names the setting and what it takes.
    """
    settings = [part.strip() for part in text.split(",") if part.strip()]
    profile = NetworkProfile()
    if settings and "=" not in settings[0]:
        name = settings.pop(0)
        if name not in _PROFILES:
            raise ConfigError(
                f"no network profile is called {name!r}; there are {', '.join(profile_names())}"
            )
        profile = _PROFILES[name]
    changes: dict[str, Any] = {}
    burst: float | None = None
    outages = profile.outages
    for setting in settings:
        key, separator, value = (part.strip() for part in setting.partition("="))
        if not separator or key not in _READERS:
            raise ConfigError(f"{setting!r} is no network setting; there are {', '.join(_READERS)}")
        if key == "burst":
            burst = _number(key, value)
        elif key == "outage":
            outages = (*outages, _outage(value))
        else:
            changes.update(_READERS[key](value))
    if burst is not None:
        if "loss" not in changes:
            raise ConfigError("burst= needs loss= too: the share of packets lost in bursts")
        changes |= {"loss": 0.0, "loss_model": GilbertElliott.from_mean(changes["loss"], burst)}
    elif "loss" in changes:
        # "bursty20,loss=5" asks for 5 %, not for 5 % more.
        changes.setdefault("loss_model", None)
    return replace(profile, outages=outages, **changes)


def _number(key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{key}= takes a number, not {value!r}") from None


def _numbers(key: str, value: str, names: str, least: int) -> list[float]:
    parts = value.split(":")
    if not least <= len(parts) <= len(names.split(":")):
        raise ConfigError(f"{key}= takes {names}, not {value!r}")
    return [_number(key, part) for part in parts]


def _failure(key: str, value: str, names: str) -> tuple[float, float, OutageMode]:
    parts = value.split(":")
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in set(OutageMode)):
        raise ConfigError(f"{key}= takes {names}:LENGTH[:hold] (seconds, ms), not {value!r}")
    mode = OutageMode(parts[2]) if len(parts) == 3 else OutageMode.DROP
    return _number(key, parts[0]), _number(key, parts[1]) / 1000, mode


def _outage(value: str) -> Outage:
    return Outage(*_failure("outage", value, "START"))


def _scaled(key: str, field: str, scale: float) -> Callable[[str], dict[str, Any]]:
    return lambda value: {field: _number(key, value) * scale}


def _distribution(value: str) -> dict[str, Any]:
    if value not in set(JitterDistribution):
        raise ConfigError(f"dist= takes {', '.join(JitterDistribution)}, not {value!r}")
    return {"jitter_distribution": JitterDistribution(value)}


def _order(value: str) -> dict[str, Any]:
    if value not in ("yes", "no"):
        raise ConfigError(f"order= takes yes or no, not {value!r}")
    return {"keep_order": value == "yes"}


def _gilbert_elliott(value: str) -> dict[str, Any]:
    shares = [number / 100 for number in _numbers("ge", value, "P:R:GOOD:BAD", 2)]
    return {"loss_model": GilbertElliott(*shares)}


def _cross(value: str) -> dict[str, Any]:
    rate, on, off = _numbers("cross", value, "RATE:ON:OFF", 3)
    return {"cross_traffic": CrossTraffic(rate * 1000, on, off)}


def _stalls(value: str) -> dict[str, Any]:
    interval, shortest, longest = _numbers("stalls", value, "EVERY:SHORTEST:LONGEST", 3)
    return {"stalls": Stalls(interval, shortest / 1000, longest / 1000)}


def _handovers(value: str) -> dict[str, Any]:
    interval, outage, step = _numbers("handover", value, "EVERY:OUTAGE:STEP", 3)
    return {"handovers": Handovers(interval, outage / 1000, step / 1000)}


_READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "delay": _scaled("delay", "delay", 0.001),
    "jitter": _scaled("jitter", "jitter", 0.001),
    "dist": _distribution,
    "corr": _scaled("corr", "jitter_correlation", 1.0),
    "order": _order,
    "loss": _scaled("loss", "loss", 0.01),
    "burst": lambda value: {},
    "ge": _gilbert_elliott,
    "reorder": _scaled("reorder", "reorder", 0.01),
    "gap": _scaled("gap", "reorder_delay", 0.001),
    "dup": _scaled("dup", "duplicate", 0.01),
    "rate": _scaled("rate", "rate", 1000.0),
    "queue": _scaled("queue", "queue", 0.001),
    "cross": _cross,
    "outage": lambda value: {},
    "period": lambda value: {"periodic_outage": PeriodicOutage(*_failure("period", value, "EVERY"))},
    "stalls": _stalls,
    "handover": _handovers,
    "drift": _scaled("drift", "drift", 0.001),
    "trace": lambda value: {"trace": PacketTrace.load(value)},
}
