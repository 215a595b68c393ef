"""What `tagmask run` says when it has ended, and how it ends."""

import os
import signal
import threading
from pathlib import Path

import pytest

from stages.cli.app import app
from stages.cli.processes import INTERRUPTED, ended, run_module
from stages.data.left_out import LeftOut, write_left_out


def test_images_that_were_left_out_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "results/few/data/left_out"
    folder.mkdir(parents=True)
    write_left_out(
        folder / "train.csv", [LeftOut("a", "a.jpg", "a.jpg: no such image"), LeftOut("b", "b.jpg", "broken")]
    )
    write_left_out(folder / "val.csv", [])
    said = ended(tmp_path, {"experiment": "few"}, ["all"], 61, [])
    assert said == [
        f"Left out of train: 2 images; the first is a (a.jpg: no such image). All are in {folder / 'train.csv'}",
        "It took 1 min 1 s.",
    ]


def test_after_ctrl_c_a_run_ends_as_shells_say_it(tmp_path: Path) -> None:
    """The module gets the terminal's signal too, and ends when it has put its things away."""
    script = "import os, time\nopen('began', 'w').write(str(os.getpid()))\ntry:\n    time.sleep(60)\n"
    script += "except KeyboardInterrupt:\n    open('ended', 'w').close()\n    raise SystemExit({status})\n"
    for name, status in (("kept", 1), ("done", 0)):
        (tmp_path / f"{name}.py").write_text(script.format(status=status))
        (tmp_path / "began").unlink(missing_ok=True)

        def interrupt() -> None:
            while not (tmp_path / "began").exists() or not (module := (tmp_path / "began").read_text()):
                threading.Event().wait(0.05)
            for process in (os.getpid(), int(module)):
                os.kill(process, signal.SIGINT)

        terminal = threading.Thread(target=interrupt)
        terminal.start()
        assert run_module(name, folder=tmp_path) == (INTERRUPTED if status else 0)
        terminal.join()
        assert (tmp_path / "ended").exists()


def test_after_ctrl_c_it_is_said_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("stages.cli.app.run_module", lambda *words, folder: INTERRUPTED)
    with pytest.raises(SystemExit) as ended:
        app(["run", "--config", "demo"])
    assert ended.value.code == INTERRUPTED
    said = "Stopped. What is finished is kept, and the same command goes on from there.\n"
    assert capsys.readouterr() == ("", said)
