"""MCTformer, slowly: its papers' equations in NumPy, one image at a time, from weights under their public names.

Sources: Xu et al., CVPR 2022 (V2), sections 3.1 to 3.4; Xu et al., TPAMI 2024 (plus). Nothing is shared with
`stages.localize`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PATCH = 16
NORM_EPSILON = 1e-6


@dataclass(frozen=True)
class SlowResult:
    """scores: of the class tokens and of the pooled patch maps, [2, C].  maps: after ReLU, fused: with class attention,
    refined: smoothed by patch attention, each [C, N].  tokens: of the classes after each block, [L, C, D]."""

    scores: Array
    maps: Array
    fused: Array
    refined: Array
    tokens: Array


def slow_mctformer(
    weights: Mapping[str, Array], image: Array, *, blocks: int, heads: int, plus: bool, decay: float = 0.996
) -> SlowResult:
    """image [3, H, W], normalised, of the size that the positions are for."""
    classes = weights["cls_token"].shape[1]
    patches = patches_of(image, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"])
    x = np.concatenate((weights["cls_token"][0], patches))
    if plus:
        x = x + np.concatenate((weights["pos_embed_cls"][0], weights["pos_embed_pat"][0]))
    else:
        x = x + weights["pos_embed"][0]
    attentions, tokens = [], []
    for number in range(blocks):
        own = {
            name.removeprefix(f"blocks.{number}."): value
            for name, value in weights.items()
            if name.startswith(f"blocks.{number}.")
        }
        x, attention = block(own, x, heads)
        attentions.append(attention)
        tokens.append(x[:classes])
    rows, columns = image.shape[1] // PATCH, image.shape[2] // PATCH
    raw = convolved(x[classes:].reshape(rows, columns, -1), weights["head.weight"], weights["head.bias"])
    maps = np.maximum(raw, 0)
    of_classes = [attention[:classes, classes:] for attention in attentions]
    if plus:
        fused = np.sqrt(maps * np.mean(of_classes, axis=0))
        pooled = [ranking_pooled(values, decay) for values in raw]
    else:
        fused = maps * np.sum(of_classes[-3:], axis=0)
        pooled = [values.mean() for values in raw]
    between = np.sum([attention[classes:, classes:] for attention in attentions], axis=0)
    refined = np.zeros_like(fused)
    for target in range(rows * columns):
        for source in range(rows * columns):
            refined[:, target] += between[target, source] * fused[:, source]
    scores = np.array([x[:classes].mean(axis=1), pooled])
    return SlowResult(scores, maps, fused, refined, np.array(tokens))


def patches_of(image: Array, weight: Array, bias: Array) -> Array:
    """Each patch's pixels times the embedding: [N, D], row by row."""
    found = []
    for top in range(0, image.shape[1], PATCH):
        for left in range(0, image.shape[2], PATCH):
            pixels = image[:, top : top + PATCH, left : left + PATCH]
            found.append((weight * pixels).sum(axis=(1, 2, 3)) + bias)
    return np.array(found)


def block(weights: Mapping[str, Array], x: Array, heads: int) -> tuple[Array, Array]:
    """A pre-norm transformer block: its output [M, D] and its attention [M, M], the mean over heads."""
    count, width = x.shape
    size = width // heads
    normed = norm(x, weights["norm1.weight"], weights["norm1.bias"])
    query, key, value = np.split(normed @ weights["attn.qkv.weight"].T + weights["attn.qkv.bias"], 3, axis=1)
    merged, total = np.zeros_like(x), np.zeros((count, count))
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        attention = softmax(query[:, own] @ key[:, own].T / sqrt(size))
        merged[:, own] = attention @ value[:, own]
        total += attention
    x = x + merged @ weights["attn.proj.weight"].T + weights["attn.proj.bias"]
    normed = norm(x, weights["norm2.weight"], weights["norm2.bias"])
    hidden = normed @ weights["mlp.fc1.weight"].T + weights["mlp.fc1.bias"]
    hidden = np.array([[value * (1 + erf(value / sqrt(2))) / 2 for value in row] for row in hidden])
    return x + hidden @ weights["mlp.fc2.weight"].T + weights["mlp.fc2.bias"], total / heads


def norm(x: Array, weight: Array, bias: Array) -> Array:
    mean, variance = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(variance + NORM_EPSILON) * weight + bias


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def convolved(x: Array, weight: Array, bias: Array) -> Array:
    """A 3 x 3 convolution with zeros around: [rows, columns, D] -> [C, rows * columns]."""
    rows, columns, _ = x.shape
    result = np.zeros((len(bias), rows, columns))
    for row in range(rows):
        for column in range(columns):
            result[:, row, column] = bias
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if 0 <= row + down < rows and 0 <= column + right < columns:
                        result[:, row, column] += weight[:, :, down + 1, right + 1] @ x[row + down, column + right]
    return result.reshape(len(bias), -1)


def ranking_pooled(values: Array, decay: float) -> float:
    ranked = sorted(values, reverse=True)
    weights = [decay**place for place in range(len(ranked))]
    return sum(weight * value for weight, value in zip(weights, ranked, strict=True)) / sum(weights)


def slow_contrast(tokens: Array, own: list[int]) -> float:
    """Plus: cross-entropy of the cosines of each own class's token with all tokens, the mean over them and blocks."""
    losses = []
    for after in tokens:
        for name in own:
            cosines = [after[name] @ other / (np.linalg.norm(after[name]) * np.linalg.norm(other)) for other in after]
            losses.append(np.log(np.exp(cosines).sum()) - cosines[name])
    return float(np.mean(losses))
