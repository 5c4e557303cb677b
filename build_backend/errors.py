"""The two ways in which a step of the build does not succeed."""

__all__ = ["BuildError", "SourceUnavailableError"]


class BuildError(Exception):
    """The build can't go on; the message is one sentence that says what to do."""


class SourceUnavailableError(Exception):
    """This place has no usable source of libopus; the next one may. The message says why."""
