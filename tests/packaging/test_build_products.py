"""What a build makes: one wheel for every Python from 3.11 on, and a source archive that builds."""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def wheel(build: Build, system_opus: Callable[[str, int], str], tmp_path: Path) -> Path:
    done = build(PKG_CONFIG=system_opus("1.6.1", 0))
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path / done.stdout.strip().splitlines()[-1]


def test_wheel_with_a_system_library_that_has_dred(wheel: Path) -> None:
    assert wheel.name.split("-")[2:4] == ["cp311", "abi3"]
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith((".so", ".pyd"))] == ["softphone/opus/_opus.abi3.so"]
    assert "softphone/py.typed" in names
    assert not [name for name in names if name.startswith(("build_backend", "tests"))]
    for licence in ("LICENSE", "NOTICE"):
        assert any(name.endswith(f".dist-info/licenses/{licence}") for name in names)


def test_notice_names_libopus(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    notice = next(name for name in archive.namelist() if name.endswith("/NOTICE"))
    text = archive.read(notice).decode()
    assert "libopus" in text
    assert "Xiph.Org" in text
    assert "Redistributions in binary form" in text


def test_sdist_holds_what_the_build_needs(build: Build, tmp_path: Path) -> None:
    done = build("build_sdist")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.strip().splitlines()[-1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("pyproject.toml", "setup.py", "LICENSE", "NOTICE", "build_backend/backend.py"):
        assert needed in names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


def test_sdist_builds(
    build: Build, system_opus: Callable[[str, int], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdist = tmp_path / build("build_sdist").stdout.strip().splitlines()[-1]
    monkeypatch.setenv("PKG_CONFIG", system_opus("1.6.1", 0))
    monkeypatch.delenv("CC", raising=False)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        tmp_path,
        sdist,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.glob("softphone-*-cp311-abi3-*.whl"))
