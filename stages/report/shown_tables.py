"""The tables that an experiment's targets made (ablations, comparisons), for the page."""

from dataclasses import dataclass
from pathlib import Path

from stages.evaluate.table_content import TableContent, read_content

TABLES = ("ablation_tokens", "ablation_context", "compare_localizers", "compare_refiners", "compare_segmenters")


@dataclass(frozen=True)
class MadeTable:
    """A table: its name, its content, and whether it has a page of its own."""

    name: str
    content: TableContent
    has_page: bool


def find_tables(results: Path) -> list[MadeTable]:
    """The existing tables. They are not inputs of the page, so it shows them as they were when it was made.

    Raises DataError for a file that is not a table.
    """
    paths = {name: results / f"evaluate/{name}.json" for name in TABLES}
    return [
        MadeTable(name, read_content(path), (results / f"report/{name}.html").is_file())
        for name, path in paths.items()
        if path.is_file()
    ]
