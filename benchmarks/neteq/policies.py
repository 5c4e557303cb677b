"""Playout policies by name, those in the `plugins` folder of a checkout included."""

import sys
from importlib import import_module
from pathlib import Path

from softphone.playout import PlayoutPolicy, PolicyConfig, playout_policies

__all__ = ["load_policy"]

_PLUGINS = Path(__file__).parents[2] / "plugins"
_IN_CHECKOUT = {"onnx": ("onnx_playout", "softphone_onnx_playout.policy", "OnnxPolicy")}


def load_policy(name: str, max_delay: float) -> PlayoutPolicy:
    """A policy with the limit ``max_delay`` (mouth to ear, seconds).

    Raises :class:`softphone.errors.ConfigError` when there is none of that name.
    """
    config = PolicyConfig(max_delay=max_delay)
    if name not in playout_policies.names() and name in _IN_CHECKOUT:
        folder, module, attribute = _IN_CHECKOUT[name]
        if str(_PLUGINS / folder) not in sys.path:
            sys.path.append(str(_PLUGINS / folder))
        policy: PlayoutPolicy = getattr(import_module(module), attribute)(config)
        return policy
    return playout_policies.load(name)(config)
