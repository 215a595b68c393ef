"""Times the random walk from features to walked scores, against the dense matrix squared; writes the ratios as JSON.

The plain way gathers both nodes of each pair, fills the dense matrix and squares it, as PSA's program does. Both
results are held against each other. To time another program on the same numbers, `--inputs` keeps the features and
scores, and `--walked` what our walk makes of them.

    python -m benchmarks.walk --json ratios.json
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.timing import OURS, TABLE_HEAD, Way, ratios_to_ours
from stages.files import write_json
from stages.refine.affinity_pairs import node_pairs, pair_affinities
from stages.refine.random_walk import reversible_walk
from stages.refine.transitions import transition_matrix

RADIUS = 5
BETA = 8.0
CPU = torch.device("cpu")


def made_up(rows: int, columns: int, channels: int, labels: int) -> dict[str, Tensor]:
    """Features [1, D, rows, columns] with affinities between 0.3 and 1, and scores [labels, N] in [0, 1]."""
    coarse = torch.randn(1, channels, rows // 4 + 1, columns // 4 + 1)
    smooth = torch.nn.functional.interpolate(coarse, (rows, columns), mode="bilinear")
    features = torch.nn.functional.elu(smooth + 0.1 * torch.randn(1, channels, rows, columns))
    return {"features": features, "scores": torch.rand(labels, rows * columns)}


def ours(inputs: dict[str, Tensor], doublings: int) -> Tensor:
    """Affinities of pairs by windows of the grid, a sparse matrix, products with the scores."""
    grid = (inputs["features"].shape[2], inputs["features"].shape[3])
    affinities = pair_affinities(inputs["features"], RADIUS)[0]
    transitions = transition_matrix(affinities, grid, RADIUS, beta=BETA)
    return reversible_walk(inputs["scores"], transitions, doublings=doublings)


def plain(inputs: dict[str, Tensor], doublings: int) -> Tensor:
    """Affinities of gathered pairs, a dense matrix, squared."""
    rows, columns = inputs["features"].shape[2:]
    first, second = node_pairs(rows, columns, RADIUS)
    nodes = inputs["features"].flatten(2)
    distances = (nodes.index_select(2, first) - nodes.index_select(2, second)).abs().mean(dim=1)[0]
    matrix = torch.eye(rows * columns)
    matrix[first, second] = matrix[second, first] = torch.exp(-distances) ** BETA
    matrix = matrix / matrix.sum(dim=1, keepdim=True)
    for _ in range(doublings):
        matrix = matrix @ matrix
    return inputs["scores"] @ matrix.T


def ways(inputs: dict[str, Tensor], doublings: int) -> dict[str, Way]:
    """Both walks of 2^doublings steps, once they are known to be equal."""
    torch.testing.assert_close(ours(inputs, doublings), plain(inputs, doublings), rtol=1e-4, atol=1e-6)
    rows, columns = inputs["features"].shape[2:]
    return {
        OURS: lambda: ours(inputs, doublings),
        f"walk_{rows}x{columns}_2^{doublings}": lambda: plain(inputs, doublings),
    }


def run(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file for {name: ratio}")
    parser.add_argument("--grid", type=int, nargs=2, default=[47, 63], help="rows and columns of nodes")
    parser.add_argument("--channels", type=int, default=448, help="features of a node; PSA has 448")
    parser.add_argument("--labels", type=int, default=3, help="labels with scores, background among them")
    parser.add_argument("--doublings", type=int, nargs="+", default=[6, 8], help="t of the walks, 2^t steps")
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which every way is timed once")
    parser.add_argument("--inputs", type=Path, help="safetensors with `features` and `scores`; written if missing")
    parser.add_argument("--walked", type=Path, help="safetensors for our walked scores, by number of doublings")
    parser.add_argument("--threads", type=int, help="of torch")
    settings = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(0)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.inputs and settings.inputs.is_file():
        inputs = load_file(settings.inputs)
    else:
        inputs = made_up(*settings.grid, settings.channels, settings.labels)
        if settings.inputs:
            save_file(inputs, settings.inputs)
    if settings.walked:
        save_file({str(doublings): ours(inputs, doublings) for doublings in settings.doublings}, settings.walked)
    ratios: dict[str, float] = {}
    lines = list(TABLE_HEAD)
    for doublings in settings.doublings:
        own, table = ratios_to_ours(ways(inputs, doublings), pairs=settings.pairs, device=CPU)
        ratios |= own
        lines += table
    write_json(settings.json, ratios)
    print("\n".join(lines))


if __name__ == "__main__":
    run()
