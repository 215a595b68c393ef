"""What every reader of the registry holds to: a miniature of each format becomes sound records."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import yaml
from PIL import Image

from stages.data.demo.material import compose_set
from stages.data.make_index import with_made_masks
from stages.data.make_truth import MAKERS, make_truth
from stages.data.readers import READERS, read_split
from stages.images import IGNORE
from stages.settings import DataSettings
from tests.workflow.miniatures import WRITERS
from tests.workflow.tiny import REPOSITORY, write_dataset

SPLITS = ("train", "val", "test")


def configured(name: str, root: Path) -> DataSettings:
    """The section `data` of a config of tests/configs, of a dataset that is elsewhere."""
    content = yaml.safe_load((REPOSITORY / f"tests/configs/{name}.yaml").read_text())
    return DataSettings.model_validate_json(json.dumps({**content["data"], "root": str(root)}))


def write_csv(root: Path, source) -> DataSettings:
    write_dataset(root)
    return configured("tiny", root)


def write_demo(root: Path, source) -> DataSettings:
    compose_set(root, source.files, source.cutouts, source.backgrounds, settings=source.settings, seed=0, processes=1)
    return source.settings


# What writes a format that is not among the miniatures, and returns its settings.
OTHERS: Mapping[str, Callable[..., DataSettings]] = {"csv": write_csv, "demo": write_demo}


def write_miniature(name: str, root: Path, source) -> DataSettings:
    if name in OTHERS:
        return OTHERS[name](root, source)
    if name not in WRITERS:
        pytest.fail(f"data.format {name!r} has no miniature: add its writer to WRITERS of tests/workflow/miniatures.py")
    WRITERS[name](root)
    return configured(name, root)


def test_no_maker_of_masks_is_without_a_reader() -> None:
    assert set(MAKERS) <= set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_records_are_sound(name: str, tmp_path: Path, source) -> None:
    root = tmp_path / "miniature"
    settings = write_miniature(name, root, source)
    assert settings.format == name
    seen: set[str] = set()
    masked = False
    for split in settings.expected or SPLITS:
        records, listed = read_split(root, split, settings)
        assert listed.is_file()
        if name in MAKERS:
            made = tmp_path / f"masks/{split}"
            made.mkdir(parents=True)
            make_truth(MAKERS[name](root, split, settings), made, processes=1, skip=False)
            records = with_made_masks(records, made)
            masked |= any(record.mask for record in records)
        ids = [record.id for record in records]
        assert len(set(ids)) == len(ids)
        assert seen.isdisjoint(ids)
        seen.update(ids)
        for record in records:
            assert record.split == split
            assert set(record.labels) <= set(settings.classes)
            assert len(set(record.labels)) == len(record.labels)
            assert not PurePosixPath(record.image).is_absolute()
            assert (root / record.image).is_file()
            if record.mask:
                check_mask(root / record.mask, root / record.image, len(settings.classes))
    assert seen
    assert masked or name not in MAKERS


def check_mask(path: Path, image: Path, classes: int) -> None:
    with Image.open(path) as mask, Image.open(image) as picture:
        assert mask.mode in ("P", "L")
        assert mask.size == picture.size
        assert set(np.unique(np.asarray(mask)).tolist()) <= {*range(classes + 1), IGNORE}
