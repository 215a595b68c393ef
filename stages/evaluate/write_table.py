"""Writes a table of localizer variants from their scores: as CSV, as Markdown, and as JSON for the report."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.evaluate.costs import epoch_seconds, peak_memory
from stages.evaluate.scores import Score, read_score
from stages.evaluate.table_content import write_content
from stages.evaluate.table_formats import (
    Cost,
    TableRow,
    classes_csv,
    language_note,
    table_content,
    table_csv,
    table_markdown,
)
from stages.files import read_json, write_csv, write_text
from stages.runtime.command import main, output_path
from stages.words import SOURCE_NOTES

NOTE = (
    "Maps of {split}, {images} images, at the best threshold on them; mean and deviation over seeds. FP and FN are"
    " shares of the union; small, medium, large: IoU of objects that cover up to 5 %, 15 % and more of their image."
    " The published figures are of PASCAL VOC 2012 with the paper's encoders, a different data set."
)

MASKS_NOTE = (
    "Pseudo masks of {split}, {images} images, using the images' tags, from the maps of the experiment's localizer;"
    " mean and deviation over its seeds. FP and FN are shares of the union. {background}"
)


def note_of(rows: Sequence[TableRow]) -> str:
    """The note above a table: what was scored, on what, and with which background."""
    first = rows[0].scores[0]
    language = language_note(score for row in rows for score in row.scores)
    if first.stage == "maps":
        return " ".join(filter(None, [NOTE.format(split=first.split, images=first.images), language]))
    words = dict.fromkeys(_backgrounds(row) for row in rows)
    one = f"Background of all rows: {next(iter(words))}." if len(words) == 1 else ""
    several = "Background: " + "; ".join(f"{row.title}: {_backgrounds(row)}" for row in rows) + "."
    note = MASKS_NOTE.format(split=first.split, images=first.images, background=one or several)
    return " ".join(filter(None, [note, _mended(rows), language]))


def _mended(rows: Sequence[TableRow]) -> str:
    """Says which rows have masks mended by hand: they are not what the row is to show alone."""
    found = [f"{own.mended} in {row.title}" for row in rows for own in row.scores[:1] if own.mended]
    return f"Masks mended by hand are counted with the others: {'; '.join(found)}." if found else ""


def _backgrounds(row: TableRow) -> str:
    """The background of a row's seeds, without duplicates."""
    return ", ".join(dict.fromkeys(map(_background, row.scores)))


def _background(score: Score) -> str:
    if score.background_power is not None:
        return f"(1 - max)^{score.background_power:g}"
    return f"threshold {score.threshold:g} ({SOURCE_NOTES[score.threshold_source or 'fixed']})"


def read_rows(specification: str, speeds: dict[str, float]) -> list[TableRow]:
    """Rows from JSON: title, published, scores (paths), and for the cost: curves, benchmarks (paths) and epochs."""
    return [_read_row(row, speeds) for row in json.loads(specification)]


def _read_row(row: dict[str, Any], speeds: dict[str, float]) -> TableRow:
    cost = None
    if "curves" in row:
        seconds = [epoch_seconds(Path(path), row["epochs"]) for path in row["curves"]]
        measured = [own for own in seconds if own is not None]
        cost = Cost(
            epoch_seconds=sum(measured) / len(measured) if measured else None,
            images_per_second=speeds.get(row["name"]),
            memory_mb=peak_memory([Path(path) for path in row["benchmarks"]]),
        )
    scores = tuple(read_score(Path(path)) for path in row["scores"])
    return TableRow(row["title"], scores, row["published"], cost)


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--title", required=True)
    options.add_argument("--rows", required=True, help="the rows as JSON")
    options.add_argument("--speeds", type=Path, help="what stages.localize.measure wrote")
    for name in ("table", "classes", "markdown", "content"):
        options.add_argument(f"--{name}", type=output_path, required=True, help="file to write")
    args = options.parse_args(arguments)
    rows = read_rows(args.rows, read_json(args.speeds)["images_per_second"] if args.speeds else {})
    write_csv(args.table, table_csv(rows))
    write_csv(args.classes, classes_csv(rows))
    content = table_content(rows, title=args.title, note=note_of(rows))
    write_text(args.markdown, table_markdown(content, rows))
    write_content(args.content, content)


if __name__ == "__main__":
    main(run)
