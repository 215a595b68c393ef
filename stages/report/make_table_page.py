"""Makes the page of a table of localizer variants."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from stages.evaluate.write_table import note_of, read_rows
from stages.files import read_json, write_text
from stages.index import read_classes, read_index
from stages.report.table_page import MapsPanel, MasksPanel, read_maps_panels, read_masks_panels, render_table_page
from stages.runtime.command import main, parse_settings, parser
from stages.settings import ReportSettings

log = logging.getLogger(__name__)


def _panels(rows: list[dict[str, Any]], args: argparse.Namespace, count: int) -> list[MapsPanel] | list[MasksPanel]:
    """Pictures of the rows' maps or masks."""
    records = read_index(args.index)
    if "masks" in rows[0]:
        folders = {row["title"]: [Path(path) for path in row["masks"]] for row in rows}
        return read_masks_panels(records, args.root, folders, count)
    shards = {row["title"]: [Path(path) for path in row["maps"]] for row in rows}
    return read_maps_panels(records, args.root, shards, read_classes(args.classes), count)


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "index", "root", "classes", outputs=("output",))
    options.add_argument("--experiment", required=True)
    options.add_argument("--title", required=True)
    options.add_argument(
        "--rows", required=True, help="the rows as JSON, with their `maps` (shards) or `masks` (folders)"
    )
    options.add_argument("--speeds", type=Path, help="what stages.localize.measure wrote")
    args = options.parse_args(arguments)
    settings = parse_settings(ReportSettings, args.settings)
    rows = read_rows(args.rows, read_json(args.speeds)["images_per_second"] if args.speeds else {})
    panels = _panels(json.loads(args.rows), args, settings.panels)
    note = note_of(rows)
    page = render_table_page(rows, panels, experiment=args.experiment, title=args.title, note=note)
    write_text(args.output, page)
    log.info("%s: %.1f MB", args.output, len(page) / 1e6)


if __name__ == "__main__":
    main(run)
