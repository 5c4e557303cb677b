"""Write the report of a call into a folder."""

from pathlib import Path

import numpy as np
import soundfile

from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.errors import MediaFileError
from softphone.playout.trace import write_trace
from softphone.report.call import CallReport
from softphone.report.page import HEARD_WAV, PLC_ONLY_WAV, SENT_WAV, render_page
from softphone.report.timeline import draw_timeline

__all__ = ["write_call_report"]


def write_call_report(directory: Path, report: CallReport) -> Path:
    """Write ``index.html`` with its picture, WAVs, ``summary.json`` and ``trace.jsonl``.

    ``directory`` is made when missing; files of an earlier report in it are replaced.
    Returns the path of the page. Raises :class:`softphone.errors.MediaFileError` when
    the folder can't be written.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "summary.json").write_text(report.summary.to_json(), encoding="utf-8")
        _write_wav(directory / SENT_WAV, report.sent)
        _write_wav(directory / HEARD_WAV, report.heard)
        if report.plc_only is not None:
            _write_wav(directory / PLC_ONLY_WAV, report.plc_only)
        else:
            (directory / PLC_ONLY_WAV).unlink(missing_ok=True)
        write_trace(directory / "trace.jsonl", report.trace)
        geometry = draw_timeline(directory / "timeline.png", report)
        page = directory / "index.html"
        page.write_text(render_page(report, geometry), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise MediaFileError(
            f"can't write the report into {directory}: {reason}; choose another folder"
        ) from error
    return page


def _write_wav(path: Path, pcm: Pcm) -> None:
    try:
        soundfile.write(path, np.clip(pcm, -1.0, 1.0), SAMPLE_RATE, subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise MediaFileError(f"can't write {path}: {error.error_string}; choose another folder") from error
