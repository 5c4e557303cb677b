"""Virtual sound cards for the tests of the audio folder."""

from collections.abc import Iterator

import pytest

from tests.support.virtual_audio import VirtualAudio, missing_for_virtual_audio


@pytest.fixture
def server() -> Iterator[VirtualAudio]:
    """A private sound server, for subprocesses."""
    missing = missing_for_virtual_audio()
    if missing is not None:
        pytest.skip(missing)
    with VirtualAudio(["alice"]) as audio:
        yield audio


@pytest.fixture
def cards(server: VirtualAudio) -> Iterator[VirtualAudio]:
    """A private sound server whose devices this process sees."""
    with server.visible():
        yield server
