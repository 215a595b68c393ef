"""The dry run at full size overrides what it may and nothing else, and measures what jobs take."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from snakemake.utils import update_config

from benchmarks.full_run.overrides import ALLOWED, forbidden_changes, leaves, merged, override
from benchmarks.full_run.photographs import COCO_SIZES, Photographs, coco_ids
from benchmarks.full_run.run import full_configs
from benchmarks.full_run.table import GIB, Job, as_json, markdown, read_jobs, too_large
from benchmarks.full_run.watch import JobWatch, Usage
from benchmarks.full_run.weights import random_model
from stages.experiment import read_experiment
from stages.settings import Experiment
from tests.workflow.tiny import REPOSITORY

COUNTS = {"train": 12, "val": 6, "test": 6}
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def config(name: str) -> dict:
    return yaml.safe_load((REPOSITORY / f"configs/{name}.yaml").read_text(encoding="utf-8"))


def overridden(name: str, extra: dict | None = None) -> tuple[Experiment, Experiment]:
    """A config's experiment before and after the override, `extra` on top."""
    before = read_experiment(config(name), source=name)
    changes = override(before, root=Path("set"), weights=Path("weights"), counts=COUNTS)
    return before, read_experiment(merged(merged(config(name), changes), extra or {}), source=name)


@pytest.mark.parametrize("name", full_configs())
def test_only_paths_weights_epochs_iterations_and_counts_change(name: str) -> None:
    before, after = overridden(name)
    assert forbidden_changes(before, after) == []
    assert (after.data.classes, after.localize.maps) == (before.data.classes, before.localize.maps)
    assert after.segment.training.batch_size == before.segment.training.batch_size
    assert after.data.expected == {split: COUNTS[split] for split in before.data.expected}
    assert set(after.encode.weights) == set(before.encode.weights)
    assert all(Path(source).suffix == ".safetensors" for source in after.encode.weights.values())
    assert after.encode.clip.model.endswith("quickgelu")


def test_every_config_of_a_published_dataset_is_run() -> None:
    names = full_configs()
    assert names[0] == "voc12"
    assert {"voc12", "voc12-dinov3", "coco14", "openimages30k"} <= set(names)
    assert not {"demo", "custom", "photos", "msrc"} & set(names)


def test_the_list_of_what_may_change_is_short() -> None:
    """A longer list would make the run another experiment's: think before a name is added here."""
    assert set(ALLOWED) == {
        *("data.root", "data.expected.*", "data.shards", "evaluate.train_list"),
        *("encode.weights.*", "encode.clip.model", "encode.clip.pretrained"),
        *("localize.training.epochs", "localize.training.warmup_epochs", "refine.affinity.training.epochs"),
        *("refine.auto.images", "segment.training.iterations", "segment.training.warmup_iterations"),
    }


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"segment": {"training": {"crop": 64}}}, "segment.training.crop"),
        ({"localize": {"training": {"batch_size": 2}}}, "localize.training.batch_size"),
        ({"refine": {"affinity": {"training": {"crop": 64}}}}, "refine.affinity.training.crop"),
        ({"data": {"on_error": "skip"}}, "data.on_error"),
    ],
)
def test_any_other_change_is_told(extra: dict, named: str) -> None:
    assert forbidden_changes(*overridden("voc12", extra)) == [named]


@pytest.mark.parametrize("name", full_configs())
def test_configs_are_merged_as_snakemake_does(name: str) -> None:
    before = read_experiment(config(name), source=name)
    changes = override(before, root=Path("set"), weights=Path("weights"), counts=COUNTS)
    theirs = config(name)
    update_config(theirs, changes)
    assert merged(config(name), changes) == theirs


def test_leaves_by_hand() -> None:
    assert list(leaves({"a": 1, "b": {"c": [2, 3], "d": {"e": None}}})) == [("a", 1), ("b.c", [2, 3]), ("b.d.e", None)]


def test_photographs_have_the_datasets_sizes_and_classes(tmp_path: Path) -> None:
    for number, colour in enumerate(((200, 30, 30, 255), (30, 30, 200, 255), (30, 200, 30, 255))):
        Image.new("RGBA", (90, 60), colour).save(tmp_path / f"{number}.png")
    Image.new("RGB", (800, 800), (128, 128, 128)).save(tmp_path / "grey.png")
    classes = [f"class {number}" for number in range(80)]
    cutouts = [tmp_path / f"{number}.png" for number in range(3)]
    source = Photographs(cutouts, [tmp_path / "grey.png"], classes, COCO_SIZES, 3)
    pictures = [source.draw(split, number) for split in ("train", "val", "test") for number in range(4)]
    assert {image.size for image, _, _ in pictures} == {(640, 480), (480, 640)}
    for image, mask, tags in pictures:
        assert mask.shape == image.size[::-1]
        assert tags == tuple(classes[value - 1] for value in np.unique(mask) if 0 < value < 255)
    assert len({tag for _, _, tags in pictures for tag in tags}) >= 12
    again = source.draw("val", 3)
    assert np.array_equal(again[1], pictures[7][1])


def test_category_ids_are_those_of_coco() -> None:
    """As instances_train2014.json has them."""
    ids = coco_ids(config("coco14")["data"]["classes"])
    assert [ids[name] for name in ("person", "stop sign", "umbrella", "toilet", "toothbrush")] == [1, 13, 28, 70, 90]


@pytest.mark.parametrize(
    "model", ["vit_tiny_patch16_224.augreg_in21k", "vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m", "resnet18"]
)
def test_random_weights_keep_features_finite(model: str) -> None:
    with torch.inference_mode():
        features = random_model(model).eval()(torch.rand(1, 3, 224, 224))
    assert features.isfinite().all()


def test_a_job_is_all_its_processes(tmp_path: Path) -> None:
    """Two processes of one job, by the log that they write to; each has 64 MiB and works for more than a second."""
    (tmp_path / "refine").mkdir()
    log = tmp_path / "refine/0.log"
    code = "import time; held = b'x' * 2**26\nwhile time.process_time() < 1.2: pass\ntime.sleep(60)"
    with log.open("w") as stream, JobWatch(tmp_path) as watch:
        processes = [subprocess.Popen([sys.executable, "-c", code], stdout=stream) for _ in range(2)]
        deadline = time.monotonic() + 120
        while watch.jobs.get("refine/0", Usage(0, 0)).cpu < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        for process in processes:
            process.kill()
            process.wait()
    assert set(watch.jobs) == {"refine/0"}
    assert 2 * 2**26 <= watch.jobs["refine/0"].memory < 4 * 2**26
    assert 2 <= watch.jobs["refine/0"].cpu < 4  # twice 1.2 and two starts of Python; 4.8 if counted twice


def test_jobs_by_hand(tmp_path: Path) -> None:
    """max_rss and max_pss are MB; a short job has none; shards are one row."""
    for place, (name, row) in enumerate(
        {
            "localize/train": "12.5\t0:00:12\t4096.0\t-\t-\t2048.0\t0\t0\t0\t9.5\n",
            "localize/maps/val/0": "3\t0:00:03\t1024.0\t-\t-\t512.0\t0\t0\t0\t0\n",
            "localize/maps/val/1": "4\t0:00:04\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n",
        }.items()
    ):
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + row)
        os.utime(path, (place, place))
    jobs = read_jobs(tmp_path, {"localize/train": Usage(3 * GIB, 9.0), "localize/maps/val/1": Usage(GIB, 2.0)})
    assert jobs == [
        Job("localize/train", 12.5, cpu=9.5, memory=3 * GIB, resident=4 * GIB),
        Job("localize/maps/val/0", 3.0, cpu=0.0, memory=GIB // 2, resident=GIB),
        Job("localize/maps/val/1", 4.0, cpu=2.0, memory=GIB, resident=0),
    ]
    assert as_json(jobs)["localize/train"] == {"seconds": 12.5, "cpu_seconds": 9.5, "gib": 3.0, "max_rss_gib": 4.0}
    assert markdown({"voc12": jobs, "coco14": jobs[:1]}) == [
        "| job | voc12, s | voc12, CPU s | voc12, GiB | coco14, s | coco14, CPU s | coco14, GiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| localize/train | 12 | 10 | 3.0 | 12 | 10 | 3.0 |",
        "| localize/maps/val | 7 | 2 | 1.0 | - | - | - |",
        "| all, the largest | 20 | 12 | 3.0 | 12 | 10 | 3.0 |",
    ]
    assert too_large({"voc12": jobs}, 2.5) == ["voc12: localize/train took 3.0 GiB, above 2.5"]
    assert too_large({"voc12": jobs}, 3) == []
