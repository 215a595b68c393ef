"""Whether COCO's JSON has outlines where a config scores masks; read before anything runs, without pycocotools."""

import re
from collections.abc import Mapping
from pathlib import Path

from stages.errors import SettingsError
from stages.settings import Experiment, parts_of

# A list with anything but empty lists in it, or run lengths.
OUTLINE = re.compile(rb'"segmentation"\s*:\s*(?:\{\s*[^\s}]|\[\s*+(?:\[\s*+\]\s*+,?\s*+)*+(?:\[\s*+)*+[^\s\[\],])')
OBJECT = b'"category_id"'
CHUNK = 1 << 20  # bytes read at once
OVERLAP = 1 << 10  # of them kept, for an outline that begins in one chunk and ends in the next


def check_scored(experiment: Experiment, source: str) -> None:
    """Raises SettingsError, prefixed with `source`, if masks are scored that cannot be drawn: of a split whose JSON has
    boxes alone."""
    data = experiment.data
    if data.format != "coco" or data.root is None or data.coco.masks is not None:
        return
    names = {"train": data.coco.train, "val": data.coco.val}
    for setting, splits in _scored(experiment).items():
        for split in (part for joined in splits for part in parts_of(joined) if part in names):
            path = data.root / "annotations" / f"instances_{names[split]}.json"
            if path.is_file() and not has_outline(path):
                raise SettingsError(
                    f"{source}: {setting} scores {split!r}, but {path} has no outlines (segmentation), so there are no"
                    f" true masks; take {split!r} out of {setting}, or add the outlines"
                )


def _scored(experiment: Experiment) -> Mapping[str, tuple[str, ...]]:
    return {"evaluate.maps": experiment.evaluate.maps, "evaluate.segmenter": experiment.evaluate.segmenter}


def has_outline(path: Path) -> bool:
    """Whether a JSON file has the outline of any object, or no object at all. COCO's own have one early, so little of
    them is read."""
    kept, objects = b"", False
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            text = kept + chunk
            if OUTLINE.search(text):
                return True
            objects = objects or OBJECT in text
            kept = text[-OVERLAP:]
    return not objects
