"""The paper's model at its full size, as configs/voc12.yaml has it, with random weights: one step, one image's maps."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image

from stages.experiment import read_experiment
from stages.index import Record
from stages.localize.checkpoint import build_localizer
from stages.localize.inference import make_maps
from stages.localize.localizer import Localizer
from stages.localize.objective import LocalizerObjective
from stages.settings import Experiment
from tests.workflow.tiny import REPOSITORY

LANGUAGE_WIDTH = 512  # of CLIP ViT-B-16
# ViT-B/16 without classifier has 85,798,656, of which the last norm (2 x 768) is left out. MMCST adds for 20 classes V0
# and its positions 2 x 20 x 768, CLIP's text 20 x 512, its MLP 512 -> 768 -> 768 (984,576), the projection 768 -> 512
# (393,728), and a scale and a bias of three scores.
PARAMETERS = 85_798_656 - 1_536 + 30_720 + 10_240 + 984_576 + 393_728 + 6


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    path = REPOSITORY / "configs/voc12.yaml"
    return read_experiment(yaml.safe_load(path.read_text()), source=path.name)


@pytest.fixture(scope="module")
def localizer(experiment: Experiment) -> Localizer:
    torch.manual_seed(0)
    text = F.normalize(torch.randn(len(experiment.data.classes), LANGUAGE_WIDTH), dim=1)
    return build_localizer(experiment.localize, weights=None, text=text)


def test_the_number_of_learned_parameters(localizer: Localizer) -> None:
    assert sum(parameter.numel() for parameter in localizer.parameters() if parameter.requires_grad) == PARAMETERS


def test_inputs_are_normalised_as_in_pretraining(localizer: Localizer) -> None:
    assert localizer.statistics == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # ImageNet's


def test_a_training_step(experiment: Experiment, localizer: Localizer) -> None:
    settings = experiment.localize.training
    labels = torch.zeros(2, len(experiment.data.classes))
    labels[0, [3, 14]], labels[1, 7] = 1, 1
    rate = settings.learning_rate
    optimizer = torch.optim.AdamW(localizer.parameters(), lr=rate, weight_decay=settings.weight_decay)
    before = {name: value.detach().clone() for name, value in localizer.named_parameters()}
    losses = LocalizerObjective(localizer.train())(
        torch.randn(2, 3, settings.crop, settings.crop), labels, torch.randn(2, LANGUAGE_WIDTH)
    )
    summed = [value for name, value in losses.items() if name.startswith("loss_")]
    assert set(losses) - {"entropy_visual", "entropy_text"} == {
        *("loss_class_tokens", "loss_text_maps", "loss_visual_maps", "loss_language")
    }
    assert all(torch.isfinite(loss) and loss.ndim == 0 for loss in losses.values())
    torch.stack(summed).sum().backward()
    optimizer.step()
    for name in (
        "visual_tokens",
        "text_embeddings",
        "encoder.patch_embed.proj.weight",
        "encoder.blocks.0.mlp.fc1.weight",
    ):
        moved = (localizer.get_parameter(name) - before[name]).abs().max()
        assert 0 < moved < 2 * rate, name  # AdamW's first step is the rate, whatever the gradient


def test_maps_of_an_image(experiment: Experiment, localizer: Localizer, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (384, 384, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "image.png")
    (maps,) = make_maps(
        [Record("image", "image.png", "", ("cat", "dog"), "val")],
        tmp_path,
        localizer=localizer,
        classes=experiment.data.classes,
        settings=experiment.localize,
        device=torch.device("cpu"),
    )
    assert maps.classes.tolist() == [7, 11]
    assert maps.maps.shape == (2, 96, 96)  # a quarter of the image's size
    assert np.isfinite(maps.maps).all()
    assert maps.maps.min() == 0
    assert maps.maps.max() == 1
