"""`tagmask` for real: each command in a clone with a finished run, what it prints, and what it leaves."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.images import read_mask
from tests.workflow.tiny import SIZES, TINY, copy_run, environment, jobs_of

# One after another: each command finds the clone as the one before left it.
pytestmark = pytest.mark.workflow


def tagmask(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.cli", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def succeeds(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    done = tagmask(*words, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def clone(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished folder, which is a clone."""
    return copy_run(finished, tmp_path_factory.mktemp("clone") / "tagmask")


def test_a_dry_run_says_what_would_run_and_why(clone: Path) -> None:
    assert "Nothing to be done" in succeeds("run", "-n", "-c", TINY, folder=clone).stdout
    (clone / "changed.yaml").write_text(TINY.read_text().replace("panels: 2", "panels: 1"))
    done = succeeds("run", "-n", "-c", "changed.yaml", folder=clone)
    assert jobs_of(done.stdout) == dict.fromkeys(("make_page", "write_provenance", "write_cards", "all"), 1)
    assert "Params have changed since last execution" in done.stdout


def test_a_run_makes_what_is_asked_for_again(clone: Path) -> None:
    page = clone / "results/tiny/report/index.html"
    before = page.stat().st_mtime_ns
    done = succeeds("run", "-c", TINY, "--cores", "2", "--forcerun", "make_page", folder=clone)
    jobs = jobs_of(done.stderr)
    assert jobs["make_page"] == jobs["all"] == 1
    assert set(jobs) <= {"make_page", "write_provenance", "write_cards", "all"}
    assert page.stat().st_mtime_ns > before
    assert done.stdout.splitlines()[-2] == f"The page: {page.resolve()}"
    assert re.fullmatch(r"It took \d+ s\.|It took \d+ min \d+ s\.", done.stdout.splitlines()[-1])


def test_after_a_run_every_step_is_done(clone: Path) -> None:
    lines = succeeds("status", "-c", TINY, folder=clone).stdout.splitlines()
    made, of = map(int, re.match(r"tiny: (\d+) of (\d+) files are up to date", lines[0]).groups())
    assert made == of > 40
    rows = [line.split() for line in lines[2:-1]]
    assert {row[3] for row in rows} == {"done"}
    assert {"data", "encode", "localize", "refine", "segment", "evaluate", "report"} == {row[0] for row in rows}
    assert lines[-1] == "nothing is running on this machine"


def test_check_counts_and_draws_sheets(clone: Path) -> None:
    done = succeeds("check", "-c", TINY, "--sheets", "sheets", folder=clone)
    assert re.search(rf"\b{SIZES['train']} images\b", done.stdout + done.stderr), done.stdout + done.stderr
    assert {path.name for path in (clone / "sheets").iterdir()} >= {"train.jpg", "val.jpg"}


def test_predict_writes_a_mask_of_each_photo(clone: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("val-00.jpg", "val-01.jpg"):
        shutil.copy(clone / "set/images" / name, photos)
    succeeds("predict", photos, "-o", tmp_path / "masks", "-c", TINY, folder=clone)
    masks = sorted((tmp_path / "masks/masks").glob("*.png"))
    assert [mask.stem for mask in masks] == ["val-00", "val-01"]
    for mask in masks:
        assert read_mask(mask).shape == np.asarray(Image.open(photos / f"{mask.stem}.jpg")).shape[:2]
        assert set(np.unique(read_mask(mask))) <= {0, 1, 2}
    assert (tmp_path / "masks/areas.csv").is_file()


def test_show_draws_the_maps_of_a_photo(clone: Path) -> None:
    photo = clone / "set/images/val-02.jpg"
    succeeds("show", photo, "--classes", "red disc,blue square", "--output", "maps.png", folder=clone)
    with Image.open(clone / "maps.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 2 * Image.open(photo).width  # the photo, and maps beside it


def test_report_is_made_where_it_is_missing_and_its_place_printed(clone: Path) -> None:
    page = clone / "results/tiny/report/index.html"
    page.unlink()
    done = succeeds("report", "-c", TINY, "--cores", "2", folder=clone)
    assert done.stdout.splitlines()[-1] == str(page.resolve())
    assert page.stat().st_size > 10_000


def test_a_misspelt_setting_is_one_clear_line(clone: Path) -> None:
    (clone / "wrong.yaml").write_text(TINY.read_text().replace("decoder_channels: 8", "decoder_chanels: 8"))
    done = tagmask("run", "-c", "wrong.yaml", folder=clone)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "decoder_chanels" in line]
    assert said == [
        "error: wrong.yaml: segment.network.decoder_chanels: no such setting (given: 8);"
        " did you mean `segment.network.decoder_channels`?"
    ]
    assert done.stderr.splitlines() == said
