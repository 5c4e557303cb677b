"""Calls through address translators, with real coturn."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import obstacle
from tests.support.nat_lab import NatLab


@pytest.fixture(scope="session")
def _possible() -> None:
    reason = obstacle("nft", "turnserver", "openssl", "sysctl")
    if reason:
        pytest.skip(reason)


@pytest.fixture
def lab(_possible: None) -> Iterator[NatLab]:
    """An internet without anybody in it."""
    lab = NatLab()
    with contextlib.closing(lab):
        yield lab


@pytest.fixture
def turn(lab: NatLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A TURN server in it, whose certificate is trusted."""
    with lab.turn_server(tmp_path) as certificate:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        yield
