"""Playout policies by name, those in the `plugins` folder of a checkout included."""

import sys
from pathlib import Path

from softphone.playout import PlayoutPolicy, PolicyConfig, playout_policies

__all__ = ["load_policy", "make_known"]

_PLUGINS = Path(__file__).parents[2] / "plugins"
_IN_CHECKOUT = {"onnx": ("onnx_playout", "softphone_onnx_playout.policy:OnnxPolicy")}


def make_known(name: str) -> None:
    """Let ``name`` be found in a checkout as it is in an installation."""
    if name in _IN_CHECKOUT and name not in playout_policies.names():
        folder, place = _IN_CHECKOUT[name]
        sys.path.append(str(_PLUGINS / folder))
        playout_policies.add(name, place)


def load_policy(name: str, max_delay: float) -> PlayoutPolicy:
    """A policy with the limit ``max_delay`` (mouth to ear, seconds).

    Raises :class:`softphone.errors.ConfigError` when there is none of that name.
    """
    make_known(name)
    return playout_policies.load(name)(PolicyConfig(max_delay=max_delay))
