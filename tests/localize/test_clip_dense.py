"""Attention variants of CLIP's patch features, against slow NumPy versions in float64 with a loop over heads."""

from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from open_clip.transformer import VisionTransformer

from stages.localize.clip_dense import mean_of_alike, proxy_attention, proxy_features, value_features
from stages.networks.towers.open_clip_vit import OpenClipVit
from stages.networks.towers.timm_cnn import TimmCnn
from stages.settings import ProxySettings

GRID = (3, 5)
HEADS, WIDTH = 4, 32


@pytest.fixture
def tower() -> VisionTransformer:
    torch.manual_seed(0)
    tower = VisionTransformer(
        image_size=32, patch_size=8, width=WIDTH, layers=2, heads=HEADS, mlp_ratio=2.0, output_dim=16, ls_init_value=0.3
    ).eval()
    with torch.no_grad():
        for name, own in tower.named_parameters():
            if name.endswith(("bias", "ln_1.weight", "ln_2.weight", "ln_post.weight")):
                own.add_(0.2 * torch.randn_like(own))  # by default 0 and 1, which would hide a missing one
    return tower.requires_grad_(False)


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(2, 1 + GRID[0] * GRID[1], WIDTH, generator=torch.Generator().manual_seed(1))


def as_numpy(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: own.double().numpy() for name, own in module.state_dict().items()}


def normed(values: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = values - values.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def gelu(values: np.ndarray) -> np.ndarray:
    return torch.nn.functional.gelu(torch.from_numpy(values)).numpy()


def linear(values: np.ndarray, weights: dict[str, np.ndarray], name: str, dash: str = ".") -> np.ndarray:
    return values @ weights[f"{name}{dash}weight"].T + weights[f"{name}{dash}bias"]


def slow_self(tower: VisionTransformer, tokens: np.ndarray) -> np.ndarray:
    """SCLIP's last block of one image, [1 + N, D] -> [N, E]."""
    last, whole = as_numpy(tower.transformer.resblocks[-1]), as_numpy(tower)
    queries, keys, values = np.split(linear(normed(tokens, last, "ln_1"), last, "attn.in_proj", "_"), 3, axis=1)
    width = WIDTH // HEADS
    heads = []
    for head in range(HEADS):
        q, k, v = (part[:, head * width : (head + 1) * width] for part in (queries, keys, values))
        attention = softmax(q @ q.T / np.sqrt(width)) + softmax(k @ k.T / np.sqrt(width))
        np.testing.assert_allclose(attention.sum(axis=1), 2)
        heads.append(attention @ v)
    seen = linear(np.concatenate(heads, axis=1), last, "attn.out_proj")
    tokens = tokens + last["ls_1.gamma"] * seen
    hidden = gelu(linear(normed(tokens, last, "ln_2"), last, "mlp.c_fc"))
    tokens = tokens + last["ls_2.gamma"] * linear(hidden, last, "mlp.c_proj")
    return normed(tokens[1:], whole, "ln_post") @ whole["proj"]


def slow_attention(features: np.ndarray, beta: float, gamma: float) -> np.ndarray:
    """ProxyCLIP's weights [M, M], entry by entry; features [M, width]."""
    count = len(features)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = np.array([[units[i] @ units[j] for j in range(count)] for i in range(count)])
    scores = gamma * (cosines - beta * cosines.sum() / count**2)
    weights = np.zeros((count, count))
    for i in range(count):
        seen = [j for j in range(count) if scores[i, j] >= 0]
        total = sum(np.exp(scores[i, j]) for j in seen)
        for j in seen:
            weights[i, j] = np.exp(scores[i, j]) / total
    return weights


def slow_bilinear(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """[rows, columns, D] at other sizes, pixel centres aligned at the middle of their cells."""

    def neighbours(place: int, length: int, before: int) -> tuple[int, int, float]:
        at = min(max((place + 0.5) * before / length - 0.5, 0), before - 1)
        low = int(at)
        return low, min(low + 1, before - 1), at - low

    resized = np.zeros((rows, columns, values.shape[2]))
    for row in range(rows):
        top, bottom, down = neighbours(row, rows, values.shape[0])
        for column in range(columns):
            left, right, across = neighbours(column, columns, values.shape[1])
            upper = (1 - across) * values[top, left] + across * values[top, right]
            lower = (1 - across) * values[bottom, left] + across * values[bottom, right]
            resized[row, column] = (1 - down) * upper + down * lower
    return resized


def slow_proxy(
    tower: VisionTransformer, tokens: np.ndarray, proxies: np.ndarray, settings: ProxySettings
) -> np.ndarray:
    """ProxyCLIP's last block of one image, [1 + N, D] and [width, rows, columns] -> [M, E], a loop over heads."""
    last, whole = as_numpy(tower.transformer.resblocks[-1]), as_numpy(tower)
    values = linear(normed(tokens, last, "ln_1"), last, "attn.in_proj", "_")[1:, 2 * WIDTH :]
    rows, columns = proxies.shape[1:]
    resized = slow_bilinear(values.reshape(*GRID, WIDTH), rows, columns).reshape(rows * columns, WIDTH)
    attention = slow_attention(proxies.reshape(len(proxies), -1).T, settings.beta, settings.gamma)
    width = WIDTH // HEADS
    heads = [attention @ resized[:, head * width : (head + 1) * width] for head in range(HEADS)]
    seen = last["ls_1.gamma"] * linear(np.concatenate(heads, axis=1), last, "attn.out_proj")
    return normed(seen, whole, "ln_post") @ whole["proj"]


def test_self_attention_is_the_sum_of_two_softmaxes(tower: VisionTransformer, tokens: torch.Tensor) -> None:
    found = OpenClipVit(tower).seen_by_themselves(tokens, GRID).numpy()
    for own, entering in zip(found, tokens.double().numpy(), strict=True):
        np.testing.assert_allclose(own, slow_self(tower, entering), atol=1e-5)


@pytest.mark.parametrize("size", [GRID, (6, 10), (5, 7), (2, 3)], ids=str)
@pytest.mark.parametrize("settings", [ProxySettings(), ProxySettings(beta=0.5, gamma=8.0)], ids=["paper", "other"])
def test_proxy_attention_weights_the_values(tower: VisionTransformer, tokens: torch.Tensor, size, settings) -> None:
    proxies = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(2)) + 0.5
    found = proxy_features(OpenClipVit(tower), tokens, GRID, proxies=proxies, settings=settings).numpy()
    for own, entering, alike in zip(found, tokens.double().numpy(), proxies.double().numpy(), strict=True):
        np.testing.assert_allclose(own, slow_proxy(tower, entering, alike, settings), atol=2e-5)


def test_a_proxy_that_finds_nothing_alike_leaves_the_values(tower: VisionTransformer, tokens: torch.Tensor) -> None:
    proxies = torch.eye(15).view(15, *GRID).expand(2, -1, -1, -1)  # one feature for each patch
    opened = OpenClipVit(tower)
    found = proxy_features(opened, tokens, GRID, proxies=proxies, settings=ProxySettings())
    torch.testing.assert_close(found, value_features(opened, tokens, GRID), atol=1e-6, rtol=1e-5)


def test_proxy_weights_by_hand() -> None:
    # Three positions, two of them alike: cosines [[1, 1, 0], [1, 1, 0], [0, 0, 1]], mean 5/9, less 1.2 of it.
    weights = proxy_attention(torch.tensor([[2.0, 5.0, 0.0], [0.0, 0.0, 3.0]]), ProxySettings())
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]))
    # Without the shift, each also sees what is not like it, by exp(0) against exp(3).
    weights = proxy_attention(torch.tensor([[2.0, 5.0, 0.0], [0.0, 0.0, 3.0]]), ProxySettings(beta=0.0))
    alike, other = torch.exp(torch.tensor(3.0)), 1.0
    torch.testing.assert_close(weights[0], torch.tensor([alike, alike, other]) / (2 * alike + other))


def test_an_image_of_one_colour_has_weights_too() -> None:
    """All cosines are 1, their mean times 1.2 is more: the equation alone would leave nothing."""
    weights = proxy_attention(torch.ones(4, 6), ProxySettings())
    torch.testing.assert_close(weights, torch.eye(6))


def test_weights_are_not_rounded_under_autocast() -> None:
    torch.manual_seed(0)
    values, proxies = torch.randn(1, 4, 3, 5), torch.randn(1, 6, 3, 5) + 1
    full = mean_of_alike(values, proxies, ProxySettings())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(mean_of_alike(values, proxies, ProxySettings()), full, atol=0, rtol=0)


def test_positions_of_a_cnn_that_all_see_each_other_are_the_image_embedding() -> None:
    """With beta 0 and one feature everywhere, the mean over alike positions is the mean over all: the pooled image."""
    torch.manual_seed(0)
    trunk = timm.create_model("test_efficientnet", pretrained=False, num_classes=0).eval()
    tower = SimpleNamespace(trunk=trunk, head=torch.nn.Linear(trunk.num_features, 16))
    even = ProxySettings(beta=0.0)
    with torch.no_grad():
        images = torch.randn(2, 3, 64, 96)
        features = trunk.forward_features(images)
        expected = tower.head(trunk.forward_head(features))
        opened = TimmCnn(tower)
        tokens, grid = opened.before_last(images)
        same = features.new_ones(2, 1, *grid)
        each = proxy_features(opened, tokens, grid, proxies=same, settings=even)
        torch.testing.assert_close(each, expected[:, None].expand_as(each), atol=1e-5, rtol=1e-4)
        assert mean_of_alike(features, torch.ones(2, 3, 4, 7), even).shape == (2, features.shape[1], 4, 7)
