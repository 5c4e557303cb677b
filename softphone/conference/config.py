"""The settings of a phone in a room."""

from dataclasses import dataclass, field
from pathlib import Path

from softphone.conference.worst_peer import LEAST_BITRATE
from softphone.errors import ConfigError
from softphone.playout import MAX_DELAY, PlayoutConfig, default_policy, playout_policies
from softphone.recording import recorders
from softphone.rooms.trust import ServerTrust
from softphone.sending import MODES, SendingConfig
from softphone.webrtc import IceConfig, IceServer

__all__ = ["ConferenceConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceConfig:
    """Settings. Raises :class:`ConfigError` when a value is out of range or a name unknown."""

    name: str = ""
    """Display name; the room may add a number to it. An invitation may bring another one."""
    source: str = "soundcard"
    """Microphone, as :mod:`softphone.audio.registry` reads it."""
    sink: str = "soundcard"
    """Loudspeaker, in the same form."""
    bitrate: int = 48_000
    """Of all payload bytes sent to each participant, redundancy included, bit/s."""
    redundancy: str = "auto"
    """How speech is protected against loss: a name in :data:`softphone.sending.MODES`."""
    policy: str = field(default_factory=default_policy)
    """Name of the playout policy, the same for every participant."""
    max_delay: float = MAX_DELAY
    """Largest mouth-to-ear delay that the policy may choose, seconds."""
    addresses: tuple[str, ...] | None = None
    """Local addresses for media; None: all but loopback, or loopback when there is nothing else."""
    ports: tuple[int, int] | None = None
    """First and last UDP port for media; None: any."""
    servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers, beside those that the room server names."""
    relay_only: bool = False
    """Hide our addresses behind a TURN server, even if the room server does not ask for it."""
    trust: ServerTrust = field(default_factory=ServerTrust)
    """Whether the certificate of the room server is believed."""
    passphrase: str = field(default="", repr=False)
    """Encrypts speech from end to end in rooms on a media server; empty: it is not."""
    muted: bool = False
    """Come in with the microphone off."""
    record: Path | None = None
    """The room is recorded into a folder of its own below this one; the others see that."""
    recorder: str = "files"
    """What records: a name in :data:`softphone.recording.recorders`."""
    sending: SendingConfig = field(init=False)
    """The settings of what is sent, in one."""
    playout: PlayoutConfig = field(init=False)
    """The settings of what is played, in one."""

    def __post_init__(self) -> None:
        if self.redundancy not in MODES:
            raise ConfigError(
                f"there is no redundancy mode {self.redundancy!r}; choose one of: {', '.join(MODES)}"
            )
        if not 0.03 <= self.max_delay <= 10.0:
            raise ConfigError(f"the largest delay must be 30 to 10000 ms, not {self.max_delay * 1000:g}")
        if self.bitrate < LEAST_BITRATE:
            raise ConfigError(f"in a room the bitrate must be at least {LEAST_BITRATE}, not {self.bitrate}")
        playout_policies.load(self.policy)
        recorders.load(self.recorder)
        IceConfig(self.addresses, self.ports, self.servers)
        # Who is silent costs the others nothing, so silence is not sent.
        sending = SendingConfig(bitrate=self.bitrate, mode=self.redundancy, dtx=True)
        object.__setattr__(self, "sending", sending)
        object.__setattr__(self, "playout", PlayoutConfig(policy=self.policy, max_delay=self.max_delay))
