"""A voice endpoint that keeps a conversation whole on a network that loses a third of its packets.

The handful of names that most programs need::

    from softphone import Phone, PhoneConfig

    phone = Phone(PhoneConfig(name="Alice"))
    call = await phone.call("192.0.2.7#k7d2-m9xq-4tzn")

Everything else is in the packages below. Names are loaded when they are first used.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softphone.call import Call
    from softphone.errors import LocalError, RemoteError, SoftphoneError
    from softphone.phone import Phone, PhoneConfig
    from softphone.signaling import CallTarget, ListenConfig

__all__ = [
    "Call",
    "CallTarget",
    "ListenConfig",
    "LocalError",
    "Phone",
    "PhoneConfig",
    "RemoteError",
    "SoftphoneError",
]

__version__: str

_HOMES = {
    "Call": "softphone.call",
    "CallTarget": "softphone.signaling",
    "ListenConfig": "softphone.signaling",
    "LocalError": "softphone.errors",
    "Phone": "softphone.phone",
    "PhoneConfig": "softphone.phone",
    "RemoteError": "softphone.errors",
    "SoftphoneError": "softphone.errors",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        try:
            return metadata.version("softphone")
        except metadata.PackageNotFoundError:  # a checkout that isn't installed
            return "0+unknown"
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
