"""The tables that compare variants of a stage: their rows, and the scores and pictures of each."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from stages.plan.localizers import Localizer, Localizers
from stages.plan.refiners import Refiner, Refiners
from stages.settings import Experiment
from stages.variants import TABLES, Row, refiner_rows, table_rows

TITLES = {
    "ablation_tokens": "Class tokens",
    "ablation_context": "Visual context and image-language context",
    "compare_localizers": "Localizers",
    "compare_refiners": "Refinement",
}


@dataclass(frozen=True)
class TableRow:
    """A row of a table: its text, and the localizer or refiner behind it for each of its seeds."""

    name: str
    row: Row
    seeds: list[Localizer] | list[Refiner]


class Table:
    """A table of localizers or refiners on the split that `compare.split` names."""

    def __init__(self, name: str, split: str, rows: list[TableRow]) -> None:
        self.name, self.split, self.rows = name, split, rows
        self.title = TITLES[name]

    @property
    def scores(self) -> list[str]:
        """The scores of all rows and seeds."""
        return [one.score(self.split) for row in self.rows for one in row.seeds]

    @property
    def pictures(self) -> list[str]:
        """What its page shows side by side: the maps, or masks, of each row's first seed."""
        return [path for row in self.rows for path in self._pictures(row.seeds[0])]

    @property
    def specification(self) -> str:
        """The rows as JSON: their text, and the files of each seed."""
        return json.dumps([self._describe(row) for row in self.rows])

    @property
    def trained(self) -> list[Localizer]:
        """The localizer of each row's first seed."""
        return [row.seeds[0] for row in self.rows if isinstance(row.seeds[0], Localizer)]

    def _pictures(self, one: Localizer | Refiner) -> list[str]:
        return one.maps(self.split) if isinstance(one, Localizer) else one.masks(self.split)

    def _describe(self, row: TableRow) -> dict[str, object]:
        first = row.seeds[0]
        described: dict[str, object] = {
            "name": row.name,
            "title": row.row.title,
            "published": row.row.published,
            "scores": [one.score(self.split) for one in row.seeds],
            ("maps" if isinstance(first, Localizer) else "masks"): self._pictures(first),
        }
        if self.name == "compare_localizers" and isinstance(first, Localizer):
            described["curves"] = [one.curves for one in row.seeds if isinstance(one, Localizer)]
            described["benchmarks"] = [one.benchmark for one in row.seeds if isinstance(one, Localizer)]
            described["epochs"] = first.settings.training.epochs
        return described


def all_tables(experiment: Experiment, localizers: Localizers, refiners: Refiners) -> dict[str, Table]:
    """Every table by its name, which is also its target."""
    compare = experiment.compare

    def table(name: str, rows: dict[str, Row], seeds: Callable[[str], list[Localizer] | list[Refiner]]) -> Table:
        return Table(name, compare.split, [TableRow(own, row, seeds(own)) for own, row in rows.items()])

    found = {}
    for name in TABLES:
        seeds = compare.localizer_seeds if name == "compare_localizers" else compare.seeds
        found[name] = table(
            name,
            table_rows(experiment, name),
            lambda row, seeds=seeds: localizers.of_row(row, seeds),  # type: ignore[misc]
        )
    return found | {"compare_refiners": table("compare_refiners", refiner_rows(experiment), refiners.of_row)}
