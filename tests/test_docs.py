"""The pages: commands that are run by a test or marked, messages that the program has, links that lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stages.settings_page import page_text

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PROGRAMS = ("make", "snakemake", "python", "tagmask", "pre-commit", "tensorboard", "squeue", ".")
MARK = re.compile(r"#.*(\blong\b|\bneeds\b)")
# Commands without a mark, and the test that runs them, or what stands for it.
RUN_BY = {
    r"\. \.venv/bin/activate|make environment|pre-commit install": ".ci/run",
    r"snakemake -n all": "tests/workflow/test_plans.py::test_the_demo_is_planned_from_data_to_report",
    r"snakemake all --report": "tests/workflow/test_tiny.py::test_snakemakes_own_report_is_written",
    r"tagmask status": "tests/cli/test_status.py::test_snakemakes_summary_is_read",
    r"tagmask (run -n|check|predict|show|report)": "tests/cli/test_app.py::test_the_others_are_commands_of_stages",
    r"python -m stages\.segment\.export": "tests/segment/test_export.py",
    r"python -m stages\.segment\.predict .*demo": "tests/segment/test_predict.py",
    r"python -m stages\.clean_store": "tests/workflow/test_sweep.py::test_cleaning_keeps_what_results_use",
    r"(python -m stages\.(data\.check|segment\.predict)|snakemake) .*photos": (
        "tests/workflow/test_miniatures.py::test_the_tutorial_of_photos_step_by_step"
    ),
}


def commands_of(page: Path) -> list[str]:
    """The commands in a page's blocks of code, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```(?:bash|sh)?\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.split(" ")[0] in PROGRAMS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_run_by_a_test_or_marked(page: Path) -> None:
    unknown = [
        command
        for command in commands_of(page)
        if not MARK.search(command) and not any(re.match(pattern, command) for pattern in RUN_BY)
    ]
    assert unknown == []


@pytest.mark.parametrize("place", sorted(set(RUN_BY.values())))
def test_the_tests_that_run_them_are_there(place: str) -> None:
    path, _, name = place.partition("::")
    assert f"def {name}(" in (REPOSITORY / path).read_text() if name else (REPOSITORY / path).is_file()


def test_there_are_commands_to_look_at() -> None:
    assert len(commands_of(REPOSITORY / "README.md")) > 15


def test_every_message_of_the_troubleshooting_page_is_one_of_the_program() -> None:
    files = [*(REPOSITORY / "stages").rglob("*.py"), *(REPOSITORY / "workflow").rglob("*.smk")]
    # Strings that go on over a line are joined as Python joins them.
    source = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in files))
    page = (REPOSITORY / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.split("## Results")[0].splitlines() if line.startswith("| `")]
    messages = [text for row in rows for text in re.findall(r"`([^`]+)`", row) if "(by torch)" not in row]
    assert len(messages) > 25
    assert [message for message in messages if message not in source] == []


def test_the_reference_is_that_of_the_settings() -> None:
    assert (REPOSITORY / "docs/settings.md").read_text(encoding="utf-8") == page_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ".mkdocs.yml"]
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path / "site")], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis" not in page
    assert "fonts.gstatic" not in page
