"""Pages of which a part is written by a program: the rest is kept."""

from collections.abc import Iterable
from pathlib import Path

from softphone.errors import ConfigError

__all__ = ["images_of", "write_end", "write_section"]

_END_MARK = "<!-- made by benchmarks.neteq; what follows is written anew by each report -->"


def images_of(page: Path) -> Path:
    """The folder for the pictures of a page: its folder ``images``, or that of the page itself."""
    page.parent.mkdir(parents=True, exist_ok=True)
    images = page.parent / "images"
    return images if images.is_dir() else page.parent


def write_end(page: Path, lines: Iterable[str]) -> None:
    """Write ``lines`` to the end of ``page``, in place of what was written so before."""
    above, _, _ = _read(page).partition(_END_MARK)
    page.write_text(f"{above}{_END_MARK}\n\n{_text(lines)}", encoding="utf-8")


def write_section(page: Path, name: str, lines: Iterable[str]) -> None:
    """Write ``lines`` into the section ``name`` of ``page``, in place of what stood there.

    A new section goes before the end that `write_end` writes. Raises :class:`ConfigError`
    when the page has the section's first mark without its last.
    """
    first = f"<!-- {name}: made by benchmarks.neteq, written anew each time -->"
    last = f"<!-- end of {name} -->"
    text = _read(page)
    section = f"{first}\n\n{_text(lines)}\n{last}\n"
    above, found, rest = text.partition(f"{first}\n")
    if found:
        _, ended, below = rest.partition(f"{last}\n")
        if not ended:
            raise ConfigError(f"{page} has the mark {first!r} but not {last!r} after it; put that in")
    else:
        above, end, below = text.partition(_END_MARK)
        above, below = above.rstrip() + "\n\n", f"\n{end}{below}" if end else ""
    page.write_text(above + section + below, encoding="utf-8")


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8") if page.is_file() else "# NetEq\n\n"


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
