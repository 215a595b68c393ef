"""Measures how many images per second several localizers turn into maps, taking turns on the same images."""

import json
import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from stages.devices import pick_device
from stages.files import write_json
from stages.index import read_index
from stages.localize.checkpoint import load_localizer
from stages.localize.inference import make_maps
from stages.runtime.command import main, parse_settings, parser
from stages.settings import LocalizeSettings

log = logging.getLogger(__name__)


def rates_in_turn(runs: dict[str, Callable[[], int]], *, rounds: int) -> dict[str, float]:
    """Images per second of each run, the median over `rounds` in which they take turns, after one uncounted round.

    A run returns its number of images. They take turns because a machine's speed changes during the measurement.
    """
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            images = run()
            if number:
                rates[name].append(images / (time.perf_counter() - start))
    return {name: statistics.median(own) for name, own in rates.items()}


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "index", "root", many=("localizers",), outputs=("output",))
    options.add_argument("--names", nargs="+", required=True, help="a name for each localizer")
    options.add_argument("--images", type=int, default=32, help="first images of the index that are used")
    options.add_argument("--rounds", type=int, default=3)
    args = options.parse_args(arguments)
    settings = json.loads(args.settings)
    records = read_index(args.index)[: args.images]
    device = pick_device()

    def turn(name: str, path: Path) -> Callable[[], int]:
        own = parse_settings(LocalizeSettings, json.dumps(settings[name]))
        localizer, classes = load_localizer(path, own)
        return lambda: len(
            list(make_maps(records, args.root, localizer=localizer, classes=classes, settings=own, device=device))
        )

    runs = {name: turn(name, path) for name, path in zip(args.names, args.localizers, strict=True)}
    rates = rates_in_turn(runs, rounds=args.rounds)
    write_json(args.output, {"device": str(device), "images": len(records), "images_per_second": rates})
    log.info("images/s: %s", ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items()))


if __name__ == "__main__":
    main(run)
