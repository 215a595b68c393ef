"""Tables that an experiment's targets made (ablations, comparisons), read from their Markdown for the page."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

TABLES = ("ablation_tokens", "ablation_context", "compare_localizers", "compare_refiners", "compare_segmenters")


@dataclass(frozen=True)
class MadeTable:
    """A table: its name, title, the sentence under it, columns and rows, and whether it has a page of its own."""

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    has_page: bool


def find_tables(results: Path) -> list[MadeTable]:
    """The tables that are there. They are no input of the page, so it shows them as they were when it was made."""
    paths = [results / f"evaluate/{name}.md" for name in TABLES]
    return [read_made_table(path, results / f"report/{path.stem}.html") for path in paths if path.is_file()]


def read_made_table(path: Path, page: Path) -> MadeTable:
    """A table from the Markdown that `write_table` and `compare_segmenters` write: a heading, text, tables."""
    lines = path.read_text(encoding="utf-8").splitlines()
    title = next((line.removeprefix("# ") for line in lines if line.startswith("# ")), path.stem)
    first = next((place for place, line in enumerate(lines) if line.startswith("|")), len(lines))
    # The first table alone: a second one, of classes, stands on the page of its own.
    rows = [_cells(line) for line in itertools.takewhile(lambda line: line.startswith("|"), lines[first:])]
    note = " ".join(line for line in lines[:first] if line and not line.startswith("#"))
    body = tuple(row for row in rows[1:] if not all(re.fullmatch(r":?-+:?", cell) for cell in row))
    return MadeTable(path.stem, title, note, rows[0] if rows else (), body, page.is_file())


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("**", "") for cell in line.strip().strip("|").split("|"))
