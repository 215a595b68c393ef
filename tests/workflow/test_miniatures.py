"""The workflow from end to end on a miniature of each dataset, in its official format."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.images import read_mask, write_mask
from stages.index import read_index
from tests.small_config import change
from tests.workflow.conftest import Snakemake
from tests.workflow.miniatures import write_miniatures
from tests.workflow.tiny import REPOSITORY, draw_image, environment, jobs_of, link_clone

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    made = tmp_path_factory.mktemp("miniatures")
    write_miniatures(made, weights=weights)
    return made


def changed(folder: Path, name: str, changes: dict[str, dict]) -> Path:
    """A miniature's config in `folder`, settings of its sections changed."""
    content = yaml.safe_load((REPOSITORY / f"tests/configs/{name}.yaml").read_text())
    for section, values in changes.items():
        content[section] |= values
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder / f"{name}.yaml"


def run(snakemake: Snakemake, folder: Path, config: Path) -> Path:
    """The results of a whole run."""
    result = snakemake(folder, "all", config=config)
    assert result.returncode == 0, result.stdout
    again = snakemake(folder, "all", config=config)
    assert jobs_of(again.stdout) == {}
    return folder / "results" / config.stem


def scores(results: Path) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in (results / "evaluate").glob("*.json")}


def test_voc(warm_snakemake: Snakemake, folder: Path) -> None:
    """One image that is to be scored is broken. A list that is no list of images is told before anything is trained."""
    (folder / "miniatures/voc/JPEGImages/2007_train01.jpg").write_bytes(b"")
    listed = folder / "miniatures/voc/ImageSets/Segmentation/train.txt"
    scored = folder / "scored, süß.txt"
    config = changed(folder, "voc", {"evaluate": {"train_list": str(scored)}})
    scored.write_text(listed.read_text() + "my zebra\n")
    refused = warm_snakemake(folder, "all", config=config)
    assert "lists 1 ids that are no training image, first 'my zebra'" in refused.stdout
    assert not (folder / "logs/voc/localize/train.log").exists()
    scored.write_text(listed.read_text())
    results = run(warm_snakemake, folder, config)
    assert len(list((results / "data/masks/train").glob("*.png"))) == 7  # of SBD
    found = scores(results)
    assert found["maps-train"]["images"] == found["pseudo_masks-train"]["images"] == 4  # of VOC's own train
    assert found["segmenter-val"]["images"] == 6
    assert len(list((results / "segment/pseudo_masks/predictions/test").glob("*/*.png"))) == 6


def test_coco(warm_snakemake: Snakemake, folder: Path) -> None:
    results = run(warm_snakemake, folder, REPOSITORY / "tests/configs/coco.yaml")
    records = read_index(results / "data/val.csv")
    assert [len(record.labels) for record in records] == [1, 1, 2, 1, 1, 2, 0]
    assert all(record.caption for record in records)
    assert scores(results)["pseudo_masks-val"]["images"] == 7
    # Of train as well the image without an object stays: the segmenter learns from its empty mask, the localizer not.
    bare = read_index(results / "data/train.csv")[12]
    assert scores(results)["pseudo_masks-train"]["images"] == 13
    (mask,) = (results / "refine/masks/train").glob(f"*/{bare.id}.png")
    assert (bare.labels, read_mask(mask).max()) == ((), 0)
    assert "1 of 13 images have no tags" in (folder / "logs/coco/localize/train.log").read_text()
    truth = {value for record in records for value in np.unique(read_mask(Path(record.mask)))}
    assert truth == {0, 1, 2, 255}


def test_openimages_in_a_folder_whose_name_needs_quotes(warm_snakemake: Snakemake, folder: Path) -> None:
    """Every rule that reads images hands the folder's name to a shell."""
    root = folder / "it's $HOME, süß; (really) & all"
    (folder / "miniatures/openimages").rename(root)
    results = run(warm_snakemake, folder, changed(folder, "openimages", {"data": {"root": str(root)}}))
    found = scores(results)
    val, test = found["localization-val"], found["localization-test"]
    assert 0 < val["pxap"] < 100
    assert val["threshold"] == val["peak_threshold"] == test["threshold"]
    assert test["iou"] <= test["piou"]
    page = (results / "report/index.html").read_text()
    assert f"<td>{test['pxap']:.1f}</td>" in page


def test_the_folder_of_photos_is_indexed(warm_snakemake: Snakemake, folder: Path) -> None:
    """Its config as it stands; from there on the tutorial's run is the same."""
    indexes = [f"results/folder/data/{split}.csv" for split in ("train", "val")]
    result = warm_snakemake(folder, *indexes, config=REPOSITORY / "tests/configs/folder.yaml")
    assert result.returncode == 0, result.stdout
    train, val = (read_index(folder / index) for index in indexes)
    assert len(train) + len(val) == 14  # one of fifteen photos is empty
    assert not {record.id for record in train} & {record.id for record in val}


def test_another_split_of_a_fetched_dataset_trains_nothing_again(
    warm_snakemake: Snakemake, folder: Path, weights: Path
) -> None:
    """The set is in place by other means. What test adds is test's own index."""
    write_miniatures(folder / "fetched", ["voc"], weights)
    without = changed(folder / "fetched", "voc", {"data": {"fetch": True}, "segment": {"predict": ["val"]}})
    targets = [f"results/voc/data/{split}.csv" for split in ("train", "val")]
    result = warm_snakemake(folder / "fetched", *targets, config=without)
    assert result.returncode == 0, result.stdout
    fetched = json.loads((folder / "fetched/results/voc/data/fetched.json").read_text())
    assert list(fetched) == ["VOCtrainval_11-May-2012.tar", "benchmark.tgz"]
    with_test = changed(folder / "fetched", "voc", {"data": {"fetch": True}, "segment": {"predict": ["val", "test"]}})
    planned = warm_snakemake(folder / "fetched", "-n", *targets, "results/voc/data/test.csv", config=with_test)
    assert jobs_of(planned.stdout) == {"fetch_test": 1, "make_truth": 1, "make_index": 1}


def blocks(language: str) -> list[str]:
    """The code blocks of the tutorial in a language."""
    text = (REPOSITORY / "docs/photos.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# What makes the preset's run short: on eight drawings nothing is learned anyway.
SHORT = {
    **{"encode.clip.image_views": 2, "encode.clip.epochs": 1},
    **{
        "localize.backbone.views": 1,
        "localize.training.epochs": 1,
        "localize.training.crop": 64,
        "localize.maps.size": 96,
    },
    **{"refine.auto.images": 2, "refine.auto.steps": 3},
    **{"segment.training.crop": 64, "segment.training.batch_size": 2, "segment.training.iterations": 2},
    **{"segment.training.warmup_iterations": 0, "segment.inference.scales": [0.65]},
    "evaluate.doubt": ["val"],
}


def shorten(config: Path) -> None:
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    for path, value in SHORT.items():
        change(content, path, value)
    config.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_the_tutorial_of_photos_step_by_step(warm_environment: dict[str, str], tmp_path: Path) -> None:
    """Its table and commands as they stand there, with the packaged weights; less of everything else."""
    write_miniatures(tmp_path, ["folder"], tmp_path)
    drawn = sorted(path for path in (tmp_path / "miniatures/folder").rglob("*.*g") if path.stat().st_size)
    (table,) = blocks("csv")
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "tags.csv").write_text(table, encoding="utf-8")
    for row, source in zip(csv.DictReader(table.splitlines()), drawn, strict=False):
        place = photos / row["image"]
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(source.read_bytes())
    (photos / "acht.jpg").write_bytes(b"")
    link_clone(tmp_path)
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert [command.split()[1] for command in commands] == ["init", "check", "run", "predict"]
    for command in commands:
        if command.startswith("tagmask predict"):
            (photos / "acht.jpg").unlink()  # of new photos each must be readable
        words = [sys.executable, "-m", "stages.cli", *command.split()[1:]]
        own = warm_environment if "run" in words else environment()
        done = subprocess.run(words, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if "init" in words:
            assert "preset cpu" in done.stdout
            shorten(tmp_path / "photos.yaml")
    assert (tmp_path / "sheets/train.jpg").is_file()
    results = tmp_path / "results/photos"
    for pattern in ("report/index.html", "report/gallery.html", "segment/pseudo_masks/segmenter.safetensors"):
        assert (results / pattern).is_file()
    with (results / "data/left_out/train.csv").open(encoding="utf-8") as stream:
        left_out = [row["image"] for row in csv.DictReader(stream)]
    page = (results / "report/index.html").read_text()
    assert left_out == ["acht.jpg"]
    assert "acht.jpg: cannot be read as an image" in page
    assert "None: no split with true masks is named" in page
    # Eight photos, of which two are val and one is broken. One shows none of the classes.
    masks = {path.stem: path for path in (results / "refine/masks").glob("*/*/*.png")}
    predictions = {path.stem for path in (results / "segment/pseudo_masks/predictions").glob("*/*/*.png")}
    assert "am Strand_erstes Bild" in predictions
    assert masks.keys() == predictions
    assert len(list((results / "refine/masks/train").glob("*/*.png"))) == 5
    assert len(predictions) == 7
    assert not read_mask(masks["sieben"]).any()
    assert "1 of 7 images has no tag ('sieben')" in (tmp_path / "logs/photos/localize/train.log").read_text()
    assert len(list((tmp_path / "masks/masks").rglob("*.png"))) == 7


def test_one_class_and_photos_without_it(warm_snakemake: Snakemake, folder: Path) -> None:
    """From data to report, scored: masks of background alone count."""
    root = folder / "alone"
    rows = []
    for number in range(12):
        image, mask, tags = draw_image("train", number)
        write_mask(root / f"masks/{number}.png", np.where(mask == 1, mask, 0).astype(np.uint8))
        image.save(root / f"{number}.png")
        tag = "red disc" if "red disc" in tags else ""
        rows.append(f"{number}.png,{tag},{'val' if number < 3 else 'train'},masks/{number}.png")
    (root / "tags.csv").write_text("\n".join(["image,tags,split,mask", *rows]) + "\n")
    changes = {
        "data": {"root": str(root), "classes": ["red disc"]},
        "localize": {"splits": ["train", "val"]},
        "evaluate": {"maps": ["val"], "segmenter": ["val"]},
    }
    config = changed(folder, "folder", changes)
    alone = folder / "alone.yaml"
    alone.write_text(config.read_text().replace("experiment: folder", "experiment: alone"))
    results = run(warm_snakemake, folder, alone)
    log = (folder / "logs/alone/localize/train.log").read_text()
    assert "4 of 12 images have no tag (the first: '4')" in log
    negatives = [record.id for record in read_index(results / "data/train.csv") if not record.labels]
    assert negatives == ["4", "7", "10"]
    masks = {path.stem: read_mask(path) for path in (results / "refine/masks/train").glob("*/*.png")}
    assert not any(masks[name].any() for name in negatives)
    found = scores(results)
    assert found["pseudo_masks-val"]["images"] == found["segmenter-val"]["images"] == 3
    assert list(found["segmenter-val"]["per_class"]) == ["background", "red disc"]
    assert found["maps-val"]["classification"]["images"] == 3  # the negative's tags are known
