"""A grid of settings becomes experiments; their scores one table."""

import csv
import subprocess
from pathlib import Path

import pytest
import yaml

from stages.errors import DataError, SettingsError
from stages.evaluate.scores import Score, write_score
from stages.sweep import combine, read_grid, run, write_tables

REPOSITORY = Path(__file__).parents[1]
DEMO = REPOSITORY / "configs/demo.yaml"


def grid_file(folder: Path, **changes) -> Path:
    content = {
        "name": "few",
        "config": str(DEMO),
        "grid": {"refine.background_threshold": [0.3, 0.4], "seed": [0, 1, 2]},
    }
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path


def test_every_combination_is_an_experiment_of_its_own(tmp_path: Path) -> None:
    combinations = combine(read_grid(grid_file(tmp_path)))
    assert [own.experiment for own in combinations] == [f"few-{number:02d}" for number in range(6)]
    assert combinations[4].changes == {"refine.background_threshold": 0.4, "seed": 1}
    assert combinations[4].config["refine"]["background_threshold"] == 0.4
    assert combinations[4].config["seed"] == 1
    assert combinations[4].config["store"] == "results/store"
    base = yaml.safe_load(DEMO.read_text())
    assert {**combinations[0].config["localize"]} == base["localize"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"grid": {"refine.backgroud_threshold": [0.3]}},
            r"demo\.yaml with refine\.backgroud_threshold = 0\.3.*did you",
        ),
        ({"grid": {"refine.background_threshold": [0.3, 7]}}, r"with refine\.background_threshold = 7"),
        ({"grid": {"seed.one": [1]}}, r"grid: seed\.one: `seed` is 0 in"),
        ({"grid": {}}, r"grid\.yaml: grid: Dictionary should have at least 1 item"),
        ({"gird": {}}, r"grid\.yaml: gird: Extra inputs"),
        ({"config": "nowhere.yaml"}, r"nowhere\.yaml: cannot be read as a config"),
    ],
)
def test_wrong_grids_are_refused_before_anything_runs(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        combine(read_grid(grid_file(tmp_path, **changes)))


def test_further_options_go_to_snakemake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def note(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stages.sweep.subprocess.run", note)
    grid = grid_file(tmp_path, grid={"seed": [0, 1]})
    run(["--grid", str(grid), "--workflow-profile", "slurm", "--dry-run", "--targets", "x", "y"])
    common = ["--workflow-profile", "slurm", "--dry-run", "--quiet", "--configfile"]
    configs = [f"results/sweeps/few/few-0{number}.yaml" for number in (0, 1)]
    assert [command[5:] for command in commands] == [[*common, config, "--", "x", "y"] for config in configs]


def test_one_table_of_all_scores(tmp_path: Path) -> None:
    combinations = combine(read_grid(grid_file(tmp_path, grid={"seed": [0, 1]})))
    with pytest.raises(DataError, match="have no scores"):
        write_tables(tmp_path, combinations, tmp_path / "results")
    for own, miou in zip(combinations, (50.0, 61.257), strict=True):
        score = Score(
            stage="pseudo_masks",
            split="val",
            images=3,
            miou=miou,
            per_class={},
            false_positives=0,
            false_negatives=0,
            threshold=0.4,
            threshold_source="fixed",
            seed=own.config["seed"],
        )
        write_score(tmp_path / "results" / own.experiment / "evaluate/pseudo_masks-val.json", score)
    # Of a split that was scored once, and which the config does not name any more.
    old = tmp_path / "results/few-00/evaluate"
    (old / "segmenter-train.json").write_bytes((old / "pseudo_masks-val.json").read_bytes())
    write_tables(tmp_path, combinations, tmp_path / "results")
    with (tmp_path / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [
        {"experiment": "few-00", "seed": "0", "pseudo_masks val": "50.00"},
        {"experiment": "few-01", "seed": "1", "pseudo_masks val": "61.26"},
    ]
    assert (tmp_path / "table.md").read_text().splitlines()[2:] == [
        "| few-00 | 0 | 50.00 |",
        "| few-01 | 1 | **61.26** |",
    ]
