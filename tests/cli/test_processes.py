"""What `tagmask run` says when it has ended."""

from pathlib import Path

from stages.cli.processes import ended
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
