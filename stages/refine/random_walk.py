"""Random walk of scores over the nodes of an image: the transition matrix is applied repeatedly, never squared.

Source: Ahn and Kwak, CVPR 2018 ("PSA"), section 3.3: T = D^-1 A^beta, and the scores after 2^t steps are T^(2^t) times
the scores. PSA squares the dense matrix t times, at N^3 operations each; 2^t sparse products give the same result at a
cost of 2^t times the number of neighbours of all nodes.
"""

import warnings

import torch
from torch import Tensor


def transition_matrix(affinities: Tensor, pairs: Tensor, nodes: int, *, beta: float) -> Tensor:
    """Row-normalised transitions as a sparse CSR matrix [nodes, nodes] float32.

    Args:
        affinities: of each pair, [P] in (0, 1].
        pairs: the two nodes of each pair, [2, P], each unordered pair once (`affinity_pairs.node_pairs`).
        nodes: N. Each node has affinity 1 to itself.
        beta: exponent of the affinities.

    Three nodes, two of them neighbours with affinity 1/2:

    >>> transition_matrix(torch.tensor([0.5]), torch.tensor([[0], [1]]), nodes=3, beta=1.0).to_dense()
    tensor([[0.6667, 0.3333, 0.0000],
            [0.3333, 0.6667, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """
    weights = affinities.float() ** beta
    own = torch.arange(nodes, device=weights.device)
    rows = torch.cat((pairs[0], pairs[1], own))
    columns = torch.cat((pairs[1], pairs[0], own))
    values = torch.cat((weights, weights, torch.ones(nodes, device=weights.device)))
    totals = torch.zeros(nodes, device=weights.device).index_add_(0, rows, values)
    matrix = torch.sparse_coo_tensor(
        torch.stack((rows, columns)), values / totals[rows], (nodes, nodes), check_invariants=False
    )
    with warnings.catch_warnings():
        # Warned once per process; products with dense matrices, the only use here, are tested.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return matrix.coalesce().to_sparse_csr()


def dense_transitions(affinities: Tensor, *, beta: float) -> Tensor:
    """Row-normalised transitions [N, N] from affinities between all nodes [N, N] > 0, such as attention.

    >>> dense_transitions(torch.tensor([[1.0, 2.0], [3.0, 1.0]]), beta=2.0)
    tensor([[0.2000, 0.8000],
            [0.9000, 0.1000]])
    """
    weights = affinities.float() ** beta
    return weights / weights.sum(dim=1, keepdim=True)


def random_walk(scores: Tensor, transitions: Tensor, *, doublings: int) -> Tensor:
    """Scores [K, N] float32 after 2^doublings steps; each step takes the weighted mean of a node's neighbours.

    transitions [N, N], sparse CSR or dense, with rows that sum to 1: so scores stay within their extremes, and a
    score that is equal everywhere does not change.

    Each step keeps three quarters: (1, 0), (3/4, 1/4), (5/8, 3/8).

    >>> transitions = dense_transitions(torch.tensor([[3.0, 1.0], [1.0, 3.0]]), beta=1.0)
    >>> random_walk(torch.tensor([[1.0, 0.0]]), transitions, doublings=1)
    tensor([[0.6250, 0.3750]])
    """
    walked = scores.float().T.contiguous()
    for _ in range(2**doublings):
        walked = transitions @ walked
    return walked.T.contiguous()
