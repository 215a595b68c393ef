"""The state of an experiment in few lines."""

from pathlib import Path

import pytest

from stages.cli.status import Output, describe_status, read_summary, stage_of, state_of, why
from stages.errors import DataError
from tests.workflow.tiny import REPOSITORY, TINY, write_inputs


def output(path: str, state: str = "ok", *, stale: bool = False) -> Output:
    return Output(f"results/e/{path}", path.split("/")[-1].split(".")[0], state, stale)


def test_states_and_reasons() -> None:
    done, waiting = output("a"), output("a", stale=True)
    missing, changed = output("a", "missing", stale=True), output("a", "params changed", stale=True)
    assert [state_of(files) for files in ([done], [missing], [done, missing], [done, changed], [waiting])] == [
        "done",
        "missing",
        "partly",
        "stale",
        "stale",
    ]
    assert why([changed, missing, changed, waiting]) == "params changed (2), missing, waits for another step"


def test_stages_are_folders_of_the_results() -> None:
    assert stage_of("results/e/localize/maps/val/0.safetensors") == "localize"
    assert stage_of("results/e/provenance.json") == "report"


def test_the_table() -> None:
    outputs = [output("data/index.csv"), output("localize/train.x", "missing", stale=True)]
    assert list(describe_status(outputs, ["stages.localize.train"], "e")) == [
        "e: 1 of 2 files are there and right",
        "stage     step   done  state    why",
        "data      index  1/1   done",
        "localize  train  0/1   missing  missing",
        "running: stages.localize.train",
    ]


def test_snakemakes_summary_is_read(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    for name in ("Snakefile", "workflow", "stages", "configs", "environment.yml"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    outputs = read_summary(tmp_path, TINY)
    rules = {own.rule for own in outputs}
    assert {"make_index", "train_localizer", "make_masks", "score_maps", "make_page"} <= rules
    assert all(own.stale for own in outputs)
    assert {own.state for own in outputs} == {"missing"}
    (tmp_path / "wrong.yaml").write_text(TINY.read_text().replace("epochs", "epohcs"))
    with pytest.raises(DataError, match="localize.training.epohcs: no such setting"):
        read_summary(tmp_path, tmp_path / "wrong.yaml")
