"""The workflow from end to end on a miniature of each dataset, in its official format."""

import csv
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.images import read_mask
from stages.index import read_index
from tests.workflow.conftest import Snakemake
from tests.workflow.miniatures import write_miniatures
from tests.workflow.tiny import REPOSITORY, environment, jobs_of, link_clone

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


def test_the_tutorial_of_photos_step_by_step(warm_environment: dict[str, str], weights: Path, tmp_path: Path) -> None:
    """Its table, config and commands as they stand there; small models with random weights for the large ones."""
    write_miniatures(tmp_path, ["folder"], weights)
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
    small = yaml.safe_load((REPOSITORY / "tests/configs/folder.yaml").read_text())
    (changed,) = (yaml.safe_load(block) for block in blocks("yaml"))
    shards = {"shards": small["data"]["shards"]}
    (tmp_path / "photos.yaml").write_text(yaml.safe_dump({**small, **changed, "data": {**changed["data"], **shards}}))
    link_clone(tmp_path)
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert len(commands) == 3
    for command in commands:
        if "segment.predict" in command:
            (photos / "acht.jpg").unlink()  # of new photos each must be readable
        own = warm_environment if command.startswith("snakemake") else environment()
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "sheets/train.jpg").is_file()
    results = tmp_path / "results/photos"
    for pattern in ("report/index.html", "segment/pseudo_masks/segmenter.safetensors"):
        assert (results / pattern).is_file()
    with (results / "data/left_out/train.csv").open(encoding="utf-8") as stream:
        left_out = [row["image"] for row in csv.DictReader(stream)]
    page = (results / "report/index.html").read_text()
    assert left_out == ["acht.jpg"]
    assert "acht.jpg: cannot be read as an image" in page
    assert "None: no split with true masks is named" in page
    # Eight photos, of which two are val and one is broken.
    masks = {path.stem for path in (results / "refine/masks/train").glob("*/*.png")}
    predictions = {path.stem for path in (results / "segment/pseudo_masks/predictions").glob("*/*/*.png")}
    assert "am Strand_erstes Bild" in predictions
    assert masks < predictions
    assert (len(masks), len(predictions)) == (5, 7)
    assert len(list((tmp_path / "masks/masks").rglob("*.png"))) == 7
