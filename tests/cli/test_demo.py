"""The demo: a real call between two processes, and its report."""

import json
from pathlib import Path

import pytest
import soundfile

from softphone.cli.main import main


def test_demo_call_over_a_lossy_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "call"
    arguments = ["demo", "--seconds", "6", "--network", "loss=20,burst=2,delay=30", "--policy", "fixed"]
    assert main([*arguments, "--max-delay", "250", "-o", str(folder)]) == 0
    values = json.loads((folder / "summary.json").read_text())
    packets, frames = values["packets"], values["frames"]
    assert packets["sent"] == 300
    assert 0.1 < packets["lost"] / packets["sent"] < 0.35
    repaired = frames["red"] + frames["lbrr"] + frames["dred"]
    assert repaired > 0.5 * (repaired + frames["plc"] + frames["cng"])
    # Mouth to ear as measured between the two processes.
    assert 180.0 < values["delay_ms"]["mean"] < 330.0
    for name in ("sent.wav", "heard.wav", "plc_only.wav"):
        assert 5.9 < soundfile.info(folder / name).duration < 7.0
    assert (folder / "timeline.png").stat().st_size > 20_000
    assert "heard.wav" in (folder / "index.html").read_text()
    output = capsys.readouterr()
    assert "missing frames repaired" in output.out
    assert "What was sent, and why" in output.out
    first, *others = values["plans"]
    assert first["reason"] == "the network isn't known yet"
    assert 0.0 <= first["at_s"] < 0.2
    assert all("loss" in change["reason"] or "known" in change["reason"] for change in others)
    assert "Traceback" not in output.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "no-such.wav"], "no-such.wav"),
        (["--network", "loss=many"], "loss"),
        (["--policy", "psychic"], "psychic"),
        (["--seconds", "-1"], "--seconds"),
    ],
)
def test_errors_come_before_the_call(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["demo", *arguments, "-o", str(tmp_path / "call")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "call").exists()
