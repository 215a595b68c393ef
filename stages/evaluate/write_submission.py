"""Packs the predictions of VOC's test images into the archive that the evaluation server accepts, and checks it."""

import logging

from stages.evaluate.submission import TEST_IMAGES, require_right, sizes_of_test, write_archive
from stages.files import atomic_path
from stages.index import read_classes
from stages.mask_folders import find_masks
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EvaluateSettings

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "classes", many=("masks",), outputs=("output",))
    command.add_argument("--images", type=int, default=TEST_IMAGES, help="length of the test list")
    args = command.parse_args(arguments)
    settings = parse_settings(EvaluateSettings, args.settings)
    sizes = sizes_of_test(args.index, args.root, images=args.images)
    masks = find_masks(args.masks, sizes)
    with atomic_path(args.output) as temporary:
        write_archive(temporary, masks, competition=settings.voc_competition)
        require_right(temporary, sizes, classes=read_classes(args.classes))
    log.info("%s: %d masks for %s, checked", args.output, len(masks), settings.voc_competition)


if __name__ == "__main__":
    main(run)
