"""Weights in the layout of MCTformer's public checkpoints: with them our localizer does what the equations say."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.errors import DataError, SettingsError
from stages.index import write_classes
from stages.localize import convert_mctformer
from stages.localize.checkpoint import load_localizer
from stages.localize.mctformer import Mctformer
from stages.settings import LocalizeSettings, MapSettings
from tests.localize.slow_mctformer import SlowResult, slow_contrast, slow_mctformer

# timm's smallest ViT: enough blocks to tell three from all.
MODEL, WIDTH, BLOCKS, HEADS, HIDDEN = "test_vit", 64, 6, 2, 192
CLASSES = ("bird", "cat", "dog", "road sign")
SIDE = 96  # pixels: a grid of 6 x 6
PATCHES = (SIDE // 16) ** 2
LABELS = torch.tensor([[1.0, 0.0, 1.0, 0.0]])


def published(version: str) -> dict[str, torch.Tensor]:
    """Random weights under the names, and of the shapes, of the public checkpoints."""
    draw = torch.Generator().manual_seed(7)
    shapes: dict[str, tuple[int, ...]] = {"cls_token": (1, len(CLASSES), WIDTH)}
    if version == "plus":
        shapes |= {"pos_embed_cls": (1, len(CLASSES), WIDTH), "pos_embed_pat": (1, PATCHES, WIDTH)}
        shapes |= {"pos_embed": (1, 197, WIDTH)}  # left over there from the plain ViT
    else:
        shapes |= {"pos_embed": (1, len(CLASSES) + PATCHES, WIDTH)}
    shapes |= {"patch_embed.proj.weight": (WIDTH, 3, 16, 16), "patch_embed.proj.bias": (WIDTH,)}
    for number in range(BLOCKS):
        layers = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)}
        layers |= {"mlp.fc1": (HIDDEN, WIDTH), "mlp.fc2": (WIDTH, HIDDEN)}
        for layer, (out, inside) in layers.items():
            shapes |= {f"blocks.{number}.{layer}.weight": (out, inside), f"blocks.{number}.{layer}.bias": (out,)}
        for layer in ("norm1", "norm2"):
            shapes |= {f"blocks.{number}.{layer}.{part}": (WIDTH,) for part in ("weight", "bias")}
    shapes |= {"norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}
    shapes |= {"head.weight": (len(CLASSES), WIDTH, 3, 3), "head.bias": (len(CLASSES),)}
    # Wide enough that attention is far from even and GELU far from linear.
    return {name: 0.15 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def settings_of(version: str, **backbone) -> dict:
    vit = {"kind": "vit", "model": MODEL, "image_size": SIDE, **backbone}
    return {"method": {"kind": "mctformer", "version": version}, "backbone": vit}


def converted(folder: Path, content: object, settings: dict, classes: tuple[str, ...] = CLASSES) -> Mctformer:
    """The localizer that the command makes of a checkpoint, read back."""
    torch.save(content, folder / "checkpoint.pth")
    write_classes(folder / "classes.txt", classes)
    paths = {"input": "checkpoint.pth", "classes": "classes.txt", "output": "localizer.safetensors"}
    named = [text for name, path in paths.items() for text in (f"--{name}", str(folder / path))]
    convert_mctformer.run(["--settings", json.dumps(settings), *named])
    localizer, stored = load_localizer(folder / "localizer.safetensors", LocalizeSettings.model_validate(settings))
    assert stored == classes
    assert isinstance(localizer, Mctformer)
    return localizer


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


def slowly(version: str, image: torch.Tensor) -> SlowResult:
    weights = {name: value.numpy().astype(np.float64) for name, value in published(version).items()}
    return slow_mctformer(
        weights, image[0].numpy().astype(np.float64), blocks=BLOCKS, heads=HEADS, plus=version == "plus"
    )


@pytest.mark.parametrize("version", ["v2", "plus"])
def test_scores_and_maps_are_those_of_the_equations(tmp_path: Path, image: torch.Tensor, version: str) -> None:
    localizer = converted(tmp_path, {"model": published(version), "epoch": 3}, settings_of(version)).double()
    expected = slowly(version, image)
    with torch.inference_mode():
        maps, class_scores, _ = localizer(image.double())
        fused = localizer.locate(image.double(), MapSettings())
        refined = localizer.locate(image.double(), MapSettings(patch_affinity=True))
    assert np.ptp(expected.scores[0]) > 0.01  # many times what may differ
    np.testing.assert_allclose(class_scores[0], expected.scores[0], rtol=0, atol=1e-10)
    near = {"rtol": 1e-5, "atol": 1e-7}  # maps are made in float32
    np.testing.assert_allclose(localizer._pool(maps)[0], expected.scores[1], rtol=0, atol=1e-5)  # sums in float32
    np.testing.assert_allclose(fused.kinds["patch maps"][0].flatten(1), expected.maps, **near)
    # The public code has sums over blocks where there are means here, of V2's last 3 and of all for patches: a factor
    # that the scaling of each map to [0, 1] takes out.
    blocks = 1 if version == "plus" else 3
    np.testing.assert_allclose(blocks * fused.maps[0].flatten(1), expected.fused, **near)
    np.testing.assert_allclose(blocks * BLOCKS * refined.maps[0].flatten(1), expected.refined, **near)
    assert np.abs(expected.refined / BLOCKS - expected.fused).max() > 0.1 * expected.fused.max()  # it does something


def test_contrast_of_plus_is_that_of_its_equation(tmp_path: Path, image: torch.Tensor) -> None:
    localizer = converted(tmp_path, published("plus"), settings_of("plus")).train()
    loss = localizer.losses(image, LABELS, torch.zeros(1, 0))["loss_contrast"].item()
    assert loss == pytest.approx(slow_contrast(slowly("plus", image).tokens, [0, 2]), abs=1e-5)


def test_a_norm_after_the_last_block_is_another_model(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"localize\.backbone: .*checkpoint\.pth is of a ViT.*last_norm false"):
        converted(tmp_path, published("v2"), settings_of("v2", last_norm=True))
    with pytest.raises(SettingsError, match="tokens_from_block 0"):
        converted(tmp_path, published("v2"), settings_of("v2", tokens_from_block=1))
    for model in ("vit_tiny_patch16_dinov3_qkvb", "vit_wee_patch16_reg1_gap_256"):
        with pytest.raises(SettingsError, match=rf"checkpoint\.pth is of a ViT with a class token.*unlike {model};"):
            converted(tmp_path, published("v2"), settings_of("v2", model=model))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    state = published("v2")
    with pytest.raises(SettingsError, match=r"localize\.method\.version: .* holds v2, not plus; set 'v2'"):
        converted(tmp_path, state, settings_of("plus"))
    with pytest.raises(DataError, match=r"cls_token is \(1, 4, 64\), not \(1, 3, 64\); the classes"):
        converted(tmp_path, state, settings_of("v2"), CLASSES[:3])
    with pytest.raises(DataError, match=r"pos_embed is \(1, 40, 64\), not \(1, 104, 64\); .*image_size"):
        converted(tmp_path, state, settings_of("v2", image_size=None))
    without = {name: value for name, value in state.items() if name != "blocks.2.norm1.bias"}
    with pytest.raises(DataError, match=r"checkpoint\.pth: blocks\.2\.norm1\.bias is missing"):
        converted(tmp_path, without, settings_of("v2"))
    with pytest.raises(DataError, match=r"1 tensors have no place in this localizer, first blocks\.6\.norm1\.bias"):
        converted(tmp_path, state | {"blocks.6.norm1.bias": torch.zeros(WIDTH)}, settings_of("v2"))
    with pytest.raises(SettingsError, match="'ts_cam' has other weights"):
        converted(tmp_path, state, settings_of("v2") | {"method": {"kind": "ts_cam"}})


def test_a_checkpoint_with_its_programs_options_is_read(tmp_path: Path) -> None:
    """As that code writes it; a list is none."""
    localizer = converted(tmp_path, {"model": published("v2"), "args": argparse.Namespace(lr=1)}, settings_of("v2"))
    torch.testing.assert_close(localizer.class_tokens, published("v2")["cls_token"][0], rtol=0, atol=0)
    with pytest.raises(DataError, match=r"checkpoint\.pth: holds a list, not a state dict"):
        converted(tmp_path, [torch.zeros(2)], settings_of("v2"))
