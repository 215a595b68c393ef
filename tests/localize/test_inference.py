"""From images to maps: scaling, flips, attention, and what is stored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stages.index import Record
from stages.localize.encoders import attention_weights
from stages.localize.inference import image_maps, make_maps, resize_to_stride, scale_to_one, variant_maps
from stages.settings import MapSettings
from tests.localize.conftest import CLASSES

CPU = torch.device("cpu")


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 100, 3), dtype=np.uint8))


def test_scale_to_one_by_hand() -> None:
    maps = torch.tensor([[[1.0, 3.0], [2.0, 5.0]], [[2.0, 2.0], [2.0, 2.0]]])
    expected = torch.tensor([[[0.0, 0.5], [0.25, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(scale_to_one(maps), expected)


def test_resize_keeps_the_shape_on_the_grid() -> None:
    # 300 x 200 to a shorter side of 64 is 96 x 64, both multiples of 16.
    assert resize_to_stride(Image.new("RGB", (300, 200)), 64, 16).size == (96, 64)


def test_attention_weights_are_timms_own(make_localizer) -> None:
    """The block's output, computed from our weights head by head, equals the block's own."""
    block = make_localizer("vit").encoder.blocks[0]
    tokens = torch.randn(1, 7, 192)
    weights = attention_weights(block, tokens)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 7))
    block.attn.fused_attn = False
    seen: list[torch.Tensor] = []
    block.attn.attn_drop.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    block(tokens)
    torch.testing.assert_close(weights, seen[0].mean(dim=1))


def test_flip_makes_maps_of_a_mirrored_image_mirrored(make_localizer, photo: Image.Image) -> None:
    localizer = make_localizer()
    settings = MapSettings(size=64, flip=True, scales=(1.0, 1.5))
    with torch.inference_mode():
        maps = image_maps(photo, localizer, settings=settings, size=(18, 25), device=CPU)
        mirrored = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        other = image_maps(mirrored, localizer, settings=settings, size=(18, 25), device=CPU)
    torch.testing.assert_close(maps, other.flip(-1), atol=1e-4, rtol=1e-3)


def test_sum_is_text_plus_visual(make_localizer) -> None:
    localizer, images = make_localizer(), torch.randn(1, 3, 64, 64)
    maps = {source: variant_maps(localizer, images, MapSettings(source=source)) for source in ("text", "visual", "sum")}
    torch.testing.assert_close(maps["sum"], maps["text"] + maps["visual"])
    assert (maps["sum"] >= 0).all()


def test_attention_options_follow_their_definition(make_localizer) -> None:
    localizer, images = make_localizer("vit"), torch.randn(1, 3, 64, 64)
    output = localizer(images, attention_blocks=2)
    plain = torch.relu(output.text.maps) * output.class_attention[:, len(CLASSES) :]
    smooth = torch.einsum("bcn,bmn->bcm", plain, output.patch_attention)
    settings = MapSettings(source="text", class_attention=True, patch_affinity=True, attention_blocks=2)
    torch.testing.assert_close(variant_maps(localizer, images, settings).flatten(2), smooth)


def test_visual_only_localizer_gives_its_visual_maps(make_localizer) -> None:
    localizer = make_localizer(tokens="visual", language_context="none")
    images = torch.randn(1, 3, 64, 64)
    expected = torch.relu(localizer(images).visual.maps)
    torch.testing.assert_close(variant_maps(localizer, images, MapSettings(source="sum")).flatten(2), expected)


def test_only_tagged_classes_are_kept_at_a_quarter_of_the_size(make_localizer, photo, tmp_path: Path) -> None:
    photo.save(tmp_path / "a.png")
    records = [
        Record("a", "a.png", "", ("coin", "bird"), "val"),
        Record("b", "a.png", "", (), "val"),
    ]
    settings = MapSettings(size=64)
    maps = list(
        make_maps(records, tmp_path, localizer=make_localizer(), classes=CLASSES, settings=settings, device=CPU)
    )
    assert maps[0].classes.tolist() == [0, 2]
    assert maps[0].maps.shape == (2, 18, 25)
    assert maps[0].size == (70, 100)
    assert maps[0].maps.max() == 1
    assert maps[1].maps.shape == (0, 18, 25)
