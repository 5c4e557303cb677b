"""Names of plug-ins."""

import pytest

from softphone.errors import ConfigError
from softphone.registry import Registry


def test_a_name_can_be_added_once() -> None:
    registry: Registry[object] = Registry("softphone.no_such_group", "thing", {"one": "math:pi"})
    registry.add("two", "math:e")
    assert registry.names() == ["one", "two"]
    assert registry.load("two") == pytest.approx(2.718, abs=0.001)
    with pytest.raises(ConfigError, match="already"):
        registry.add("one", "math:e")
    with pytest.raises(ConfigError, match="choose one of: one, two"):
        registry.load("three")
