"""Runs a grid of settings as experiments that share common results, and puts their scores into one table."""

import argparse
import copy
import itertools
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from stages.errors import DataError, SettingsError
from stages.evaluate.scores import read_score
from stages.evaluate.wsol_score import read_localization
from stages.experiment import read_experiment, read_settings
from stages.files import write_csv, write_text
from stages.program import or_own, program
from stages.repeated_keys import RepeatedKeyError, UniqueKeyLoader
from stages.runtime.command import describe, main
from stages.settings import EvaluateSettings, Strict
from stages.vocabulary import StageName

log = logging.getLogger(__name__)

STORE = "results/store"  # if the config names none
SNAKEFILE = program() / "Snakefile"


class Grid(Strict):
    """A grid file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="name of the sweep's folder and table"
    )
    config: Path = Field(description="config that the combinations change")
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        description="values by dotted setting, such as refine.background_threshold: [0.3, 0.4]", min_length=1
    )


@dataclass(frozen=True)
class Combination:
    """One experiment of a sweep: its name, its changes, its full config, and which of its results are scored."""

    experiment: str
    changes: Mapping[str, Any]
    config: Mapping[str, Any]
    scored: EvaluateSettings


def read_grid(path: Path) -> Grid:
    """Reads a grid file. Raises SettingsError that names file, setting and value."""
    try:
        return Grid.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeyLoader))
    except RepeatedKeyError as error:
        raise SettingsError(f"{path}: {error}") from error
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read as a grid ({error})") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: {describe(error)}") from error


def combine(grid: Grid) -> list[Combination]:
    """Every combination of the grid's values, the last setting changing fastest.

    Raises SettingsError for a config that cannot be read, and for a combination that is not a valid experiment.
    """
    base = dict(read_settings(or_own(grid.config)))
    combinations = []
    for number, values in enumerate(itertools.product(*grid.grid.values())):
        changes = dict(zip(grid.grid, values, strict=True))
        config = {**copy.deepcopy(base), "experiment": f"{grid.name}-{number:02d}"}
        config.setdefault("store", STORE)
        for setting, value in changes.items():
            *parents, last = setting.split(".")
            section = config
            for parent in parents:
                if not isinstance(section.setdefault(parent, {}), dict):
                    raise SettingsError(f"grid: {setting}: `{parent}` is {section[parent]!r} in {grid.config}")
                section = section[parent]
            section[last] = value
        words = ", ".join(f"{setting} = {value!r}" for setting, value in changes.items())
        checked = read_experiment(config, source=f"{grid.config} with {words}")
        combinations.append(Combination(checked.experiment, changes, config, checked.evaluate))
    return combinations


def find_scores(folder: Path, scored: EvaluateSettings) -> dict[str, float]:
    """The existing scores of an experiment, percent, by `<stage> <split>`; those of maps at their best threshold.

    Scores of splits that the config no longer names are left out: they are not kept up to date.
    """
    scores: dict[str, float] = {}
    stages: dict[StageName, Sequence[str]] = {
        "maps": scored.maps,
        "pseudo_masks": scored.maps,
        "segmenter": scored.segmenter,
        "upper_bound": scored.segmenter,
    }
    for stage, splits in stages.items():
        paths = {split: folder / f"evaluate/{stage}-{split}.json" for split in splits}
        scores |= {f"{stage} {split}": read_score(path).miou for split, path in paths.items() if path.is_file()}
    for path in (folder / f"evaluate/localization-{split}.json" for split in scored.localization):
        if path.is_file():
            own = read_localization(path)
            scores |= {f"PxAP {own.split}": own.pxap, f"pIoU {own.split}": own.piou}
    return scores


def write_tables(folder: Path, combinations: Sequence[Combination], results: Path) -> None:
    """Writes table.csv and table.md: a row per experiment with its changed settings and scores; the best in each column
    is bold."""
    scores = [find_scores(results / own.experiment, own.scored) for own in combinations]
    settings, columns = list(combinations[0].changes), list(dict.fromkeys(name for own in scores for name in own))
    if not columns:
        raise DataError(f"{results}: the experiments of the sweep have no scores; name splits in evaluate.maps")
    rows = [
        [
            own.experiment,
            *map(str, own.changes.values()),
            *(f"{found[name]:.2f}" if name in found else "" for name in columns),
        ]
        for own, found in zip(combinations, scores, strict=True)
    ]
    header = ["experiment", *settings, *columns]
    write_csv(folder / "table.csv", [header, *rows])
    best = {name: max(own[name] for own in scores if name in own) for name in columns}
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    for row, found in zip(rows, scores, strict=True):
        cells = [
            f"**{cell}**" if cell and found[name] == best[name] else cell
            for name, cell in zip(columns, row[1 + len(settings) :], strict=True)
        ]
        lines.append(" | ".join([*row[: 1 + len(settings)], *cells]))
    write_text(folder / "table.md", "".join(f"| {line} |\n" for line in lines))


def run_combination(config: Path, options: Sequence[str], targets: Sequence[str]) -> None:
    """Runs Snakemake on one config. Raises DataError when it fails; results are kept, and a rerun continues."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), *options, "--configfile", str(config)]
    log.info("%s", " ".join(command))
    if subprocess.run([*command, "--", *targets], check=False).returncode != 0:
        raise DataError(f"{config}: its run failed, see above; the same command continues from there")


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(
        description=__doc__, epilog="Further options go to Snakemake, such as --workflow-profile slurm."
    )
    options.add_argument("--grid", type=Path, required=True, help="YAML file with name, config and grid")
    options.add_argument("--targets", nargs="+", default=["all"], help="what to make of each experiment")
    options.add_argument("--dry-run", action="store_true", help="only show what would run")
    args, more = options.parse_known_args(arguments)
    more += ["--dry-run", "--quiet"] if args.dry_run else []
    grid = read_grid(args.grid)
    combinations = combine(grid)
    folder = Path("results/sweeps") / grid.name
    for own in combinations:
        config = folder / f"{own.experiment}.yaml"
        write_text(config, yaml.safe_dump(dict(own.config), sort_keys=False, allow_unicode=True))
        run_combination(config, more, args.targets)
    if not args.dry_run:
        write_tables(folder, combinations, Path("results"))
        print((folder / "table.md").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main(run)
