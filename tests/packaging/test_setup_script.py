"""scripts/setup.sh: what it says when the machine can't do it."""

import os
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "scripts" / "setup.sh"


@pytest.fixture
def stand_in(tmp_path: Path) -> str:
    """A Python that is too old."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$*" in -V) echo Python 3.9.1;; *) exit 1;; esac\n')
    python.chmod(0o755)
    return str(python)


def setup(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SETUP, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_python_that_is_not_there(tmp_path: Path) -> None:
    done = setup("demo", PYTHON="no-such-python", VENV=str(tmp_path / "venv"))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "softphone: there is no no-such-python: install Python 3.11 or newer, or name one with PYTHON=..."
    ]


def test_python_that_is_too_old(tmp_path: Path, stand_in: str) -> None:
    done = setup("test", PYTHON=stand_in, VENV=str(tmp_path / "venv"))
    assert done.returncode == 1
    assert "Python 3.9.1 is too old: Python 3.11 or newer is needed" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("arguments", [(), ("dance",)])
def test_usage(arguments: tuple[str, ...]) -> None:
    done = setup(*arguments)
    assert done.returncode != 0
    assert "usage: scripts/setup.sh demo|test" in done.stderr
