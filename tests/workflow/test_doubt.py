"""The target `doubt`, through real Snakemake, on a finished run."""

from pathlib import Path

import pytest

from stages.evaluate.doubt_table import read_doubts
from stages.index import read_index
from tests.workflow.conftest import Snakemake
from tests.workflow.tiny import copy_run, jobs_of

pytestmark = pytest.mark.workflow


def test_every_mask_of_train_and_val_has_a_doubt(warm_snakemake: Snakemake, finished: Path, tmp_path: Path) -> None:
    folder = copy_run(finished, tmp_path / "copied")
    result = warm_snakemake(folder, "doubt")
    assert result.returncode == 0, result.stdout
    assert jobs_of(result.stdout) == {"predict": 4, "measure_doubt": 4, "join_doubts": 2, "make_gallery": 2, "doubt": 1}
    results = folder / "results/tiny"
    for split in ("train", "val"):
        tags = {record.id: set(record.labels) for record in read_index(results / f"data/{split}.csv")}
        doubts = read_doubts(results / f"evaluate/doubt-{split}.csv")
        assert {name: set(doubt.classes) for name, doubt in doubts.items()} == tags
        ranking = [doubt.whole.doubt for doubt in doubts.values()]
        assert ranking == sorted(ranking, reverse=True)
        assert 0 <= ranking[-1] < ranking[0] <= 1
        log = (folder / f"logs/tiny/evaluate/doubt-{split}.log").read_text()
        told = log.split("Look at these masks first")[1].splitlines()[1:]
        assert [line.split("  ")[1] for line in told] == list(doubts)[:10]
        page = (results / f"report/gallery-{split}.html").read_text()
        assert "doubtful first" in page
        assert all(f'"id":"{name}"' in page for name in tags)
        assert (results / f"report/gallery-{split}/0-pseudo-mask.png").is_file()
    assert jobs_of(warm_snakemake(folder, "--dry-run").stdout) == {}
