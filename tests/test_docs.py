"""The pages: commands that are run by a test or marked, messages that the program has, links that lead somewhere."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages import methods_page, settings_page
from tests.workflow.tiny import environment

REPOSITORY = Path(__file__).parents[1]
BENCHMARKS = REPOSITORY / "benchmarks/README.md"
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
    BENCHMARKS,
]
PROGRAMS = ("make", "snakemake", "python", "tagmask", "pre-commit", "tensorboard", "squeue", "scancel", "conda", ".")
# What a test cannot have.
MARK = re.compile(r"#.*\bneeds (a GPU|GPUs|a cluster|the dataset|internet|ten to fifteen minutes|half an hour)\b")
# Commands without a mark, and the test that runs them: the same words or, where they are the demo's, the same target on
# the tiny data.
WORKFLOW = "tests/workflow"
LINE = f"{WORKFLOW}/test_command_line.py"
RUN_BY = {
    r"\. \.venv/bin/activate|make (environment|tools|test)\b": ".ci/run",
    r"pre-commit install": "tests/workflow/test_repository.py::test_a_commit_is_checked_once_pre_commit_is_installed",
    r"snakemake --cores 8 all +#": f"{WORKFLOW}/test_tiny.py::test_every_stage_leaves_its_files",
    r"snakemake --cores 8 --forcerun make_masks -- all": f"{LINE}::test_a_run_makes_what_is_asked_for_again",
    r"snakemake --cores 8 (upper_bound|compare_segmenters)": (
        f"{WORKFLOW}/test_tables.py::test_the_upper_bound_and_seeds_of_the_segmenter_stand_beside_it"
    ),
    r"snakemake --cores 8 doubt": f"{WORKFLOW}/test_doubt.py::test_every_mask_of_train_and_val_has_a_doubt",
    r"snakemake --cores 8 compare_localizers": f"{WORKFLOW}/test_tiny.py::test_localizers_are_compared_in_one_table",
    r"snakemake --cores 8 compare_refiners": f"{WORKFLOW}/test_refiners.py::test_the_table_has_a_row_for_each_way",
    r"snakemake --cores 8 ablation_tokens ablation_context": (
        f"{WORKFLOW}/test_tables.py::test_the_papers_ablations_are_two_tables"
    ),
    r"snakemake -n all +#": f"{WORKFLOW}/test_plans.py::test_the_demo_is_planned_from_data_to_report",
    r"snakemake all --report": f"{WORKFLOW}/test_tiny.py::test_snakemakes_own_report_is_written",
    r"tagmask run -n": f"{LINE}::test_a_dry_run_says_what_would_run_and_why",
    r"tagmask run --cores 2": f"{LINE}::test_a_run_makes_what_is_asked_for_again",
    r"tagmask status": f"{LINE}::test_after_a_run_every_step_is_done",
    r"tagmask check": f"{LINE}::test_check_counts_and_draws_sheets",
    r"tagmask predict": f"{LINE}::test_predict_writes_a_mask_of_each_photo",
    r"tagmask show": f"{LINE}::test_show_draws_the_maps_of_a_photo",
    r"make wheel|tagmask where": f"{WORKFLOW}/test_wheel.py::test_it_says_where_it_is",
    r"tagmask export": f"{WORKFLOW}/test_mending.py::test_mended_masks_are_learned_and_nothing_before_is_made_again",
    r"tagmask report": f"{LINE}::test_report_is_made_where_it_is_missing_and_its_place_printed",
    r"python -m stages\.segment\.export": "tests/segment/test_export.py",
    r"python -m stages\.segment\.predict .*demo": "tests/segment/test_predict.py",
    r"python -m stages\.runtime\.clean_store": f"{WORKFLOW}/test_sweep.py::test_cleaning_keeps_what_results_use",
    r"python -m stages\.sweep": f"{WORKFLOW}/test_sweep.py::test_one_table_holds_both",
    r"tagmask (init|check|run|predict) .*photos": (
        f"{WORKFLOW}/test_miniatures.py::test_the_tutorial_of_photos_step_by_step"
    ),
}


def commands_of(page: Path) -> list[str]:
    """The commands in a page's blocks of code, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    shell = [block for language, block in blocks if language in ("", "bash", "sh")]
    lines = [line.strip() for block in shell for line in block.replace("\\\n", " ").splitlines()]
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


@pytest.mark.parametrize(
    ("page", "at_least"), [("docs/running.md", 18), ("docs/cluster.md", 8), ("docs/experiments.md", 3)]
)
def test_there_are_commands_to_look_at(page: str, at_least: int) -> None:
    assert len(commands_of(REPOSITORY / page)) >= at_least


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_and_targets_that_a_page_names_are_there(page: Path) -> None:
    text = " ".join(page.read_text(encoding="utf-8").split())
    modules = set(re.findall(r"python -m ((?:stages|benchmarks|tests)[\w.]*\w)", text)) - {"stages"}
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|[`(] ?)make ([a-z][\w-]*)\b", text)) <= targets


PLANNED = [
    command
    for page in PAGES
    for command in commands_of(page)
    if command.startswith("snakemake") and re.search(r"--configfile configs/(voc12(-[\w-]+)?|coco14)\.yaml", command)
]


@pytest.fixture(scope="module")
def made_up_datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with as much of VOC and COCO as planning looks at; COCO's config fetches, as its page says."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Snakefile", "workflow", "profiles", "stages", "environment.yml"):
        (folder / name).symlink_to(REPOSITORY / name)
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    config = folder / "configs/coco14.yaml"
    config.write_text(config.read_text().replace("  fetch: false\n", "  fetch: true\n"))
    lists = folder / "datasets/VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n")
    (folder / "datasets/res38_cls.pth").touch()
    return folder


@pytest.mark.workflow
@pytest.mark.parametrize("command", PLANNED)
def test_what_needs_a_dataset_is_planned_without_it(command: str, made_up_datasets: Path) -> None:
    dry = "" if "--unlock" in command else "--dry-run --quiet"
    done = subprocess.run(
        ["bash", "-c", command.replace("snakemake", f"snakemake {dry}", 1)],
        cwd=made_up_datasets,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_message_of_the_troubleshooting_page_is_one_of_the_program() -> None:
    files = [*(REPOSITORY / "stages").rglob("*.py"), *(REPOSITORY / "workflow").rglob("*.smk")]
    # Strings that go on over a line are joined as Python joins them.
    source = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in files))
    page = (REPOSITORY / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.split("## Results")[0].splitlines() if line.startswith("| `")]
    messages = [text for row in rows for text in re.findall(r"`([^`]+)`", row) if "(by torch)" not in row]
    assert len(messages) > 25
    assert [message for message in messages if message not in source] == []


def test_the_tests_that_hold_mended_inputs_are_there() -> None:
    text = (REPOSITORY / "docs/bad-inputs.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    assert len(named) > 20
    assert sorted(name for name in named if not (REPOSITORY / "tests" / name).is_file()) == []


def test_references_are_those_of_settings_and_records() -> None:
    assert (REPOSITORY / "docs/settings.md").read_text(encoding="utf-8") == settings_page.page_text()
    assert (REPOSITORY / "docs/methods.md").read_text(encoding="utf-8") == methods_page.page_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (page.parent / link).exists()] == []


# On the site there is no such page; in the repository the link leads to it.
OUTSIDE = {"../README.md"}


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ".mkdocs.yml"]
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path / "site")],
        cwd=REPOSITORY,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Documentation built" in done.stderr  # so that what follows looks at mkdocs' messages
    assert set(re.findall(r"contains (?:a|an \w+) link '([^']+)'", done.stderr)) <= OUTSIDE
    page = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis" not in page
    assert "fonts.gstatic" not in page
    adding = (tmp_path / "site/adding.html").read_text(encoding="utf-8")
    assert all(f'id="a-{part}"' in adding for part in ("dataset", "localizer", "refiner", "segmenter"))
