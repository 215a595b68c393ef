"""Random walk of scores over the nodes of an image: the transition matrix is applied repeatedly, never squared.

Source: Ahn and Kwak, CVPR 2018 ("PSA"), section 3.3: the scores after 2^t steps are T^(2^t) times the scores. PSA
squares the dense matrix t times, at N^3 operations each; products with the scores give the same result at a cost of a
few columns times the matrix's entries each.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEFT_OUT = 1e-9  # of a Chebyshev series, less than float32 rounds


def random_walk(scores: Tensor, transitions: Tensor, *, doublings: int) -> Tensor:
    """Scores [K, N] float32 after 2^doublings steps; each step takes the weighted mean of a node's neighbours.

    transitions [N, N], sparse CSR or dense, with rows that sum to 1: so scores stay within their extremes, and a
    score that is equal everywhere does not change.

    Each step keeps three quarters: (1, 0), (3/4, 1/4), (5/8, 3/8).

    >>> random_walk(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.75, 0.25], [0.25, 0.75]]), doublings=1)
    tensor([[0.6250, 0.3750]])
    """
    walked = scores.float().T.contiguous()
    for _ in range(2**doublings):
        walked = transitions @ walked
    return walked.T.contiguous()


def reversible_walk(scores: Tensor, transitions: Tensor, *, doublings: int) -> Tensor:
    """`random_walk` along affinities that are the same in both directions, with fewer products: 46 instead of 64, 96
    instead of 256.

    T = D^-1 A with a symmetric A has real eigenvalues in [-1, 1]. There x^n is a sum of Chebyshev polynomials T_k(x),
    none above 1, with the probabilities that n steps of +1 or -1 end at k or -k. Beyond about 6 sqrt(n) these are so
    small that leaving them out changes nothing: at most `LEFT_OUT` of the scores, in the norm that weights nodes by
    their totals D.

    Source: Sachdeva and Vishnoi, "Faster Algorithms via Approximation Theory", 2014, theorem 3.3.

    >>> reversible_walk(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.75, 0.25], [0.25, 0.75]]), doublings=1)
    tensor([[0.6250, 0.3750]])
    """
    before = scores.float().T.contiguous()
    now = transitions @ before
    weights = chebyshev_weights(2**doublings)
    walked = weights[0] * before + weights[1] * now
    for weight in weights[2:]:
        before, now = now, torch.addmm(before, transitions, now, beta=-1, alpha=2)
        if weight:
            walked.add_(now, alpha=weight)
    # Rounding may leave the extremes of the scores, the walk itself does not.
    least, most = scores.float().aminmax(dim=1)
    return walked.clamp_(least, most).T.contiguous()


@functools.lru_cache
def chebyshev_weights(steps: int) -> tuple[float, ...]:
    """Weights w_0, w_1, ... of the Chebyshev polynomials in x^steps on [-1, 1], without those beyond which less than
    `LEFT_OUT` of their sum is left; they sum to 1.

    x^2 = (T_0 + T_2) / 2:

    >>> chebyshev_weights(2)
    (0.5, 0.0, 0.5)
    """
    # The binomial coefficients C(n, (n - k) / 2) of every second k, each from the one before.
    degrees = np.arange(steps % 2, steps + 1, 2)
    ratios = (steps - degrees[:-1]) / (steps + degrees[:-1] + 2)
    weights: NDArray[np.float64] = np.concatenate([[1.0], np.cumprod(ratios)])
    if degrees[0] == 0:
        weights[0] /= 2  # the others stand for k and -k
    weights /= weights.sum()
    kept = weights[: 1 + int((weights.cumsum() < 1 - LEFT_OUT).sum())]
    result = np.zeros(degrees[len(kept) - 1] + 1)
    result[degrees[: len(kept)]] = kept / kept.sum()
    return tuple(result.tolist())
