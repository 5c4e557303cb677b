"""The private names of aiortc and aioice, on the installed, the oldest and the newest supported release."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from softphone.webrtc import seam
from softphone.webrtc.seam import SEAM, SeamName, missing_names

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "softphone" / "webrtc"

CALL = """
import asyncio, sys
import aiortc, aioice
from softphone.webrtc.seam import missing_names
from softphone.rtp import RtpPayload
from softphone.webrtc import IceConfig, Peer, PeerConfig

async def main():
    config = PeerConfig(ice=IceConfig(addresses=("127.0.0.1",)))
    caller, callee = Peer(config), Peer(config)
    got = []
    callee.receiver.on_packet = lambda packet, arrival: got.append(packet.payload)
    answer = await callee.accept_offer(await caller.create_offer())
    await caller.accept_answer(answer)
    await asyncio.gather(caller.wait_connected(10), callee.wait_connected(10))
    sent = [bytes([k]) for k in range(20)]
    for k, payload in enumerate(sent):
        caller.sender.send(RtpPayload(111, k * 960, payload))
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)
    assert got == sent, got
    assert callee.statistics() and caller.statistics()
    await caller.close()
    await asyncio.sleep(0.1)
    assert callee.state == "closed", callee.state

missing = missing_names()
assert not missing, missing
asyncio.run(main())
print(aiortc.__version__, aiortc.__file__, aioice.__file__)
"""


def supported_aiortc() -> str:
    """Return the version specifier of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (requirement,) = [r for r in project["dependencies"] if re.match(r"aiortc\b", r)]
    return requirement.removeprefix("aiortc")


def lowest(specifier: str) -> str:
    match = re.search(r">=\s*([0-9.]+)", specifier)
    assert match, "the oldest supported aiortc must be stated"
    return match[1]


def test_the_installed_release_has_every_name() -> None:
    assert missing_names() == []


@pytest.mark.parametrize(
    "name",
    [
        SeamName("aiortc.rtcdtlstransport", "RTCDtlsTransport._gone", None, "test"),
        SeamName("aiortc.rtcdtlstransport", "RTCDtlsTransport._send_rtp", ("datagram",), "test"),
        SeamName("aiortc.rtcdtlstransport", "Gone.method", (), "test"),
    ],
)
def test_a_change_would_be_noticed(name: SeamName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "SEAM", (name,))
    assert len(missing_names()) == 1


def test_every_private_name_in_use_is_listed() -> None:
    """No module touches an underscore name of an object of aiortc or aioice that the table lacks."""
    listed = {name.path.rpartition(".")[2] for name in SEAM}
    foreign = re.compile(
        r"\b(?:transport|dtls|gatherer|iceGatherer|router|recipient|super\(\)|receiver)\.(_[A-Za-z]\w*)"
    )
    for module in PACKAGE.glob("*.py"):
        if module.name == "seam.py":
            continue
        for used in foreign.findall(module.read_text()):
            if used.startswith("__"):
                continue
            assert used in listed, f"{module.name} uses {used}"


def test_every_private_name_of_a_base_class_is_listed() -> None:
    """What our subclasses of aioice's classes touch of themselves is their own, or in the table."""
    listed = {name.path.rpartition(".")[2] for name in SEAM}
    for name in ("ice.py", "ice_socket.py"):
        source = (PACKAGE / name).read_text()
        own = set(re.findall(r"self\.(_\w+)(?:: [^=\n]+)? = ", source)) | set(
            re.findall(r"def (_\w+)", source)
        )
        # These two are set here and in the base class.
        own -= {"_local_candidates_start", "_local_candidates_end"}
        for used in re.findall(r"self\.(_[a-z]\w*)", source):
            assert used in own | listed, f"{name} uses {used}"


def test_each_entry_says_where_it_is_used() -> None:
    for name in SEAM:
        attribute = name.path.rpartition(".")[2]
        source = (PACKAGE / f"{name.used_by}.py").read_text()
        assert attribute in source, f"{attribute} is not in {name.used_by}"


@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_other_releases_fit_and_carry_a_call(which: str, tmp_path: Path) -> None:
    specifier = supported_aiortc()
    # With the oldest aiortc goes the oldest aioice it allows.
    wanted = (
        [f"aiortc=={lowest(specifier)}", "aioice==0.12.0"]
        if which == "oldest"
        else [f"aiortc{specifier}", "aioice"]
    )
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "--retries",
        "0",
        "--timeout",
        "10",
    ]
    installed = subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(tmp_path), *wanted],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if installed.returncode:
        if re.search(
            r"connection|timed out|resolve|No matching distribution", installed.stderr, re.IGNORECASE
        ):
            pytest.skip(f"the package index can't be reached: {installed.stderr.strip().splitlines()[-1]}")
        pytest.fail(installed.stderr)
    script = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n{CALL}"
    call = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert call.returncode == 0, call.stderr
    assert call.stdout.count(str(tmp_path)) == 2
    if which == "oldest":
        assert call.stdout.startswith(lowest(specifier))
