import importlib
from typing import Any

import pytest

from softphone.audio.devices import DeviceInfo, Direction, choose_device
from softphone.audio.portaudio import PortAudio
from softphone.errors import DeviceError


def device(index: int, name: str, api: str = "ALSA", ins: int = 0, outs: int = 0, **more: bool) -> DeviceInfo:
    return DeviceInfo(index, name, api, ins, outs, 48_000.0, **more)


DEVICES = [
    device(0, "HDA Intel PCH", ins=2, outs=2),
    device(1, "USB Headset", ins=1, outs=2, default_input=True),
    device(2, "USB Camera", ins=1),
    device(3, "HDMI 0", outs=8, default_output=True),
    device(4, "HDMI 0 deep", outs=8),
    device(5, "Speaker", "MME", outs=2),
    device(6, "Speaker", outs=2),
]


@pytest.mark.parametrize(
    ("wanted", "direction", "index"),
    [
        (None, "input", 1),
        ("", "output", 3),
        (0, "input", 0),
        ("3", "output", 3),
        ("intel", "input", 0),
        ("HEADSET", "output", 1),
        ("camera", "input", 2),
        ("usb", "output", 1),  # the camera has no loudspeaker
        ("hdmi 0", "output", 3),  # the whole name wins over a part
        ("deep", "output", 4),
        ("speaker", "output", 6),  # the default's sound system wins
        ("speaker, mme", "output", 5),
    ],
)
def test_finds_the_one_that_is_meant(wanted: str | int | None, direction: Direction, index: int) -> None:
    assert choose_device(DEVICES, wanted, direction).index == index


@pytest.mark.parametrize(
    ("wanted", "direction", "named"),
    [
        ("usb", "input", ["1 USB Headset", "2 USB Camera"]),
        ("hdmi", "output", ["3 HDMI 0", "4 HDMI 0 deep"]),
        ("bluetooth", "input", ["0 HDA Intel PCH", "1 USB Headset", "2 USB Camera"]),
        (2, "output", ["3 HDMI 0"]),
        ("99", "input", ["0 HDA Intel PCH"]),
        (-1, "input", ["0 HDA Intel PCH"]),
    ],
)
def test_names_the_candidates_otherwise(wanted: str | int, direction: Direction, named: list[str]) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device(DEVICES, wanted, direction)
    for name in named:
        assert name in str(caught.value)


def test_says_when_there_is_none_at_all() -> None:
    with pytest.raises(DeviceError, match="no microphone"):
        choose_device([device(0, "HDMI", outs=2)], None, "input")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError("PortAudio library not found"), "apt install libportaudio2"),
        (ModuleNotFoundError("No module named 'sounddevice'"), "pip install sounddevice"),
    ],
)
def test_without_portaudio_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str
) -> None:
    original = importlib.import_module

    def import_module(name: str, package: str | None = None) -> Any:
        if name == "sounddevice":
            raise error
        return original(name, package)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(DeviceError, match=advice), PortAudio().locked():
        pytest.fail("there is no PortAudio")
