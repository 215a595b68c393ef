"""Makes the page of a table of localizer variants."""

import json
import logging
from pathlib import Path

from stages.command import main, parse_settings, parser
from stages.evaluate.write_table import NOTE, read_rows
from stages.files import read_json, write_text
from stages.index import read_classes, read_index
from stages.report.table_page import read_maps_panels, render_table_page
from stages.settings import ReportSettings

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "index", "root", "classes", "output")
    options.add_argument("--experiment", required=True)
    options.add_argument("--title", required=True)
    options.add_argument("--rows", required=True, help="the rows as JSON, with their `maps` (paths of shards)")
    options.add_argument("--speeds", type=Path, help="what stages.localize.measure wrote")
    args = options.parse_args(arguments)
    settings = parse_settings(ReportSettings, args.settings)
    rows = read_rows(args.rows, read_json(args.speeds)["images_per_second"] if args.speeds else {})
    shards = {row["title"]: [Path(path) for path in row["maps"]] for row in json.loads(args.rows)}
    panels = read_maps_panels(
        read_index(args.index), args.root, shards, read_classes(args.classes), count=settings.panels
    )
    first = rows[0].scores[0]
    note = NOTE.format(split=first.split, images=first.images)
    page = render_table_page(rows, panels, experiment=args.experiment, title=args.title, note=note)
    write_text(args.output, page)
    log.info("%s: %.1f MB", args.output, len(page) / 1e6)


if __name__ == "__main__":
    main(run)
