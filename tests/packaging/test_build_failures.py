"""Each thing that can go wrong ends the build's output with one sentence that says what to do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Build = Callable[..., subprocess.CompletedProcess[str]]


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture
def empty_path(tmp_path: Path) -> str:
    (tmp_path / "bin").mkdir()
    return str(tmp_path / "bin")


def test_no_compiler(build: Build, empty_path: str) -> None:
    words = last_words(build(PATH=empty_path))
    assert "no C compiler" in words
    assert "install" in words


def test_cc_names_nothing(build: Build) -> None:
    words = last_words(build(CC="no-such-compiler -O2"))
    assert "no-such-compiler" in words
    assert "CC" in words


def test_compiler_that_does_not_work(build: Build) -> None:
    words = last_words(build(CC="false"))
    assert "can't make a program" in words


def test_no_headers_of_python(build: Build, tmp_path: Path) -> None:
    compiler = tmp_path / "cc-without-python"
    compiler.write_text('#!/bin/sh\ncase "$*" in *-c) echo "no Python.h" >&2; exit 1;; esac\nexec cc "$@"\n')
    compiler.chmod(0o755)
    words = last_words(build(CC=str(compiler)))
    assert "headers of Python" in words
    assert "python3-dev" in words


def test_no_source_to_be_had(build: Build) -> None:
    start = time.monotonic()
    words = last_words(build(SOFTPHONE_OPUS="bundled"))
    assert "no source of libopus" in words
    assert "opus-1.6.1.tar.gz" in words
    assert "SOFTPHONE_OPUS_SOURCE" in words
    assert time.monotonic() - start < 60


def test_source_that_does_not_exist(build: Build) -> None:
    words = last_words(build(SOFTPHONE_OPUS_SOURCE="/nowhere/opus.tar.gz"))
    assert "/nowhere/opus.tar.gz" in words
    assert "does not exist" in words


def test_wrong_digest(build: Build, tmp_path: Path) -> None:
    tarball = tmp_path / "opus-1.6.1.tar.gz"
    tarball.write_bytes(b"not the release")
    words = last_words(build(SOFTPHONE_OPUS_SOURCE=str(tarball)))
    assert "wrong SHA-256" in words
    assert "SOFTPHONE_OPUS_SHA256" in words


def test_folder_that_is_no_source(build: Build, tmp_path: Path) -> None:
    words = last_words(build(SOFTPHONE_OPUS_SOURCE=str(tmp_path)))
    assert "is not a source tree of libopus" in words


@pytest.mark.parametrize(
    ("version", "dred_result", "complaint"),
    [("1.6.1", -5, "built without DRED"), ("1.3.1", 0, "1.6.1 or newer is needed")],
)
def test_forced_system_library_that_will_not_do(
    build: Build, system_opus: Callable[[str, int], str], version: str, dred_result: int, complaint: str
) -> None:
    words = last_words(build(SOFTPHONE_OPUS="system", PKG_CONFIG=system_opus(version, dred_result)))
    assert complaint in words
    assert "unset" in words


def test_system_library_without_dred_is_passed_over(
    build: Build, system_opus: Callable[[str, int], str]
) -> None:
    done = build(PKG_CONFIG=system_opus("1.6.1", -5))
    assert "built without DRED" in done.stdout
    assert "no source of libopus" in last_words(done)


def test_unknown_choice(build: Build) -> None:
    assert "'sytem'" in last_words(build(SOFTPHONE_OPUS="sytem"))


def test_pip_shows_the_sentence(project: Path, tmp_path: Path, empty_path: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        tmp_path,
        project,
    ]
    env = {**os.environ, "PATH": empty_path}
    env.pop("CC", None)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert "softphone can't be built: there is no C compiler" in output
    assert "Traceback" not in output
