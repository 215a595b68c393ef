"""A training over several processes: one that fails ends the command in one line."""

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from stages.runtime import launch


def test_a_failed_process_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def torchrun(words: list[str]) -> None:
        raise ChildFailedError("train", {1: ProcessFailure(local_rank=1, pid=7, exitcode=1, error_file="")})

    monkeypatch.setattr(launch, "torchrun", torchrun)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(SystemExit) as ended:
        launch.relaunch("stages.localize.train", 2, [])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: process 1 of 2 ended with 1; see its message above\n"
