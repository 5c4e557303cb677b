"""What is left of a room when one is out of it: a sentence, a table, numbers in a file."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from softphone.conference import Conference, ConferenceStatistics, ParticipantStatistics
from softphone.conference.events import ConferenceOver
from softphone.errors import MediaFileError

__all__ = ["describe_over", "describe_quality", "print_room_table", "write_room_json"]

_SENTENCES: Final = {
    "left": "You left the room",
    "removed": "a moderator removed you",
    "denied": "a moderator did not let you in",
    "room-closed": "A moderator closed the room",
    "timeout": "nobody let you in",
    "replaced": "you joined from somewhere else",
    "device": "no sound",
    "token-expired": "your invitation has expired: ask for a new link",
}


_HEADINGS: Final = ("loss", "repaired", "delay", "round trip", "they lose", "digits")


def describe_over(over: ConferenceOver) -> str:
    """A sentence for people, without a full stop."""
    text = _SENTENCES.get(over.reason, "the room server turned you away")
    return f"{text}: {over.message}" if over.message else text


def print_room_table(console: Console, statistics: ConferenceStatistics) -> None:
    """Everybody who is there, and how their audio goes."""
    table = Table(title="How the others were heard", title_justify="left")
    for heading in ("", *_HEADINGS):
        table.add_column(heading, justify="left" if not heading else "right")
    for one in statistics.participants:
        table.add_row(Text(one.person.name), *_cells(one))
    console.print(table)


def describe_quality(one: ParticipantStatistics) -> str:
    """The row of one participant as a line."""
    cells = zip(_HEADINGS, _cells(one), strict=True)
    return ", ".join(f"{heading} {cell}" for heading, cell in cells if cell != "-")


def write_room_json(path: Path, conference: Conference, over: ConferenceOver) -> None:
    """Write everything that is known; `MediaFileError` when that fails."""
    values: dict[str, Any] = {
        "schema_version": 1,
        "end": {"reason": over.reason, "message": over.message},
        "room": conference.link.room,
        "name": conference.roster.own.name,
        "statistics": _plain(conference.statistics()),
        "webrtc": conference.webrtc_statistics(),
    }
    try:
        path.write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf-8")
    except OSError as error:
        raise MediaFileError(f"can't write {path}: {error.strerror or error}; choose another file") from error


def _plain(value: Any) -> Any:
    """Dataclasses as dictionaries; their read-only maps, which ``asdict`` can't copy, included."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _cells(one: ParticipantStatistics) -> list[str]:
    repaired, lost = one.repaired_share, one.remote_fraction_lost
    return [
        f"{100 * one.fraction_lost:.0f} %",
        "-" if repaired is None else f"{100 * repaired:.0f} %",
        "-" if one.delay is None else f"{1000 * one.delay:.0f} ms",
        "-" if one.round_trip is None else f"{1000 * one.round_trip:.0f} ms",
        "-" if lost is None else f"{100 * lost:.0f} %",
        "DIFFERENT" if one.suspicious else one.verification or "-",
    ]
