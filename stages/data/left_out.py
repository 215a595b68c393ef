"""Images that were left out (`data.on_error: skip`): which, and why, as one CSV per split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.data.problems import Problem
from stages.errors import DataError
from stages.files import in_utf8, write_csv
from stages.index import Record, Table

COLUMNS = ("id", "image", "problem")


@dataclass(frozen=True)
class LeftOut:
    """An image that no stage uses, and what is wrong with it."""

    id: str
    image: str
    problem: str


def leave_out(
    records: Sequence[Record], problems: Sequence[Problem], *, source: Path
) -> tuple[list[Record], list[LeftOut]]:
    """The valid records, and the others with their first problem. Raises DataError if none is valid."""
    first: dict[int, str] = {}
    for problem in problems:
        first.setdefault(problem.position, problem.text)
    kept = [record for position, record in enumerate(records) if position not in first]
    if not kept:
        raise DataError(f"{source}: none of {len(records)} images can be used; the first: {next(iter(first.values()))}")
    return kept, [LeftOut(records[place].id, records[place].image, text) for place, text in first.items()]


def write_left_out(path: Path, rows: Sequence[LeftOut]) -> None:
    """Writes the table, atomically; only a header if nothing was left out."""
    write_csv(path, [COLUMNS, *(map(in_utf8, (row.id, row.image, row.problem)) for row in rows)])


def read_left_out(path: Path) -> list[LeftOut]:
    """Reads what `write_left_out` wrote."""
    return [LeftOut(row["id"], row["image"], row["problem"]) for row in Table(path)]
