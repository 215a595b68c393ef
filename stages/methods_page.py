"""Writes `docs/methods.md`, the methods that tagmask has and their published figures, from stages/methods."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from stages.evaluate.table_formats import markdown_table
from stages.files import write_text
from stages.methods import CLIP_ATTENTION_METHODS, LOCALIZER_METHODS, SEGMENTER_METHODS, MethodRecord
from stages.report.published import LATER, TABLES

PAGE = Path("docs/methods.md")
HEADER = """# Methods and published figures

What tagmask has, each written from its paper, and what the papers report. Figures are percent, mIoU unless a column
says otherwise, on PASCAL VOC 2012, COCO 2014 and OpenImages30k; none of them is tagmask's own ([results](results.md)).
Generated from the records in `stages/methods` by `python -m stages.methods_page`.

"""


def page_text() -> str:
    """The whole page."""
    parts = [HEADER]
    parts += ["## Localizers\n\n`localize.method.kind`\n\n", records_table(LOCALIZER_METHODS.values())]
    parts += ["\n\n`localize.method.attention` of `clip`\n\n", records_table(CLIP_ATTENTION_METHODS.values())]
    parts += ["\n\n## Segmenters\n\n`segment.network.model`\n\n", records_table(SEGMENTER_METHODS.values())]
    for table in TABLES:
        source = "" if table is LATER else ", as given by Xu et al., CVPR 2023"
        parts.append(
            f"\n\n## {table.title}{source}\n\n{markdown_table(table.columns, [list(row) for row in table.rows])}"
        )
        if table.note:
            parts.append(f"\n\n{table.note}")
    return "".join(parts) + "\n"


def records_table(records: Iterable[MethodRecord]) -> str:
    """A row for each method: its name in the settings, papers, code and licence."""
    rows = [[f"`{own.kind}`", own.title, papers(own), code(own)] for own in records]
    return markdown_table(["setting", "method", "paper", "authors' code"], rows)


def papers(record: MethodRecord) -> str:
    """Its papers, oldest first."""
    return "; ".join(f"{own.authors}, *{own.title}*, {own.venue} {own.year}" for own in record.papers)


def code(record: MethodRecord) -> str:
    """Where its authors' code is, and under which licence."""
    return record.code_licence if record.code is None else f"{record.code} ({record.code_licence})"


def run(arguments: list[str] | None = None) -> None:
    """Command line."""
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument("--output", type=Path, default=PAGE)
    write_text(command.parse_args(arguments).output, page_text())


if __name__ == "__main__":
    run()
