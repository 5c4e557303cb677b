"""Which sound devices there are, and which one is meant by a name or a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from softphone.audio.portaudio import portaudio
from softphone.errors import DeviceError

__all__ = ["DeviceInfo", "Direction", "choose_device", "find_device", "list_devices"]

Direction: TypeAlias = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One device as PortAudio describes it."""

    index: int
    """PortAudio's number, >= 0; another one after devices came or went."""
    name: str
    """Name as the operating system gives it."""
    host_api: str
    """The sound system it belongs to, such as ALSA, Core Audio or Windows WASAPI."""
    inputs: int
    """Channels it can record, >= 0."""
    outputs: int
    """Channels it can play, >= 0."""
    sample_rate: float
    """The rate it prefers, Hz."""
    default_input: bool = False
    """The system's default microphone."""
    default_output: bool = False
    """The system's default loudspeaker."""

    def fits(self, direction: Direction) -> bool:
        """Whether it can record, or play."""
        return (self.inputs if direction == "input" else self.outputs) > 0

    def is_default(self, direction: Direction) -> bool:
        """Whether it is the system's default microphone, or loudspeaker."""
        return self.default_input if direction == "input" else self.default_output


def list_devices(*, rescan: bool = False) -> list[DeviceInfo]:
    """All devices; with `rescan` those too that came after PortAudio had started.

    Raises:
        DeviceError: when PortAudio isn't installed or doesn't answer.
    """
    with portaudio.locked() as sounddevice:
        if rescan:
            portaudio.restart()
        try:
            apis = sounddevice.query_hostapis()
            devices = list(sounddevice.query_devices())
            default_input, default_output = sounddevice.default.device
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"can't list the sound devices: {error}") from error
    return [
        DeviceInfo(
            index=index,
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            inputs=device["max_input_channels"],
            outputs=device["max_output_channels"],
            sample_rate=device["default_samplerate"],
            default_input=index == default_input,
            default_output=index == default_output,
        )
        for index, device in enumerate(devices)
    ]


def choose_device(
    devices: Sequence[DeviceInfo], wanted: str | int | None, direction: Direction
) -> DeviceInfo:
    """The device meant by `wanted`.

    Args:
        devices: what there is.
        wanted: a number from the list; a name or a part of one, in upper or lower case,
            that fits one device only (a whole name wins over a part, the default sound
            system over others); None or "" for the system's default.
        direction: "input" for a microphone, "output" for a loudspeaker.

    Raises:
        DeviceError: when none fits, or more than one; it names the candidates.
    """
    fitting = [device for device in devices if device.fits(direction)]
    kind = "microphone" if direction == "input" else "loudspeaker"
    if not fitting:
        raise DeviceError(
            f"there is no {kind}; plug one in, or choose another kind of audio such as file or null"
        )
    if wanted is None or wanted == "":
        return next((device for device in fitting if device.is_default(direction)), fitting[0])
    if isinstance(wanted, int) or wanted.isdecimal():
        for device in fitting:
            if device.index == int(wanted):
                return device
        raise DeviceError(f"there is no {kind} number {wanted}; choose one of: {_names(fitting)}")
    text = wanted.casefold()
    found = [device for device in fitting if device.name.casefold() == text]
    if not found:
        found = [device for device in fitting if text in f"{device.name}, {device.host_api}".casefold()]
    if len(found) > 1:
        # The same card shows once under each sound system of Windows.
        api = next((device.host_api for device in fitting if device.is_default(direction)), None)
        same = [device for device in found if device.host_api == api]
        if len(same) == 1:
            found = same
    if not found:
        raise DeviceError(f"there is no {kind} {wanted!r}; choose one of: {_names(fitting)}")
    if len(found) > 1:
        raise DeviceError(f"{wanted!r} fits more than one {kind}; choose one of: {_names(found)}")
    return found[0]


def find_device(wanted: str | int | None, direction: Direction) -> DeviceInfo:
    """`choose_device` among the devices of this machine, after a rescan if need be.

    Raises:
        DeviceError: as `choose_device` and `list_devices`.
    """
    with portaudio.locked():
        try:
            return choose_device(list_devices(), wanted, direction)
        except DeviceError:
            if not portaudio.restart():
                raise
            return choose_device(list_devices(), wanted, direction)


def _names(devices: Sequence[DeviceInfo]) -> str:
    return ", ".join(f"{device.index} {device.name}" for device in devices)
