"""The simulate command: files in, files out, errors in one sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
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


def simulated(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Numbers of 24 s of speech sent with mode auto."""
    clip, report = tmp_path / "long.wav", tmp_path / "o.json"
    pcm, rate = soundfile.read(SAMPLE)
    soundfile.write(clip, np.tile(pcm, 2)[: 24 * rate], rate)
    assert main(["simulate", str(clip), *arguments, "--json", str(report), "-q"]) == 0
    values = json.loads(report.read_text())
    assert isinstance(values, dict)
    return values


@pytest.mark.parametrize("reports", ["softphone", "browser"])
def test_auto_backs_off_at_a_bottleneck(tmp_path: Path, reports: str) -> None:
    network = ("--network", "rate=40,queue=300,delay=40", "--reports", reports)
    stubborn = simulated(tmp_path, *network, "--no-back-off")
    careful = simulated(tmp_path, *network, "--report", str(tmp_path / "page"))
    assert stubborn["packets"]["lost"] > 0.3 * stubborn["packets"]["sent"]
    assert careful["packets"]["lost"] < 0.5 * stubborn["packets"]["lost"]
    assert careful["delay_ms"]["mean"] < stubborn["delay_ms"]["mean"] - 50
    assert careful["bitrate_bps"]["total"] < 40_000 < stubborn["bitrate_bps"]["total"]
    assert {"steady", "backing off", "holding"} <= {plan["rate_state"] for plan in careful["plans"]}
    assert {plan["rate_state"] for plan in stubborn["plans"]} == {"steady"}
    assert any("a queue of" in plan["reason"] for plan in careful["plans"])
    assert (tmp_path / "page" / "timeline.png").is_file()


def test_auto_adds_redundancy_for_loss_without_a_bottleneck(tmp_path: Path) -> None:
    clean = simulated(tmp_path, "--network", "delay=40")
    lossy = simulated(tmp_path, "--network", "delay=40,loss=20,burst=2")
    assert not clean["plans"][-1]["dred_reach_ms"]
    assert not clean["plans"][-1]["inband_fec"]
    assert lossy["plans"][-1]["dred_reach_ms"] > 50
    assert {plan["rate_state"] for plan in lossy["plans"]} == {"steady"}
    assert lossy["bitrate_bps"]["total"] < 48_000


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
