"""The photographs of MSRC, where they are: in $TAGMASK_MSRC, or in ../shared/data/msrc beside the checkout."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.data.contradictions import find_contradiction
from stages.data.folder_reader import read_folder_split
from stages.data.problems import examine_all
from stages.images import read_mask
from stages.settings import DataSettings

REPOSITORY = Path(__file__).parents[1]
PHOTOGRAPHS = Path(os.environ.get("TAGMASK_MSRC") or REPOSITORY.parent / "shared/data/msrc")

pytestmark = pytest.mark.skipif(
    not (PHOTOGRAPHS / "tags.csv").is_file(),
    reason=f"no photographs of MSRC in {PHOTOGRAPHS}; name their folder (docs/msrc.md) in TAGMASK_MSRC",
)


@pytest.fixture(scope="module")
def settings() -> DataSettings:
    data = yaml.safe_load((REPOSITORY / "configs/msrc.yaml").read_text())["data"]
    return DataSettings.model_validate(data | {"root": str(PHOTOGRAPHS)})


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_photograph_can_be_used_and_shows_its_tags(settings: DataSettings, split: str) -> None:
    records, source = read_folder_split(PHOTOGRAPHS, split, settings)
    found = examine_all(records, PHOTOGRAPHS, settings.classes, source=source, processes=1, untagged=())
    assert found.problems == []
    assert find_contradiction(records, found.sights, settings.classes) == ""
    for record in records:
        shown = set(np.unique(read_mask(PHOTOGRAPHS / record.mask)).tolist()) - {0, 255}
        assert shown == {settings.classes.index(tag) + 1 for tag in record.labels}, record.id


def test_no_photograph_is_in_both_splits(settings: DataSettings) -> None:
    names = [{record.id for record in read_folder_split(PHOTOGRAPHS, split, settings)[0]} for split in ("train", "val")]
    assert all(names)
    assert not names[0] & names[1]
