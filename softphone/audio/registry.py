"""Audio back-ends by name, and the specs that choose one on the command line.

A spec is ``NAME`` or ``NAME:ARGUMENT``; what the argument means is the back-end's business:

==================  =========================================================================
``soundcard``       the system's default microphone or loudspeaker
``soundcard:USB``   the one whose name contains "USB"; a number works too
``file:a.flac``     plays the file into the call once; ``file:a.flac,loop`` for ever;
                    as a loudspeaker, writes a WAV file
``tone:440``        a sine of 440 Hz; also ``tone:ringback``, ``tone:busy``,
                    ``tone:ringing`` and ``tone:dtmf,123#``
``null``            silence, and a loudspeaker that nobody hears
==================  =========================================================================

A third party adds a back-end by an entry point in the group ``softphone.audio_backends``
that names a subclass of :class:`AudioBackend`.
"""

from softphone.audio.stream import AudioSink, AudioSource
from softphone.errors import ConfigError
from softphone.registry import Registry

__all__ = ["AudioBackend", "audio_backends", "open_sink", "open_source"]


class AudioBackend:
    """Makes sources and sinks from the argument of a spec. Override what there is."""

    def source(self, argument: str) -> AudioSource:
        """A source; `argument` is the text after the colon, empty without one.

        Raises:
            ConfigError: when it makes no sense, or there are no sources of this kind.
            DeviceError, MediaFileError: when it can't be opened.
        """
        raise ConfigError("this kind of audio can't be a microphone; choose another one")

    def sink(self, argument: str) -> AudioSink:
        """A sink; everything else as for `source`."""
        raise ConfigError("this kind of audio can't be a loudspeaker; choose another one")


audio_backends: Registry[type[AudioBackend]] = Registry(
    "softphone.audio_backends",
    "kind of audio",
    {
        "file": "softphone.audio.backends:FileBackend",
        "null": "softphone.audio.backends:NullBackend",
        "soundcard": "softphone.audio.backends:SoundCardBackend",
        "tone": "softphone.audio.backends:ToneBackend",
    },
)
"""Every audio back-end that is installed."""


def open_source(spec: str) -> AudioSource:
    """The source that `spec` names, not started yet.

    Raises:
        ConfigError: for an unknown back-end or an argument that makes no sense.
        DeviceError, MediaFileError: when it can't be opened.
    """
    name, _, argument = spec.partition(":")
    return audio_backends.load(name)().source(argument)


def open_sink(spec: str) -> AudioSink:
    """The sink that `spec` names, not started yet. Raises as `open_source` does."""
    name, _, argument = spec.partition(":")
    return audio_backends.load(name)().sink(argument)
