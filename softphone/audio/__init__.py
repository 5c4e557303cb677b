"""Where speech comes from and where it goes: sound cards, files, tones, nothing.

Everything here runs on threads of its own and speaks through the interface of
:mod:`softphone.audio.stream`; :mod:`softphone.audio.registry` opens it by name.
"""

from softphone.audio.registry import AudioBackend, audio_backends, open_sink, open_source
from softphone.audio.stream import FRAME_SAMPLES, SAMPLE_RATE, AudioSink, AudioSource, Deliver, Pcm, Render

__all__ = [
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "AudioBackend",
    "AudioSink",
    "AudioSource",
    "Deliver",
    "Pcm",
    "Render",
    "audio_backends",
    "open_sink",
    "open_source",
]
