"""The tables that `all` does not make, through real Snakemake: upper bound, seeds of the segmenter, ablations."""

import csv
import json
from pathlib import Path

import pytest

from stages.variants import ABLATIONS
from tests.workflow.conftest import Snakemake
from tests.workflow.tiny import SIZES, TINY, copy_run, jobs_of, write_inputs

pytestmark = pytest.mark.workflow


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_upper_bound_and_seeds_of_the_segmenter_stand_beside_it(
    warm_snakemake: Snakemake, finished: Path, tmp_path: Path
) -> None:
    folder = copy_run(finished, tmp_path / "copied")
    config = folder / "seeds.yaml"
    config.write_text(TINY.read_text() + "\ncompare:\n  segmenter_seeds: [4]\n")
    result = warm_snakemake(folder, "upper_bound", "compare_segmenters", config=config)
    assert result.returncode == 0, result.stdout
    jobs = jobs_of(result.stdout)
    # One on true masks for the bound, and another seed on both kinds.
    assert jobs["train_segmenter"] == 1 + 2
    evaluate = folder / "results/tiny/evaluate"
    bound = json.loads((evaluate / "upper_bound-val.json").read_text())
    assert (bound["stage"], bound["split"], bound["images"]) == ("upper_bound", "val", SIZES["val"])
    assert "upper_bound" in {row["stage"] for row in rows_of(evaluate / "upper_bound.csv")}
    assert (folder / "results/tiny/report/upper_bound.html").stat().st_size > 10_000
    rows = {(row["row"], row["split"]): row for row in rows_of(evaluate / "compare_segmenters.csv")}
    for kind in ("trained on them", "trained on true masks"):
        for split in ("val", "test"):
            row = rows[f"segmenter {kind}", split]
            assert (row["images"], row["seeds"]) == (str(SIZES[split]), "4")
            assert 0 <= float(row["miou"]) <= 100


def test_the_papers_ablations_are_two_tables(warm_snakemake: Snakemake, weights: Path, tmp_path: Path) -> None:
    folder = write_inputs(tmp_path, weights)
    names = [f"{split}-{number:02d}" for split, count in SIZES.items() for number in range(count)]
    captions = "\n".join(json.dumps({"id": name, "caption": "a disc or a square"}) for name in names)
    (folder / "captions.jsonl").write_text(captions + "\n")
    text = TINY.read_text().replace("  shards: 2\n", "  shards: 1\n  captions: captions.jsonl\n")
    config = folder / "ablations.yaml"
    config.write_text(text + "\ncompare:\n  seeds: [3]\n")
    result = warm_snakemake(folder, "ablation_tokens", "ablation_context", config=config)
    assert result.returncode == 0, result.stdout
    jobs = jobs_of(result.stdout)
    # Four and five rows; both last ones are the experiment's own, and global multi-modal tokens are in both tables.
    assert jobs["train_localizer"] == 4 + 5 - 2
    for name, expected in ABLATIONS.items():
        table = rows_of(folder / f"results/tiny/evaluate/ablation_{name}.csv")
        assert [row["row"] for row in table] == [row.title for row in expected]
        assert all(0 <= float(row["miou"]) <= 100 for row in table)
        assert (folder / f"results/tiny/report/ablation_{name}.html").is_file()
