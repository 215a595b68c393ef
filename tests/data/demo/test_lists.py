"""The hand-checked lists keep what the demo promises: enough cut-outs, and nothing of training in val or test."""

from collections import Counter, defaultdict

import pytest

from stages.data.demo.lists import check_classes, read_background_list, read_cutout_list, read_packages
from stages.errors import DataError

CLASSES = ("bird", "hoofed mammal", "clawed mammal", "fruit", "flower", "vehicle", "coin", "road sign")


def test_classes_are_the_eight_in_order() -> None:
    assert tuple(dict.fromkeys(cutout.label for cutout in read_cutout_list())) == CLASSES


@pytest.mark.parametrize("label", CLASSES)
def test_each_class_has_enough_cutouts_in_each_split(label: str) -> None:
    counts = Counter(cutout.split for cutout in read_cutout_list() if cutout.label == label)
    total = sum(counts.values())
    assert total >= 15
    assert counts["val"] >= 3
    assert counts["test"] >= 3
    assert 0.5 <= counts["train"] / total <= 0.7


def test_no_file_stands_in_two_splits() -> None:
    files = [cutout.file for cutout in read_cutout_list()] + [item.file for item in read_background_list()]
    assert len(files) == len(set(files))


def test_near_twins_stand_in_one_split_and_class() -> None:
    groups = defaultdict(list)
    for cutout in read_cutout_list():
        if cutout.group:
            groups[cutout.group].append(cutout)
    assert len(groups) > 20
    for group, cutouts in groups.items():
        assert len(cutouts) >= 2, group
        assert len({(cutout.split, cutout.label) for cutout in cutouts}) == 1, group


def test_no_drawings_or_mirrored_files() -> None:
    assert not [item.file for item in read_cutout_list() if "cartoon" in item.file or "mirror" in item.file]


def test_backgrounds_of_every_split() -> None:
    assert Counter(item.split for item in read_background_list()) == {"train": 10, "val": 4, "test": 4}


def test_packages_are_pinned() -> None:
    packages = read_packages()
    assert [package.file for package in packages] == [
        "tuxpaint-stamps-default_2022.06.04-1_all.deb",
        "mate-backgrounds_1.26.0-1_all.deb",
        "lomiri-wallpapers-16.04_20.04.0-2_all.deb",
    ]
    assert all(len(bytes.fromhex(package.sha256)) == 32 for package in packages)


def test_unknown_class_is_refused() -> None:
    check_classes(("coin", "bird"))
    with pytest.raises(DataError, match=r"data\.classes: .*'unicorn'.*choose from bird"):
        check_classes(("bird", "unicorn"))
