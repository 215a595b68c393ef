"""`tagmask export`: masks for annotation tools and trainers."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stages.cli.places import config_in, existing, from_here, home
from stages.report.export_choices import Format, Masks

Call = Callable[..., None]


def add_export(app: typer.Typer, call: Call) -> None:
    """Adds the command. call: runs a stage's command."""

    @app.command()
    def export(
        results: Annotated[Path, typer.Argument(help="results/<experiment>.")],
        output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write; must be new or empty.")],
        format: Annotated[Format, typer.Option(help="COCO JSON, labelme JSON, YOLO segmentation or indexed PNG.")],
        masks: Annotated[
            Masks, typer.Option(help="Pseudo masks use the tags, predictions do not.")
        ] = Masks.pseudo_masks,
        splits: Annotated[
            str | None, typer.Option(help="Splits, separated by commas; default: all that have such masks.")
        ] = None,
        rle: Annotated[bool, typer.Option("--rle", help="COCO: run lengths, which keep every pixel.")] = False,
        tolerance: Annotated[
            float | None, typer.Option(help="Pixels by which polygons may cut corners; 0 keeps them all.")
        ] = None,
        smallest: Annotated[
            int | None, typer.Option(help="Leave out regions of fewer pixels: specks that one would delete by hand.")
        ] = None,
        config: Annotated[
            Path | None, typer.Option("--config", "-c", help="The experiment's config; default: the last whole run's.")
        ] = None,
        directory: Annotated[
            Path, typer.Option(help="Folder with configs and results.", envvar="TAGMASK_HOME")
        ] = Path(),
    ) -> None:
        """Write masks for annotation tools: to look at, to mend, or to train something else.

        Example:

          tagmask export results/demo --format labelme -o to-mend
        """
        folder = home(directory)
        options = {
            "--splits": splits,
            "--tolerance": tolerance,
            "--smallest": smallest,
            "--config": config and config_in(config, folder),
        }
        words = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
        words += ["--rle"] if rle else []
        places = ("--results", existing(results, folder), "--output", from_here(output, folder))
        call("stages.report.export_masks", *places, "--format", format, "--masks", masks, *words, folder=folder)
