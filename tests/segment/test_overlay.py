"""Overlays, and the models that come of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from stages.errors import SettingsError
from stages.segment.architecture import build_model, checked_model, model_config
from stages.segment.inference import class_probabilities
from stages.segment.overlay import OVERLAYS, read_overlay
from stages.settings import InferenceSettings, NetworkSettings, SegmenterTraining, SegmentSettings

CLASSES = ("blue", "red")
# Overlay, backbone, parameters for VOC's 21 labels and for COCO's 81.
FULL_SIZE = [
    ("deeplabv1", "resnet38", 124_220_245, 124_251_025),
    ("deeplabv1_mctformer", "resnet38", 124_042_581, 124_319_121),
    ("deeplabv2", "resnet101", 44_048_532, 48_472_452),
    ("deeplabv3plus", "resnet101", 48_309_701, 48_325_121),
    ("segformer", "mit_b2", 24_728_533, 24_743_953),
    ("upernet", "convnext_tiny", 59_249_781, 59_280_561),
    ("vit_linear", "vit_small_patch14_dinov2", 22_065_045, 22_088_145),
    ("vit_mask_tokens", "vit_small_patch16_dinov3", 25_587_498, 25_610_658),
]


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return str(path)


def overlay(head: str, features: str = "last") -> str:
    return f'features = "{features}"\noutput_stride = 16\nmodel = {{"decode_head": {head}}}\n'


FCN = '{"type": "FCNHead", "channels": 16, "num_convs": 1, "dilation": 6, "kernel_size": 3}'


def test_every_overlay_of_ours_is_tested_at_full_size() -> None:
    assert {name for name, *_ in FULL_SIZE} == {path.stem for path in OVERLAYS.glob("*.py")}


@pytest.mark.parametrize(("name", "backbone", "voc", "coco"), FULL_SIZE)
def test_full_size_models_learn_a_step_and_predict_at_several_scales(
    name: str, backbone: str, voc: int, coco: int
) -> None:
    settings = SegmentSettings(
        network=NetworkSettings(model=name, backbone=backbone),
        training=SegmenterTraining(crop=65),
        inference=InferenceSettings(scales=(0.5, 1.0, 1.5), flip=True),
    )
    models = [build_model(model_config(settings, [f"class {number}" for number in range(few)])) for few in (20, 80)]
    assert [sum(own.numel() for own in model.parameters()) for model in models] == [voc, coco]
    model: Any = models[0].train()
    optimizer = torch.optim.SGD([own for own in model.parameters() if own.requires_grad], lr=1e-3)
    torch.manual_seed(0)
    labels = torch.randint(0, 21, (2, 1, 65, 65))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one), metainfo={"img_shape": (65, 65)}) for one in labels]
    before = model.decode_head.state_dict()[next(iter(model.decode_head.state_dict()))].clone()
    losses = model.loss(torch.randn(2, 3, 65, 65), samples)
    losses["decode.loss_ce"].backward()
    assert all(own.grad is not None for own in model.parameters() if own.requires_grad)
    optimizer.step()
    assert not torch.equal(model.decode_head.state_dict()[next(iter(model.decode_head.state_dict()))], before)
    image = torch.randint(0, 256, (3, 80, 90), dtype=torch.uint8)
    scores = class_probabilities(model.eval(), image, settings.inference)
    assert scores.shape == (21, 80, 90)
    torch.testing.assert_close(scores.sum(dim=0), torch.ones(80, 90), rtol=0, atol=1e-3)


def test_rates_keep_their_field_of_view_at_another_stride(make_settings) -> None:
    rates = {
        stride: model_config(make_settings(output_stride=stride), CLASSES)["decode_head"]["dilations"]
        for stride in (8, 16, 32)
    }
    assert rates == {8: [1, 12, 24, 36], 16: [1, 6, 12, 18], 32: [1, 3, 6, 9]}
    # Left out, the stride is the overlay's own, or the only one that the backbone has.
    assert model_config(make_settings(), CLASSES)["decode_head"]["dilations"] == [1, 6, 12, 18]
    large = model_config(make_settings(model="deeplabv1", backbone="resnet18"), CLASSES)
    assert large["backbone"]["output_stride"] == 8
    assert large["decode_head"]["dilation"] == 12
    resnet38 = model_config(make_settings(backbone="resnet38"), CLASSES)
    assert resnet38["decode_head"]["dilations"] == [1, 12, 24, 36]


def test_an_overlay_of_ones_own(make_settings, tmp_path: Path) -> None:
    settings = make_settings(model=written(tmp_path, overlay(FCN)))
    config, parameters = checked_model(settings, CLASSES)
    assert config["decode_head"]["num_classes"] == 3
    assert config["decode_head"]["channels"] == 8  # segment.network.decoder_channels stands above the overlay
    assert parameters == sum(own.numel() for own in build_model(config).parameters())
    free = checked_model(make_settings(model=settings.network.model, decoder_channels=None), CLASSES)[0]
    assert free["decode_head"]["channels"] == 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("features = 1 +", "cannot be read as an mmengine config"),
        (overlay(FCN) + "modell = 1\n", "mine.py: modell: Extra inputs"),
        (overlay(FCN, "middle"), "mine.py: features: Input should be"),
        (overlay('{"channels": 3}'), "model.decode_head.type: must be given"),
        (overlay('{"type": "FCNHead", "num_classes": 5}'), "model.decode_head.num_classes: leave it out"),
        (overlay('{"type": "FCHead", "channels": 3}'), "mine.py: on backbone tf_efficientnet_lite0 it cannot be built"),
        (overlay('{"type": "FCNHead", "channels": 8, "in_channels": 7}'), "correct the overlay"),
        (overlay('{"type": "SegformerHead", "channels": 8}'), "cannot be built and run"),
    ],
)
def test_what_is_wrong_in_an_overlay_is_named(make_settings, tmp_path: Path, text: str, words: str) -> None:
    settings = make_settings(model=written(tmp_path, text))
    with pytest.raises(SettingsError, match="mine.py") as caught:
        checked_model(settings, CLASSES)
    assert words in str(caught.value)


def test_a_misspelt_overlay_is_named_with_the_right_one() -> None:
    with pytest.raises(SettingsError, match="no overlay 'deeplabv3pls'; did you mean 'deeplabv3plus'"):
        read_overlay("deeplabv3pls")
    with pytest.raises(SettingsError, match=r"segment\.network\.model: no file there\.py"):
        read_overlay("there.py")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": "resnet38", "output_stride": 16}, "segment.network.output_stride: resnet38 has 8, not 16"),
        ({"backbone": "mit_b0", "frozen_stages": 1}, "mit_b0 learns as a whole"),
        ({"backbone": "resnet38", "model": "segformer"}, "it has 3 feature maps, the overlay reads 4"),
        ({"model": "deeplabv2", "backbone": "resnet18"}, "decoder_channels: the decoder of deeplabv2 has none"),
        ({"class_weights": {"rde": 2}}, "segment.training.class_weights: 'rde' is no class"),
    ],
)
def test_backbones_that_do_not_fit(make_settings, changes: dict, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        model_config(make_settings(**changes), CLASSES)
    assert words in str(caught.value)


@pytest.mark.parametrize("backbone", ["resnet38", "mit_b0"])
def test_weights_of_other_backbones_are_loaded(make_settings, tmp_path: Path, backbone: str) -> None:
    from safetensors.torch import save_file

    from stages.segment.config import with_weights

    config = model_config(make_settings(backbone=backbone, output_stride=None), CLASSES)
    torch.manual_seed(5)
    source = build_model(config).backbone
    save_file({name: value.contiguous() for name, value in source.state_dict().items()}, tmp_path / "w.safetensors")
    model = build_model(with_weights(config, tmp_path / "w.safetensors"))
    model.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name


def test_frozen_norms_stay_frozen_when_they_become_those_of_all_gpus(make_settings, build) -> None:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(build(make_settings(frozen_norm=True))).train()
    norms = [own for own in model.backbone.modules() if isinstance(own, nn.SyncBatchNorm)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert all(own.training for own in model.decode_head.modules() if isinstance(own, nn.SyncBatchNorm))
    resnet38 = nn.SyncBatchNorm.convert_sync_batchnorm(build(make_settings(backbone="resnet38"))).train()
    assert not any(own.training for own in resnet38.backbone.modules() if isinstance(own, nn.SyncBatchNorm))
