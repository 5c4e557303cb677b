"""Files that ship with the package."""

from importlib import resources
from pathlib import Path

from softphone.errors import MediaFileError

__all__ = ["sample_speech"]


def sample_speech() -> Path:
    """Return the shipped speech: a dialogue of 16 s, mono FLAC at 48 kHz, -26 dBFS.

    Raises :class:`softphone.errors.MediaFileError` when the installation lacks it.
    """
    path = Path(str(resources.files(__name__).joinpath("sample_speech.flac")))
    if not path.is_file():
        raise MediaFileError(f"{path} is missing: install softphone again, or give a file with --input")
    return path
