from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
import soundfile

import softphone.registry
from softphone.audio.device import SoundCardSink, SoundCardSource
from softphone.audio.files import FileSink, FileSource
from softphone.audio.null import NullSink, NullSource
from softphone.audio.registry import AudioBackend, audio_backends, open_sink, open_source
from softphone.audio.stream import AudioSource
from softphone.audio.tone import ToneSource
from softphone.errors import ConfigError, MediaFileError


class WhisperBackend(AudioBackend):
    """What a third party would write."""

    def source(self, argument: str) -> AudioSource:
        assert argument == "soft:ly"
        return NullSource()


def test_specs_open_what_they_name(tmp_path: Path) -> None:
    path = tmp_path / "a,b.wav"
    soundfile.write(path, np.zeros(960), 48_000)
    for spec, kind in [
        ("null", NullSource),
        ("tone:440", ToneSource),
        ("tone", ToneSource),
        ("tone:ringback", ToneSource),
        ("tone:dtmf,12#", ToneSource),
        (f"file:{path}", FileSource),
        (f"file:{path},loop", FileSource),
        ("soundcard", SoundCardSource),
        ("soundcard:USB", SoundCardSource),
    ]:
        source = open_source(spec)
        assert type(source) is kind
        source.stop()
    for spec, sink_kind in [
        ("null", NullSink),
        (f"file:{tmp_path / 'out.wav'}", FileSink),
        ("soundcard:3", SoundCardSink),
    ]:
        sink = open_sink(spec)
        assert type(sink) is sink_kind
        sink.stop()


@pytest.mark.parametrize("spec", ["", "gramophone", "tone:loud", "tone:-3", "tone:dtmf,x", "file:", "file"])
def test_senseless_specs_are_refused(spec: str) -> None:
    with pytest.raises(ConfigError):
        open_source(spec)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="file, null, soundcard, tone"):
        open_sink("gramophone:x")


def test_a_tone_is_no_loudspeaker() -> None:
    with pytest.raises(ConfigError, match="loudspeaker"):
        open_sink("tone:440")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(MediaFileError, match=r"nowhere\.wav"):
        open_source("file:nowhere.wav")


def test_third_parties_add_back_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("whisper", f"{__name__}:WhisperBackend", "softphone.audio_backends")
    monkeypatch.setattr(EntryPoint, "load", lambda self: WhisperBackend)
    monkeypatch.setattr(softphone.registry, "entry_points", lambda group: EntryPoints([point]))
    assert "whisper" in audio_backends.names()
    assert isinstance(open_source("whisper:soft:ly"), NullSource)
    with pytest.raises(ConfigError):
        open_sink("whisper")
