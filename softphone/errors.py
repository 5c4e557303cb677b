"""The two families of errors: what the local user can mend, and what the peer did.

Everything softphone raises on purpose derives from :class:`SoftphoneError`.
:class:`LocalError` and its kin carry a sentence that says what to do about it.
:class:`RemoteError` and its kin never reach the local user's code as a crash:
whoever touches bytes from the network catches them, counts them and goes on.
"""

__all__ = [
    "ConfigError",
    "DeviceError",
    "LocalError",
    "MediaFileError",
    "PeerUnreachableError",
    "RemoteError",
    "RemoteProtocolError",
    "SoftphoneError",
]


class SoftphoneError(Exception):
    """Base class of every error raised on purpose by softphone."""


class LocalError(SoftphoneError):
    """Something on this machine must be changed; the message says what."""


class ConfigError(LocalError, ValueError):
    """A setting, flag or argument is out of range or contradicts another."""


class DeviceError(LocalError):
    """A sound device is missing, busy or broken."""


class MediaFileError(LocalError):
    """A file with audio, a trace or a recording can't be read or written."""


class RemoteError(SoftphoneError):
    """The peer, or the network between, did something wrong."""


class RemoteProtocolError(RemoteError, ValueError):
    """Bytes or messages from the peer break the protocol they claim to speak."""


class PeerUnreachableError(RemoteError):
    """The peer can't be reached, or is there no more."""
