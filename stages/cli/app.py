"""What `tagmask` offers: each command builds one command line of Snakemake or of a stage, and runs it."""

import sys
import time
from contextlib import chdir
from pathlib import Path
from typing import Annotated

import typer

from stages.cli.export import add_export
from stages.cli.init import init
from stages.cli.places import config_in, existing, from_here, home
from stages.cli.processes import (
    INTERRUPTED,
    SHOWN,
    cores_words,
    ended,
    run_module,
    sets_more,
    shows_progress,
    snakemake_words,
)
from stages.cli.status import describe_status, read_summary, working_jobs
from stages.errors import TagmaskError
from stages.experiment import read_config, read_settings
from stages.plan.checks import checked_experiment
from stages.program import program

DEMO = Path("configs/demo.yaml")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From image tags to pixel masks. `tagmask run` makes everything that a config describes; the other commands"
    " look at data, progress and results. All of them are plain Snakemake and `python -m stages...` underneath."
    " Results are in the folder you are in, or in --directory; paths within a config are relative to that folder.",
)
Config = Annotated[
    Path,
    typer.Option(
        "--config", "-c", help="The experiment's config, or one of tagmask's own by its name, such as `demo`."
    ),
]
Folder = Annotated[Path, typer.Option(help="Folder with configs and results.", envvar="TAGMASK_HOME")]


def main() -> None:
    """Runs `tagmask`; an error is one line on stderr and exit status 1."""
    try:
        app()
    except TagmaskError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error


def call(*words: str | Path, folder: Path) -> None:
    """Runs a Python module in `folder` and passes its exit status on."""
    status = run_module(*words, folder=folder)
    if status:
        raise typer.Exit(status)


app.command()(init)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    config: Config = DEMO,
    cores: Annotated[str | None, typer.Option(help="Cores of this machine to use; default: all.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="What to make; may be given several times.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would run, and why.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Print what Snakemake prints, not a line per stage.")] = False,
    directory: Folder = Path(),
) -> None:
    """Make what a config describes, from data to report. Files that are up to date are kept.

    Examples:

      tagmask run                                             the demo

      tagmask run -c photos.yaml --cores 8                    another experiment

      tagmask run -n                                          what would run, and why

      tagmask run --target compare_refiners                   one of the tables

      tagmask run --forcerun make_masks                       further options are passed to Snakemake unchanged
    """
    began, targets = time.monotonic(), target or ["all"]
    more = [*cores_words(cores, context.args), *(["--dry-run"] if dry_run else []), *context.args]
    folder = home(directory)
    found = config_in(config, folder)
    # Of a config that it cannot parse, Snakemake prints a traceback; of wrong settings and missing files, lines of its
    # own around ours.
    settings = read_settings(folder / found)
    if not sets_more(context.args):
        with chdir(folder):
            checked_experiment(settings, source=str(found))
    if not plain and shows_progress(more):
        more += SHOWN
    try:
        call(*snakemake_words(found, folder, *more), *targets, folder=folder)
    except typer.Exit as failure:
        if failure.exit_code == INTERRUPTED:
            print("Stopped. What is finished is kept, and the same command goes on from there.", file=sys.stderr)
        raise
    if not dry_run:
        print("\n".join(ended(folder, settings, targets, time.monotonic() - began, more)))


@app.command()
def check(
    config: Config,
    sheets: Annotated[Path | None, typer.Option(help="Folder for contact sheets of the images.")] = None,
    directory: Folder = Path(),
) -> None:
    """Check a dataset before a run: counts by class, sizes, duplicates, and every file that cannot be used.

    Example:

      tagmask check -c photos.yaml --sheets sheets
    """
    folder = home(directory)
    more: list[str | Path] = ["--sheets", from_here(sheets, folder)] if sheets else []
    call("stages.data.check", "--config", config_in(config, folder), *more, folder=folder)


@app.command()
def status(config: Config = DEMO, directory: Folder = Path()) -> None:
    """Show for each step what is done, what is missing or stale and why, and what is running now.

    Example:

      tagmask status -c configs/voc12.yaml
    """
    folder = home(directory)
    found = config_in(config, folder)
    experiment = read_config(folder / found).experiment
    rows = read_summary(folder, found)
    print("\n".join(describe_status(rows, working_jobs(folder, experiment), experiment)))


@app.command()
def show(
    image: Annotated[Path, typer.Argument(help="A photo.")],
    classes: Annotated[
        str | None, typer.Option(help="Classes to draw, separated by commas; default: those found.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="results/<experiment>; default: the only one there is.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Take size and scales of the maps from it; default: the last whole run's."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The PNG to write.")] = None,
    directory: Folder = Path(),
) -> None:
    """Draw the localization maps of one photo, for each kind of token.

    Example:

      tagmask show photo.jpg --classes bird,flower
    """
    folder = home(directory)
    if folder.resolve() != Path.cwd():
        output = output or Path(f"{image.stem}-maps.png")
    options = {
        "--classes": classes,
        "--results": results and existing(results, folder),
        "--config": config and config_in(config, folder),
        "--output": output and from_here(output, folder),
    }
    words = [word for name, value in options.items() if value is not None for word in (name, value)]
    call("stages.localize.show", "--image", image.resolve(), *words, folder=folder)


@app.command()
def predict(
    images: Annotated[Path, typer.Argument(help="A folder of photos; subfolders, linked ones too, are searched.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for masks, overlays and areas.csv.")] = Path(
        "masks"
    ),
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Take scales, window and CRF from it.")] = None,
    segmenter: Annotated[
        Path | None, typer.Option(help="segmenter.safetensors; default: the only one there is.")
    ] = None,
    directory: Folder = Path(),
) -> None:
    """Predict masks of photos with a trained segmenter; no tags are needed.

    Example:

      tagmask predict photos -o masks -c configs/demo.yaml
    """
    folder = home(directory)
    options = {
        "--config": config and config_in(config, folder),
        "--segmenter": segmenter and (folder / existing(segmenter, folder)).resolve(),
    }
    words = [word for name, value in options.items() if value is not None for word in (name, value)]
    places = ("--images", images.resolve(), "--output", output.resolve())
    call("stages.segment.predict", *places, *words, folder=folder)


@app.command()
def report(config: Config = DEMO, cores: Annotated[str, typer.Option()] = "all", directory: Folder = Path()) -> None:
    """Make the report if it is missing or stale (with everything it shows), and print its path.

    Example:

      tagmask report -c configs/demo.yaml
    """
    folder = home(directory)
    found = config_in(config, folder)
    page = Path("results") / read_config(folder / found).experiment / "report/index.html"
    call(*snakemake_words(found, folder, "--cores", cores, "--quiet"), page, folder=folder)
    print((folder / page).resolve())


@app.command()
def where() -> None:
    """Print the folder of tagmask's own Snakefile, configs and profiles, to copy from.

    Example:

      cp -r "$(tagmask where)/profiles/slurm" profiles/
    """
    print(program())


add_export(app, lambda *words, folder: call(*words, folder=folder))
