"""Plug-ins by name, found through entry points.

A third party adds a policy, an audio back-end or a recorder by declaring an entry
point in its own package; nothing here has to change. Names that come with softphone
are known without an installed distribution, so that a checkout works as it is.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from softphone.errors import ConfigError

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Loads objects of one kind by name.

    ``group`` is the entry-point group, ``kind`` the word for error messages, and
    ``builtin`` maps names to ``"module:attribute"``.
    """

    def __init__(self, group: str, kind: str, builtin: Mapping[str, str]) -> None:
        self._group = group
        self._kind = kind
        self._builtin = dict(builtin)

    def names(self) -> list[str]:
        """All names that can be loaded, sorted."""
        return sorted({*self._builtin, *(point.name for point in entry_points(group=self._group))})

    def add(self, name: str, place: str) -> None:
        """Make a name known to this process: `place` is ``"module:attribute"``.

        For what has no entry point, such as a package in a checkout. Raises
        :class:`softphone.errors.ConfigError` when the name is taken.
        """
        if name in self.names():
            raise ConfigError(f"there is a {self._kind} {name!r} already; choose another name")
        self._builtin[name] = place

    def load(self, name: str) -> T:
        """The object registered as ``name``.

        Raises :class:`softphone.errors.ConfigError` when the name is unknown or its
        module can't be imported.
        """
        if name in self._builtin:
            module, _, attribute = self._builtin[name].partition(":")
            return cast(T, getattr(import_module(module), attribute))
        for point in entry_points(group=self._group):
            if point.name == name:
                try:
                    loaded: Any = point.load()
                except Exception as error:
                    raise ConfigError(f"{self._kind} {name!r} can't be loaded: {error}") from error
                return cast(T, loaded)
        known = ", ".join(self.names())
        raise ConfigError(f"there is no {self._kind} {name!r}; choose one of: {known}")
