"""The archive for PASCAL VOC's server, and what its checker finds."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.errors import DataError
from stages.evaluate import check_submission, write_submission
from stages.evaluate.submission import problems_of
from stages.images import voc_palette, write_mask
from stages.index import Record, write_classes, write_index
from stages.settings import EvaluateSettings

FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"


class TestSet:
    """Three test images of 20 x 30, with masks in two shards."""

    __test__ = False

    def __init__(self, root: Path) -> None:
        self.root, self.archive = root, root / "out" / "voc.tar.gz"
        self.ids = [f"2008_00000{number}" for number in range(3)]
        records = [Record(name, f"{name}.jpg", "", (), "test") for name in self.ids]
        for number, name in enumerate(self.ids):
            Image.new("RGB", (30, 20)).save(root / f"{name}.jpg")
            write_mask(root / "masks" / str(number % 2) / f"{name}.png", np.full((20, 30), number, dtype=np.uint8))
        write_index(root / "test.csv", records)
        write_classes(root / "classes.txt", ["cat", "dog"])

    @property
    def options(self) -> list[str]:
        return [
            *("--index", str(self.root / "test.csv"), "--root", str(self.root), "--images", "3"),
            *("--classes", str(self.root / "classes.txt")),
        ]

    def write(self, **settings: str) -> None:
        write_submission.run(
            [
                *("--settings", EvaluateSettings(**settings).model_dump_json(), *self.options),
                *("--masks", str(self.root / "masks/0"), str(self.root / "masks/1"), "--output", str(self.archive)),
            ]
        )

    @property
    def problems(self) -> list[str]:
        return list(problems_of(self.archive, dict.fromkeys(self.ids, (20, 30)), classes=2))


@pytest.fixture
def test_set(tmp_path: Path) -> TestSet:
    return TestSet(tmp_path)


def png(mode: str = "P", size: tuple[int, int] = (30, 20), value: int = 0) -> bytes:
    stream = io.BytesIO()
    image = Image.new("L" if mode == "P" else mode, size, value)
    if mode == "P":
        image.putpalette(voc_palette())
    image.save(stream, format="PNG")
    return stream.getvalue()


def test_archive_is_as_the_server_wants_it(test_set: TestSet) -> None:
    test_set.write(voc_competition="comp5")
    with tarfile.open(test_set.archive) as archive:
        names = archive.getnames()
        assert names == [f"results/VOC2012/Segmentation/comp5_test_cls/{name}.png" for name in test_set.ids]
        with Image.open(archive.extractfile(names[2])) as mask:
            assert mask.mode == "P"
            assert mask.size == (30, 20)
            assert np.unique(np.array(mask)).tolist() == [2]
    check_submission.run(["--archive", str(test_set.archive), *test_set.options])
    test_set.write()
    with tarfile.open(test_set.archive) as archive:
        assert archive.getnames()[0].startswith(FOLDER)


def with_member(name: str, content: bytes) -> Callable[[tarfile.TarFile], None]:
    def add(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))

    return add


FIRST = f"{FOLDER}/2008_000000.png"


@pytest.mark.parametrize(
    ("kept", "added", "words"),
    [
        ((0, 2), None, "1 of 3 test images have no mask, first 2008_000001"),
        ((0, 1, 2), with_member(FIRST, png()), "2008_000000.png: is duplicated"),
        ((0, 1, 2), with_member(f"{FOLDER}/2008_9.png", png()), "2008_9 is not in the test list"),
        ((0, 1, 2), with_member("2008_000000.png", png()), "may be in it"),
        ((0, 1, 2), with_member(f"{FOLDER}/../{FIRST}", png()), "may be in it"),
        ((1, 2), with_member(FIRST.replace("comp6", "comp5"), png()), "masks of comp5 and of comp6"),
        ((1, 2), with_member(FIRST, png(size=(30, 21))), "is 30x21, its image 30x20"),
        ((1, 2), with_member(FIRST, png(value=3)), "value 3, but there are 2 classes"),
        ((1, 2), with_member(FIRST, png(value=255)), "value 255"),
        ((1, 2), with_member(FIRST, png(mode="RGB")), "is PNG of mode RGB, must be an indexed PNG"),
        ((1, 2), with_member(FIRST, png()[:40]), "cannot be read as an image"),
    ],
)
def test_what_the_server_would_refuse_is_named(test_set: TestSet, kept, added, words: str) -> None:
    test_set.archive.parent.mkdir()
    with tarfile.open(test_set.archive, "w:gz") as archive:
        for number in kept:
            with_member(f"{FOLDER}/2008_00000{number}.png", png(value=number))(archive)
        if added:
            added(archive)
    problems = test_set.problems
    assert len(problems) == 1
    assert words in problems[0]
    with pytest.raises(DataError, match="the server would refuse it"):
        check_submission.run(["--archive", str(test_set.archive), *test_set.options])


def test_what_is_no_archive_or_no_test_list_is_named(test_set: TestSet) -> None:
    test_set.archive.parent.mkdir()
    test_set.archive.write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        check_submission.run(["--archive", str(test_set.archive), *test_set.options])
    whole = [*test_set.options[:4], *test_set.options[6:]]
    with pytest.raises(DataError, match=r"test.csv: 3 images, VOC2012's test list has 1456"):
        check_submission.run(["--archive", str(test_set.archive), *whole])


def test_a_prediction_that_is_wrong_leaves_no_archive(test_set: TestSet) -> None:
    write_mask(test_set.root / "masks/0" / f"{test_set.ids[0]}.png", np.zeros((20, 31), dtype=np.uint8))
    with pytest.raises(DataError, match="is 31x20, its image 30x20"):
        test_set.write()
    assert not list(test_set.archive.parent.iterdir())
