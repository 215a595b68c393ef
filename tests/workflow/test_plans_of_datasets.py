"""Plans of datasets: what is read, fetched and scored of VOC, COCO, OpenImages, MSRC and a user's own."""

import subprocess
from pathlib import Path

import pytest
import yaml

from benchmarks.planning import SHARDS, write_planned
from tests.workflow.conftest import Snakemake
from tests.workflow.planned import DEMO, MSRC, changed, command_of, list_voc, write_resnet38
from tests.workflow.tiny import REPOSITORY, TINY, jobs_of


def test_voc_is_planned_without_the_demo_set(snakemake: Snakemake, tmp_path: Path) -> None:
    list_voc(tmp_path)
    result = snakemake(tmp_path, "--dry-run", config=REPOSITORY / "configs/voc12.yaml")
    assert result.returncode == 0, result.stdout
    jobs = jobs_of(result.stdout)
    assert not {"fetch", "fetch_dataset", "compose", "train_clip"} & set(jobs)
    assert jobs["make_truth"] == jobs["make_index"] == 3
    assert jobs["load_weights"] == 2
    assert jobs["make_maps"] == 2 * 32
    assert jobs["score_masks"] == 3  # pseudo masks of train and val, predictions of val: test's truth is not public


def lay_out_msrc(folder: Path) -> None:
    """As much of a folder of photographs as planning looks at."""
    (folder / "datasets/msrc").mkdir(parents=True)
    (folder / "datasets/msrc/tags.csv").write_text("image,tags,split,mask\n")


def test_real_photographs_are_planned_from_tags_to_report(snakemake: Snakemake, tmp_path: Path) -> None:
    lay_out_msrc(tmp_path)
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", config=MSRC)
    assert result.returncode == 0, result.stdout
    jobs = jobs_of(result.stdout)
    assert not {"compose", "fetch_dataset", "make_truth"} & set(jobs)
    assert jobs["fetch"] == jobs["prepare_cutouts"] == jobs["train_clip"] == jobs["join_indexes"] == 1
    assert jobs["score_maps"] == 3  # train, val, both together
    assert jobs["score_masks"] == 3 + 1  # and predictions of val
    commands = {name: line for line in result.stdout.splitlines() if (name := command_of(line))}
    learned = "--index results/msrc/data/train+val.csv"
    assert all(
        learned in commands[name] for name in ("localize.train", "localize.freeze_features", "encode.embed_images")
    )
    # Towers, affinities and segmenter learn from train alone; the threshold is a number.
    for name in ("encode.train_clip", "refine.train_affinity", "segment.train"):
        assert "--index results/msrc/data/train.csv" in commands[name]
    (both,) = [line for line in result.stdout.splitlines() if "score_maps " in line and "--split train+val" in line]
    shards = yaml.safe_load(MSRC.read_text())["data"]["shards"]
    maps = [f"results/msrc/localize/maps/{split}/{n}.safetensors" for split in ("train", "val") for n in range(shards)]
    assert f"{learned} " in both
    assert f"--maps {' '.join(maps)} " in both
    assert "--language 'packaged towers, learned from cut-outs of the demo and tags of train'" in both


def test_towers_that_learn_from_images_alone_fetch_nothing(snakemake: Snakemake, tmp_path: Path) -> None:
    lay_out_msrc(tmp_path)
    config = changed(MSRC, tmp_path, "learns_from: [cutouts, images]", "learns_from: [images]")
    jobs = jobs_of(snakemake(tmp_path, "--dry-run", config=config).stdout)
    assert not {"fetch", "prepare_cutouts"} & set(jobs)
    assert jobs["train_clip"] == 1


def test_make_names_what_a_folder_of_photographs_lacks(tmp_path: Path) -> None:
    """Before anything is set up: VENV is a folder that is not there."""
    messages = {"": "MSRC is not given", "nowhere": "no folder nowhere", str(tmp_path): f"{tmp_path} has no tags.csv"}
    for folder, message in messages.items():
        for target in ("msrc", "msrc-tables"):
            words = ["make", target, f"MSRC={folder}", f"VENV={tmp_path / 'venv'}"]
            result = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            assert result.returncode != 0
            assert message in result.stderr
            assert "docs/msrc.md" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_only_the_listed_images_of_train_are_scored(snakemake: Snakemake, tmp_path: Path) -> None:
    list_voc(tmp_path)
    voc = REPOSITORY / "configs/voc12.yaml"
    commands = snakemake(tmp_path, "--dry-run", "--printshellcmds", config=voc).stdout.splitlines()
    (lister,) = [line for line in commands if "python -m stages.evaluate.list_scored" in line]
    assert '{"train_list":"datasets/VOC2012/ImageSets/Segmentation/train.txt"}' in lister
    assert lister.split()[-3] == "results/voc12/evaluate/scored_train.txt"
    listed = [line for line in commands if "--only results/voc12/evaluate/scored_train.txt" in line]
    assert len(listed) == 2  # maps and pseudo masks
    assert all("--split train" in line for line in listed)
    (tmp_path / "datasets/VOC2012/ImageSets/Segmentation/train.txt").unlink()
    refused = snakemake(tmp_path, "--dry-run", config=voc)
    assert refused.returncode != 0
    assert "voc12.yaml: evaluate.train_list: no file datasets/VOC2012/ImageSets" in refused.stdout


def test_the_plan_of_coco_does_not_grow_with_its_images(snakemake: Snakemake, tmp_path: Path) -> None:
    """Jobs are cut by shards. How long planning takes with all records: `python -m benchmarks.planning`."""
    config = write_planned(tmp_path, {"train": 500, "val": 300})
    result = snakemake(tmp_path, "--dry-run", config=config)
    assert result.returncode == 0, result.stdout
    jobs = jobs_of(result.stdout)
    assert "make_index" not in jobs
    assert {rule for rule, count in jobs.items() if count > 6} == {
        "make_maps",
        "make_masks",
        "predict",
        "make_sure_regions",
    }
    assert jobs["make_maps"] == jobs["make_masks"] == 2 * SHARDS
    assert jobs["make_sure_regions"] == jobs["predict"] == SHARDS


@pytest.mark.parametrize("name", ["voc12", "coco14", "voc12-clip-es", "coco14-clip-es"])
def test_a_dataset_to_be_fetched_needs_no_folder_yet(snakemake: Snakemake, tmp_path: Path, name: str) -> None:
    config = changed(REPOSITORY / f"configs/{name}.yaml", tmp_path, "  fetch: false\n", "  fetch: true\n")
    write_resnet38(tmp_path)
    result = snakemake(tmp_path, "--dry-run", config=config)
    assert result.returncode == 0, result.stdout
    assert jobs_of(result.stdout)["fetch_dataset"] == 1


@pytest.mark.parametrize(("name", "folder"), [("coco14", "COCO2014"), ("openimages30k", "OpenImages30k")])
def test_full_datasets_are_planned(snakemake: Snakemake, tmp_path: Path, name: str, folder: str) -> None:
    (tmp_path / "datasets" / folder).mkdir(parents=True)
    write_resnet38(tmp_path)
    config = REPOSITORY / f"configs/{name}.yaml"
    result = snakemake(tmp_path, "--dry-run", config=config)
    assert result.returncode == 0, result.stdout
    settings = yaml.safe_load(config.read_text())
    jobs = jobs_of(result.stdout)
    assert (
        jobs["make_maps"] == (1 + len({"val", "test"} & set(settings["evaluate"]["maps"]))) * settings["data"]["shards"]
    )
    assert jobs["embed_images"] == jobs["train_localizer"] == 1
    # With a score a split by the protocol of wsolevaluation, and the masks for it.
    splits = len(settings["evaluate"].get("localization", []))
    assert jobs.get("score_localization", 0) == jobs.get("make_localization_truth", 0) == splits
    assert jobs["make_truth"] == jobs["make_index"]


def test_a_file_of_captions_is_an_input_of_the_index(snakemake: Snakemake, tmp_path: Path) -> None:
    (tmp_path / "captions.jsonl").write_text("")
    config = changed(DEMO, tmp_path, "  format: demo\n", "  format: demo\n  captions: captions.jsonl\n")
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", config=config)
    assert result.returncode == 0, result.stdout
    assert "captions.jsonl" in result.stdout.split("rule make_index:")[1].split("output:")[0]
    assert '"captions":"captions.jsonl"' in result.stdout
    composed = result.stdout.split("rule compose:")[1].split("rule ")[0]
    assert "captions" not in composed  # the set is not composed anew


def test_a_users_csv_and_weights_are_inputs(snakemake: Snakemake, tiny_folder: Path) -> None:
    result = snakemake(tiny_folder, "--dry-run", config=TINY)
    assert result.returncode == 0, result.stdout
    assert "input: set/train.csv" in result.stdout
    assert "input: weights/cnn.safetensors" in result.stdout


def test_the_archive_for_voc_is_planned_from_test_and_refused_for_other_data(
    snakemake: Snakemake, tmp_path: Path
) -> None:
    list_voc(tmp_path)
    result = snakemake(tmp_path, "--dry-run", "voc_submission", config=REPOSITORY / "configs/voc12.yaml")
    assert result.returncode == 0, result.stdout
    jobs = jobs_of(result.stdout)
    assert jobs["predict"] == 32
    assert jobs["write_submission"] == 1
    refused = snakemake(tmp_path, "--dry-run", "voc_submission", config=DEMO)
    assert refused.returncode != 0
    assert "voc_submission: needs data.format `voc` and `test` in segment.predict (given: 'demo'" in refused.stdout
