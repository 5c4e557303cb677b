"""The table of a call for the terminal."""

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from softphone.report.call import CallReport
from softphone.report.palette import SOURCE_COLOURS
from softphone.report.rows import Section, report_sections

__all__ = ["render_table"]


def render_table(report: CallReport) -> Group:
    """Return the table, ready for ``rich.console.Console.print``."""
    return Group(*(_section(section) for section in report_sections(report)))


def _section(section: Section) -> Table:
    table = Table(
        title=Text(section.title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_header=False,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("", width=1)
    table.add_column("what", min_width=34, no_wrap=True)
    table.add_column("value", justify="right", min_width=18)
    table.add_column("share", justify="right", min_width=8, no_wrap=True)
    for row in section.rows:
        mark = Text("■", style=SOURCE_COLOURS[row.source]) if row.source is not None else Text("")
        # Text, not markup: names from the network must not be read as styles.
        table.add_row(mark, Text(row.label), Text(row.value), Text(row.share))
    table.add_row("", "", "", "")
    return table
