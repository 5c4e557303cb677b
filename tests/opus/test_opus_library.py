import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

import softphone.opus._opus as extension
from softphone.errors import LocalError, RemoteProtocolError, SoftphoneError
from softphone.opus import (
    BadArgumentError,
    BufferTooSmallError,
    InternalError,
    InvalidPacketError,
    InvalidStateError,
    OpusError,
    OpusMemoryError,
    UnimplementedError,
    capabilities,
)
from softphone.opus.library import check


def test_the_library_inside_has_everything() -> None:
    found = capabilities()
    assert found.dred
    assert found.deep_plc
    assert found.osce
    assert found.osce_bwe
    version = tuple(map(int, found.version.removeprefix("libopus ").split("-")[0].split(".")))
    assert version >= (1, 6, 1)


@pytest.mark.parametrize(
    ("code", "kind", "family"),
    [
        (-1, BadArgumentError, LocalError),
        (-2, BufferTooSmallError, OpusError),
        (-3, InternalError, OpusError),
        (-4, InvalidPacketError, RemoteProtocolError),
        (-5, UnimplementedError, LocalError),
        (-6, InvalidStateError, OpusError),
        (-7, OpusMemoryError, MemoryError),
        (-99, OpusError, SoftphoneError),
    ],
)
def test_every_error_of_libopus_has_a_type(code: int, kind: type[Exception], family: type[Exception]) -> None:
    with pytest.raises(kind, match="can't juggle") as caught:
        check(code, "juggle")
    assert isinstance(caught.value, family)
    assert isinstance(caught.value, OpusError)


def test_symbols_of_libopus_stay_inside() -> None:
    assert extension.__file__ is not None
    library = ctypes.CDLL(extension.__file__)
    assert hasattr(library, "PyInit__opus")
    assert not hasattr(library, "opus_encoder_create")


def test_a_missing_extension_says_what_to_do(tmp_path: Path) -> None:
    """A source tree in which nothing was built yet."""
    root = Path(__file__).parents[2]
    package = tmp_path / "softphone"
    (package / "opus").mkdir(parents=True)
    for source in [
        root / "softphone/__init__.py",
        root / "softphone/errors.py",
        *root.glob("softphone/opus/*.py"),
    ]:
        (tmp_path / source.relative_to(root)).write_text(source.read_text())
    script = (
        "from softphone.errors import LocalError\n"
        "try:\n import softphone.opus.library\nexcept LocalError as error:\n print(error)"
    )
    (package / "opus" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "pip install ." in done.stdout
