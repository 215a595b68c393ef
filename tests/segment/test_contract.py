"""What every overlay of configs/segment holds to, on a tiny backbone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from stages.errors import SettingsError
from stages.segment.architecture import build_model, checked_model
from stages.segment.inference import class_probabilities
from stages.segment.model import load_segmenter, save_segmenter
from stages.segment.overlay import OVERLAYS
from stages.settings import InferenceSettings

CLASSES = ("blue", "red", "green")
SIDE = 64
# The backbone of an overlay that does not fit the usual one.
USUAL = "test_efficientnet"
BACKBONES = {"upernet": "test_convnext", "vit_linear": "test_vit", "vit_mask_tokens": "test_vit3"}
# Instead of the overlay's own, to be fast.
CHANNELS = {"upernet": 16}


@pytest.fixture(params=sorted(path.stem for path in OVERLAYS.glob("*.py")))
def built(request: pytest.FixtureRequest, make_settings) -> tuple[Any, dict[str, Any]]:
    """A segmenter of random weights, and its config."""
    name = request.param
    settings = make_settings(
        model=name,
        backbone=BACKBONES.get(name, USUAL),
        decoder_channels=CHANNELS.get(name),
        output_stride=None,
        crop=SIDE,
    )
    torch.manual_seed(0)
    try:
        config, parameters = checked_model(settings, CLASSES)
    except SettingsError as error:
        pytest.fail(f"{error}. Or name a backbone that fits in BACKBONES of {__file__}")
    model = build_model(config)
    assert parameters == sum(own.numel() for own in model.parameters())
    return model, config


def test_one_step(built: tuple[Any, dict]) -> None:
    model = built[0].train()
    torch.manual_seed(0)
    labels = torch.randint(0, len(CLASSES) + 1, (2, 1, SIDE, SIDE))
    labels[:, :, : SIDE // 4] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one), metainfo={"img_shape": (SIDE, SIDE)}) for one in labels]
    losses = model.loss(torch.randn(2, 3, SIDE, SIDE), samples)
    sum(value for name, value in losses.items() if "loss" in name).backward()
    assert all(torch.isfinite(value).all() for value in losses.values())
    learned = {name: own.grad for name, own in model.named_parameters() if own.requires_grad}
    assert not [name for name, gradient in learned.items() if gradient is None]
    assert all(torch.isfinite(gradient).all() for gradient in learned.values())
    assert any(gradient.any() for name, gradient in learned.items() if name.startswith("backbone."))


def test_probabilities_and_the_stored_file(built: tuple[Any, dict], tmp_path: Path) -> None:
    model, config = built
    image = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    settings = InferenceSettings(scales=(0.75, 1.5), flip=True)
    scores = class_probabilities(model.eval(), image, settings)
    assert scores.shape == (len(CLASSES) + 1, 50, 70)
    assert scores.min() >= 0
    torch.testing.assert_close(scores.sum(dim=0), torch.ones(50, 70))
    save_segmenter(tmp_path / "segmenter.safetensors", model, classes=CLASSES, config=config)
    again = load_segmenter(tmp_path / "segmenter.safetensors")
    assert again.classes == CLASSES
    torch.testing.assert_close(class_probabilities(again.model, image, settings), scores, rtol=0, atol=1e-4)
