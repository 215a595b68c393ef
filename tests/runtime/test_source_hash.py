"""A command's hash follows its code, the code it imports and the data beside them, and nothing else."""

from pathlib import Path

import pytest

from stages.runtime.source_hash import MACHINERY, hash_of_command
from tests.workflow.tiny import REPOSITORY


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "stages/__init__.py": "",
        "stages/settings/__init__.py": "SIZE = 1\n",
        "stages/shared.py": "import json\n\n\ndef share():\n    return 1\n",
        "stages/runtime/watch.py": "from stages.lamp import light\n",
        "stages/lamp.py": "def light(): ...\n",
        "stages/cook/__init__.py": "",
        "stages/cook/boil.py": "import stages.settings, stages.runtime.watch\n"
        "from stages.cook.pot import fill\nfill(2)\n",
        "stages/cook/pot.py": "from stages import shared\n\n\ndef fill(size):\n    return shared.share()\n",
        "stages/cook/fry.py": "print(1)\n",
        "stages/cook/recipes/soup.csv": "water\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("stages/cook/boil.py", "from stages.cook.pot import fill\nfill(3)\n"),
        ("stages/cook/pot.py", "def fill(size):\n    return 3\n"),
        ("stages/shared.py", "def share():\n    return 2\n"),  # imported by an import
        ("stages/cook/recipes/soup.csv", "wine\n"),
    ],
)
def test_what_counts(project: Path, file: str, text: str) -> None:
    before = hash_of_command("stages.cook.boil", project)
    (project / file).write_text(text)
    assert hash_of_command("stages.cook.boil", project) != before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("stages/cook/fry.py", "print(2)\n"),  # not imported
        ("stages/settings/__init__.py", "SIZE = 2\n"),  # its values reach the command as --settings
        ("stages/runtime/watch.py", "print(2)\n"),  # how commands are run
        ("stages/lamp.py", "print(2)\n"),  # what only that imports
        ("stages/shared.py", '"""Shares."""\nimport json\n\n\ndef share():\n    """One."""\n    return 1\n'),
        ("stages/cook/pot.py", "# a pot\nfrom stages import shared\ndef fill(size): return shared.share()\n"),
    ],
)
def test_what_does_not_count(project: Path, file: str, text: str) -> None:
    before = hash_of_command("stages.cook.boil", project)
    (project / file).write_text(text)
    assert hash_of_command("stages.cook.boil", project) == before


def test_a_command_that_is_not_there(project: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"stages/cook/bake\.py"):
        hash_of_command("stages.cook.bake", project)


def test_the_machinery_is_there() -> None:
    for module in MACHINERY:
        assert (REPOSITORY / module.replace(".", "/")).with_suffix(".py").is_file()
