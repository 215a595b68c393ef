"""Times the localization transformer as it is against the same under `torch.compile`; writes the figures as JSON.

The time of the first call, which compiles, is `<work>_first` in seconds; the rest are the times without over those
with `torch.compile`, in the precision that the machine trains in. Needs a C++ compiler on a CPU.

    python -m benchmarks.compiled --json figures.json
"""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.localize import Bench, bench_of, maps_together, training_step
from benchmarks.timing import OURS, seconds_of, time_ways
from stages.devices import autocast
from stages.files import write_json

log = logging.getLogger(__name__)


def training_ways(bench: Bench) -> tuple[Callable[[], None], Callable[[], None]]:
    """A training step without and with compiled losses, both with the machine's precision."""
    localizer = bench.ours.train()
    optimizer = torch.optim.AdamW(localizer.parameters(), lr=1e-5, weight_decay=0.05, fused=True)
    plain = localizer.losses
    compiled = torch.compile(plain, dynamic=False)

    def step(losses: Callable) -> Callable[[], None]:
        def run() -> None:
            # The module's own attribute would be compiled once for all.
            localizer.losses = losses  # type: ignore[method-assign]
            training_step(
                localizer,
                optimizer,
                bench.images,
                bench.labels,
                bench.embedding,
                precision=lambda: autocast(bench.device),
            )

        return run

    return step(plain), step(compiled)


def map_ways(bench: Bench) -> tuple[Callable[[], object], Callable[[], object]]:
    """The maps of a batch at every scale, mirrored, without and with compiled passes (one shape a scale)."""
    localizer = bench.ours.eval()
    plain = localizer.locate_each
    compiled = torch.compile(plain, dynamic=False)

    def maps(locate: Callable) -> Callable[[], object]:
        def run() -> object:
            localizer.locate_each = locate  # type: ignore[method-assign]
            with autocast(bench.device):
                return maps_together(localizer, bench)

        return run

    return maps(plain), maps(compiled)


def compare(bench: Bench, *, pairs: int) -> dict[str, float]:
    """`training` and `maps`: the time without over that with `torch.compile`; and the first calls' seconds."""
    figures: dict[str, float] = {}
    for name, ways in (("training", training_ways), ("maps", map_ways)):
        plain, compiled = ways(bench)
        figures[f"{name}_first"] = seconds_of(compiled, bench.device)
        log.info("%s: the first compiled call took %.0f s", name, figures[f"{name}_first"])
        seconds = time_ways({OURS: plain, "compiled": compiled}, pairs=pairs, device=bench.device)
        own, other = (sorted(seconds[way])[pairs // 2] for way in (OURS, "compiled"))
        figures[name] = own / other
    return figures


def run(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file for {name: figure}")
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which both ways are timed once")
    bench, args = bench_of(parser, arguments)
    figures = compare(bench, pairs=args.pairs)
    write_json(args.json, figures)
    print("\n".join(f"{name}: {figure:.3g}" for name, figure in figures.items()))


if __name__ == "__main__":
    run()
