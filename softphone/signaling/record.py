"""Dataclasses as JSON objects: how messages, and the objects inside them, are read and written.

Each field carries its own check as metadata (`softphone.signaling.wire.carried`). A field
that has its default value is left out when written.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from softphone.errors import RemoteProtocolError
from softphone.signaling.wire import Decoder

__all__ = ["listed", "read_record", "record", "write_record", "write_records"]

R = TypeVar("R")


def _fields(kind: type[Any]) -> MappingProxyType[str, "dataclasses.Field[Any]"]:
    return MappingProxyType({each.name: each for each in dataclasses.fields(kind)})


def _default(spec: "dataclasses.Field[Any]") -> object:
    return spec.default if spec.default_factory is dataclasses.MISSING else spec.default_factory()


def read_record(kind: type[R], members: Mapping[str, object], label: str, *, lenient: bool = False) -> R:
    """Make a `kind` of the members of a JSON object.

    `label` is what the object is called in errors; `lenient` ignores unknown members.
    Raises `RemoteProtocolError` for a member that is unknown, missing or out of range.
    """
    fields = _fields(kind)
    values: dict[str, object] = {}
    for name, value in members.items():
        spec = fields.get(name)
        if spec is None:
            if lenient:
                continue
            raise RemoteProtocolError(f"{label} has an unknown member")
        try:
            values[name] = spec.metadata["decode"](value)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{label}: {name} {error}") from error
    try:
        return kind(**values)
    except TypeError as error:
        raise RemoteProtocolError(f"{label} lacks a member") from error


def write_record(value: object) -> dict[str, object]:
    """The members of the JSON object for a dataclass; what is at its default is left out."""
    members: dict[str, object] = {}
    for name, spec in _fields(type(value)).items():
        item = getattr(value, name)
        if item != _default(spec):
            to_json = spec.metadata["encode"]
            members[name] = item if to_json is None else to_json(item)
    return members


def write_records(values: Sequence[object]) -> list[dict[str, object]]:
    """`write_record` for each."""
    return [write_record(value) for value in values]


def record(kind: type[R], label: str) -> Decoder[R]:
    """A decoder of an object inside a message."""

    def decode(value: object) -> R:
        if not isinstance(value, Mapping):
            raise RemoteProtocolError("must be an object")
        return read_record(kind, value, label)

    return decode


def listed(decode: Decoder[R], limit: int) -> Decoder[tuple[R, ...]]:
    """A decoder of a list of at most `limit` items."""

    def decode_all(value: object) -> tuple[R, ...]:
        if not isinstance(value, list | tuple) or len(value) > limit:
            raise RemoteProtocolError(f"must be a list of at most {limit} items")
        return tuple(decode(item) for item in value)

    return decode_all
