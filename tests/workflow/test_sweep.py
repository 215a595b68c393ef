"""A sweep through real Snakemake: experiments that differ in `refine` share what lies before it."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.files import sha256_of
from tests.workflow.conftest import Snakemake
from tests.workflow.tiny import TINY, environment, write_inputs

pytestmark = pytest.mark.workflow

SHARED = ("encode/text.log", "encode/image_embeddings.log", "localize/train.log", "localize/maps/val/0.log")
OWN = ("refine/masks/train/0.log", "segment/pseudo_masks/train.log")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, weights: Path, warm_environment: dict[str, str]) -> Path:
    """A folder after a sweep over two numbers of CRF iterations."""
    folder = write_inputs(tmp_path_factory.mktemp("sweep"), weights)
    (folder / "few.yaml").write_text(TINY.read_text().replace("  shards: 2\n", "  shards: 1\n"))
    grid = {"name": "crf", "config": "few.yaml", "grid": {"refine.crf.iterations": [2, 9]}}
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid))
    command = [sys.executable, "-m", "stages.sweep", "--grid", "grid.yaml", "--cores", "2"]
    done = subprocess.run(command, cwd=folder, env=warm_environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def taken(folder: Path, log: str) -> list[bool]:
    """Whether the two experiments' jobs took their outputs from the store."""
    logs = [folder / f"logs/crf-0{number}/{log}" for number in range(2)]
    assert all(path.is_file() for path in logs), log
    return ["taken from the store" in path.read_text() for path in logs]


def test_what_lies_before_refine_is_made_once(swept: Path) -> None:
    assert {log: taken(swept, log) for log in SHARED} == {key: [False, True] for key in SHARED}
    for name in ("localize/localizer.safetensors", "localize/maps/train/0.safetensors", "encode/text.safetensors"):
        first, second = (swept / f"results/crf-0{number}/{name}" for number in range(2))
        assert sha256_of(first) == sha256_of(second), name


def test_what_the_second_took_makes_nothing_of_the_first_stale(swept: Path, snakemake: Snakemake) -> None:
    result = snakemake(swept, "--dry-run", config=swept / "results/sweeps/crf/crf-00.yaml")
    assert "Nothing to be done" in result.stdout, result.stdout


def test_what_differs_is_made_anew(swept: Path) -> None:
    assert {log: taken(swept, log) for log in OWN} == {key: [False, False] for key in OWN}


def test_one_table_holds_both(swept: Path) -> None:
    with (swept / "results/sweeps/crf/table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["refine.crf.iterations"] for row in rows] == ["2", "9"]
    for number, row in enumerate(rows):
        score = json.loads((swept / f"results/crf-0{number}/evaluate/pseudo_masks-val.json").read_text())
        assert row["pseudo_masks val"] == f"{score['miou']:.2f}"


def test_provenance_says_what_both_came_from(swept: Path) -> None:
    first, second = (json.loads((swept / f"results/crf-0{number}/provenance.json").read_text()) for number in range(2))
    assert first["splits"] == second["splits"]
    assert first["splits"]["train"]["images"] == 12
    encoder = swept / "results/crf-00/encode/weights/test_efficientnet.safetensors"
    assert first["inputs_sha256"] == {
        "encode/weights/test_efficientnet.safetensors": sha256_of(encoder),
        "weights/clip.safetensors": sha256_of(swept / "weights/clip.safetensors"),
    }
    assert first["settings"]["refine"]["crf"]["iterations"] == 2
    assert first["seed"] == 3
    same = {name for name, value in first["outputs_sha256"].items() if second["outputs_sha256"][name] == value}
    assert "localize/localizer.safetensors" in same
    masks = swept / "results/crf-00/evaluate/pseudo_masks-val.json"
    assert first["outputs_sha256"]["evaluate/pseudo_masks-val.json"] == sha256_of(masks)


def test_cleaning_keeps_what_results_use(swept: Path) -> None:
    command = [sys.executable, "-m", "stages.runtime.clean_store", "--store", "results/store", "--delete"]
    done = subprocess.run(command, cwd=swept, env=environment(), capture_output=True, text=True, check=True)
    assert "0 of them" in done.stdout
    assert "deleted 0 entries" in done.stdout
