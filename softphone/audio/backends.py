"""The audio back-ends that come with softphone; see :mod:`softphone.audio.registry`."""

from softphone.audio.device import SoundCardSink, SoundCardSource
from softphone.audio.files import FileSink, FileSource
from softphone.audio.null import NullSink, NullSource
from softphone.audio.registry import AudioBackend
from softphone.audio.stream import AudioSink, AudioSource
from softphone.audio.tone import BUSY, RINGBACK, RINGING, ToneSource, dtmf, sine
from softphone.errors import ConfigError

__all__ = ["FileBackend", "NullBackend", "SoundCardBackend", "ToneBackend"]

LOOP_SUFFIX = ",loop"
DTMF_PREFIX = "dtmf,"


class SoundCardBackend(AudioBackend):
    """``soundcard[:DEVICE]``: PortAudio; DEVICE is a number, a name or a part of one."""

    def source(self, argument: str) -> AudioSource:
        return SoundCardSource(argument or None)

    def sink(self, argument: str) -> AudioSink:
        return SoundCardSink(argument or None)


class FileBackend(AudioBackend):
    """``file:PATH[,loop]``."""

    def source(self, argument: str) -> AudioSource:
        path = argument.removesuffix(LOOP_SUFFIX)
        return FileSource(_path(path), loop=path != argument)

    def sink(self, argument: str) -> AudioSink:
        return FileSink(_path(argument))


class ToneBackend(AudioBackend):
    """``tone:FREQUENCY``, ``tone:ringback|busy|ringing`` or ``tone:dtmf,DIGITS``."""

    def source(self, argument: str) -> AudioSource:
        named = {"ringback": RINGBACK, "busy": BUSY, "ringing": RINGING}
        if argument in named:
            return ToneSource(named[argument])
        if argument.startswith(DTMF_PREFIX):
            return ToneSource(dtmf(argument.removeprefix(DTMF_PREFIX)))
        try:
            frequency = float(argument or "440")
        except ValueError:
            choices = ", ".join(named)
            raise ConfigError(
                f"there is no tone {argument!r}; give a frequency in Hz, dtmf,DIGITS or one of: {choices}"
            ) from None
        return ToneSource(sine(frequency))


class NullBackend(AudioBackend):
    """``null``."""

    def source(self, argument: str) -> AudioSource:
        return NullSource()

    def sink(self, argument: str) -> AudioSink:
        return NullSink()


def _path(argument: str) -> str:
    if not argument:
        raise ConfigError("file needs a path, such as file:speech.wav")
    return argument
