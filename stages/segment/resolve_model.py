"""Writes the full model config of a segmenter, from settings and overlay, after building it and running it once."""

import logging

from stages.files import write_json
from stages.index import read_classes
from stages.runtime.command import main, parse_settings, parser
from stages.segment import model as segmenters  # noqa: F401 (registers the segmenter)
from stages.segment.architecture import checked_model
from stages.segment.overlay import read_overlay
from stages.settings import SegmentSettings

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    args = parser(__doc__, "classes", outputs=("output",)).parse_args(arguments)
    settings, classes = parse_settings(SegmentSettings, args.settings), read_classes(args.classes)
    model, parameters = checked_model(settings, classes)
    optim_wrapper = read_overlay(settings.network.model).optim_wrapper
    write_json(args.output, {"parameters": parameters, "model": model, "optim_wrapper": optim_wrapper})
    log.info("%s on %s: %d parameters", settings.network.model, settings.network.backbone, parameters)


if __name__ == "__main__":
    main(run)
