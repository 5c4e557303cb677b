"""The page of a call: table, picture and sound, working from any folder without a network."""

import json
from html import escape
from importlib import resources
from string import Template

from softphone.report.call import CallReport
from softphone.report.palette import SOURCE_COLOURS
from softphone.report.rows import Row, Section, report_sections
from softphone.report.timeline import TimelineGeometry

__all__ = ["HEARD_WAV", "PLC_ONLY_WAV", "SENT_WAV", "render_page"]

SENT_WAV = "sent.wav"
HEARD_WAV = "heard.wav"
PLC_ONLY_WAV = "plc_only.wav"


def render_page(report: CallReport, geometry: TimelineGeometry) -> str:
    """Return the HTML; it refers to the files of the report by name, in the same folder.

    Every text of the report is escaped: names may come from a peer.
    """
    offset = report.heard_start - report.sent_start
    tracks = [("heard", "What was heard", HEARD_WAV, offset)]
    if report.plc_only is not None:
        tracks.append(("plc", "With concealment alone", PLC_ONLY_WAV, offset))
    tracks.append(("sent", "What was said", SENT_WAV, 0.0))
    data = {
        "width": geometry.width,
        "left": geometry.left,
        "right": geometry.right,
        "start": geometry.start,
        "end": geometry.end,
        "tracks": [{"name": name, "start": start} for name, _, _, start in tracks],
    }
    return Template(_resource("page.html")).substitute(
        title=escape(report.title),
        subtitle=escape(report.subtitle),
        style=_resource("page.css"),
        script=_resource("page.js"),
        width=geometry.width,
        height=geometry.height,
        alt=escape(_alternative(report)),
        choices="\n".join(
            _choice(name, label, checked=index == 0) for index, (name, label, _, _) in enumerate(tracks)
        ),
        players="\n".join(
            _player(name, label, file, hidden=index > 0)
            for index, (name, label, file, _) in enumerate(tracks)
        ),
        tables="\n".join(_table(section) for section in report_sections(report)),
        notes="\n".join(f"<p>{escape(note)}</p>" for note in report.notes),
        # "</script>" must not end the element that holds the data.
        data=json.dumps(data).replace("<", "\\u003c"),
    )


def _choice(name: str, label: str, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    return (
        f'<label class="choice"><input type="radio" name="track" value="{name}"{mark} autocomplete="off">'
        f"<span>{escape(label)}</span></label>"
    )


def _player(name: str, label: str, file: str, *, hidden: bool) -> str:
    mark = " hidden" if hidden else ""
    return (
        f'<audio id="audio-{name}" src="{file}" controls preload="auto" '
        f'aria-label="{escape(label)}"{mark}></audio>'
    )


def _table(section: Section) -> str:
    shares = any(row.share for row in section.rows)
    rows = "\n".join(_row(row, shares=shares) for row in section.rows)
    return f"<table><caption>{escape(section.title)}</caption><tbody>\n{rows}\n</tbody></table>"


def _row(row: Row, *, shares: bool) -> str:
    swatch = ""
    if row.source is not None:
        swatch = f'<span class="swatch" style="background:{SOURCE_COLOURS[row.source]}"></span>'
    share = f"<td>{escape(row.share)}</td>" if shares else ""
    return f'<tr><th scope="row">{swatch}{escape(row.label)}</th><td>{escape(row.value)}</td>{share}</tr>'


def _alternative(report: CallReport) -> str:
    frames, delay = report.summary.frames, report.summary.delay_ms
    return (
        "Timeline of the call: wave of what was said with lost packets marked, wave of what was heard "
        f"coloured by its source, and the delay. {frames.repaired} frames were repaired by redundancy, "
        f"{frames.plc} concealed; the delay was {delay.mean:.0f} ms on average, {delay.max:.0f} ms at most."
    )


def _resource(name: str) -> str:
    return resources.files("softphone.report").joinpath(name).read_text(encoding="utf-8")
