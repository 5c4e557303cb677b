"""Colours of the sources: the Okabe-Ito palette, which colour-blind people can tell apart."""

from softphone.playout.frames import Source

__all__ = ["DELAY", "LOST", "SENT", "SOURCE_COLOURS", "TARGET"]

SOURCE_COLOURS = {
    Source.REGULAR: "#9AA5B1",
    Source.RED: "#0072B2",
    Source.LBRR: "#56B4E9",
    Source.DRED: "#009E73",
    Source.PLC: "#D55E00",
    Source.CNG: "#CC79A7",
}
"""Hex colour of each source. What needed no help is grey: the eye finds the rest."""

SENT = "#52606D"
LOST = "#1F2933"
DELAY = "#0072B2"
TARGET = "#E69F00"
