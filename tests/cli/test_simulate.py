"""The simulate command: files in, files out, errors in one sentence."""

import json
from pathlib import Path

import pytest
import soundfile

from softphone.cli.main import main
from softphone.data import sample_speech

SAMPLE = str(sample_speech())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    pcm, rate = soundfile.read(SAMPLE, frames=3 * 48_000)
    path = tmp_path / "clip.wav"
    soundfile.write(path, pcm, rate)
    return path


def test_writes_what_the_schema_says(clip: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    rows = [f"{k},{20 * k},{'' if k % 5 == 2 else 20 * k + 30}" for k in range(100)]
    trace.write_text("seq,send_ms,arrival_ms\n" + "\n".join(rows) + "\n")
    wav, report, page = tmp_path / "o.wav", tmp_path / "o.json", tmp_path / "page"
    arguments = ["simulate", str(clip), "--trace", str(trace), "--bitrate", "48000", "--policy", "fixed"]
    arguments += ["--max-delay", "160", "--redundancy", "both", "-o", str(wav), "--json", str(report)]
    assert main([*arguments, "--report", str(page), "-q"]) == 0
    values = json.loads(report.read_text())
    assert set(values["frames"]) == {"regular", "red", "lbrr", "dred", "plc", "cng"}
    assert set(values["packets"]) == {"sent", "lost", "late", "discarded", "duplicated"}
    assert set(values["delay_ms"]) == {"mean", "p50", "p95", "p99", "max"}
    assert set(values["jitter_buffer_ms"]) == {"mean", "p95"}
    assert set(values["interruptions_150ms"]) == {"count", "total_ms"}
    assert set(values["time_stretch_ms"]) == {"inserted", "removed"}
    assert set(values["bitrate_bps"]) == {"total", "media"}
    assert values["packets"] == {"sent": 150, "lost": 30, "late": 0, "discarded": 0, "duplicated": 0}
    assert values["frames"]["lbrr"] + values["frames"]["dred"] > 24
    assert values["delay_ms"]["mean"] == pytest.approx(156.5)
    assert 0.0 < values["real_time_factor"] < 1.0
    info = soundfile.info(wav)
    assert (info.samplerate, info.channels) == (48_000, 1)
    assert (page / "index.html").is_file()
    first = wav.read_bytes()
    assert main([*arguments, "-q"]) == 0
    assert wav.read_bytes() == first


def test_prints_a_table(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(clip), "--network", "bursty20"]) == 0
    assert "missing frames repaired" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such.wav"], "no-such.wav"),
        ([SAMPLE, "--trace", "no-such.csv"], "no-such.csv"),
        ([SAMPLE, "--trace", __file__], "no column"),
        ([SAMPLE, "--network", "marsnet"], "marsnet"),
        ([SAMPLE, "--policy", "psychic"], "psychic"),
        ([SAMPLE, "--bitrate", "100"], "bitrate"),
        ([SAMPLE, "--max-delay", "1"], "--max-delay"),
        ([__file__], "test_simulate.py"),
    ],
)
def test_errors_are_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *arguments, "-q"]) == 1
    error = capsys.readouterr().err.strip()
    assert words in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1
