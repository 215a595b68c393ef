"""What the tests take for granted: plans and jobs without their start say and leave what real ones do."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.workflow.planner import Planner
from tests.workflow.tiny import TINY, command, environment, jobs_of

CLASSES = {"format": "csv", "root": "x", "classes": ["cat", "dog"]}


def plan_really(words: list[str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def test_a_plan_is_what_a_started_snakemake_says(planner: Planner, tiny_folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(TINY.read_text().replace("epochs", "epohcs"))
    for config, status in ((TINY, 0), (wrong, 1)):
        words = command("--dry-run", "--printshellcmds", config=config)
        expected, found = plan_really(words, tiny_folder), planner.run(words, tiny_folder, environment())
        assert expected[0] == found[0] == status
        assert jobs_of(expected[1]) == jobs_of(found[1])
        told = [
            sorted(line for line in text.splitlines() if re.search("python -m|input:|output:|epohcs", line))
            for _, text in (expected, found)
        ]
        assert told[0] == told[1]
        assert told[0]


@pytest.mark.parametrize(
    ("settings", "status"),
    [(json.dumps(CLASSES), 0), (json.dumps(CLASSES | {"classes": ["cat", "cat"]}), 1), ("{", 1)],
)
def test_a_job_ends_as_a_started_one(
    warm_environment: dict[str, str], tmp_path: Path, settings: str, status: int
) -> None:
    told = []
    for name, own in (("really", environment()), ("warm", warm_environment)):
        folder = tmp_path / name
        folder.mkdir()
        words = ["python", "-m", "stages.data.list_classes", "--settings", settings, "--output", "out/classes.txt"]
        # By a shell, as Snakemake starts it.
        done = subprocess.run(
            ["bash", "-c", '"$@" &> log', "-", *words], cwd=folder, env=own, stdin=subprocess.DEVNULL, check=False
        )
        made = (folder / "out/classes.txt").read_text() if status == 0 else None
        told.append((done.returncode, (folder / "log").read_text(), made))
    assert told[0] == told[1]
    assert told[0][0] == status


def test_anything_else_is_for_the_real_python(warm_environment: dict[str, str]) -> None:
    words = ["python", "-c", "import sys; print(sys.argv[1:], 'torch' in sys.modules)", "a b"]
    done = subprocess.run(words, env=warm_environment, capture_output=True, text=True, check=True)
    assert done.stdout == "['a b'] False\n"
