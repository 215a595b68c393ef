"""The model: backbones, freezing, loss, and its file."""

import numpy as np
import pytest
import timm
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy

from stages.encode.weights import load_weights
from stages.errors import DataError, SettingsError
from stages.segment.architecture import build_model, checked_model, model_config, trial_sizes
from stages.segment.config import with_weights
from stages.segment.inference import class_probabilities
from stages.segment.model import load_segmenter, save_segmenter

CLASSES = ("blue", "red")


def samples_of(labels: torch.Tensor) -> list[SegDataSample]:
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "resnet18"])
@pytest.mark.parametrize("stride", [16, 32])
def test_any_timm_cnn_at_either_stride(make_settings, build, backbone: str, stride: int) -> None:
    model = build(make_settings(backbone=backbone, output_stride=stride)).eval()
    image = torch.randn(1, 3, 64, 96)
    low, high = model.extract_feat(image)
    assert low.shape[2:] == (16, 24)
    assert high.shape[2:] == (64 // stride, 96 // stride)
    assert high.is_contiguous(memory_format=torch.channels_last)
    assert model.encode_decode(image, [{"img_shape": image.shape[2:]}]).shape == (1, 3, 64, 96)


def test_a_model_that_names_no_stride_works_at_its_usual_one(make_settings) -> None:
    settings = make_settings(backbone="densenet121", output_stride=32)
    assert model_config(settings, CLASSES)["decode_head"]["in_channels"] == 1024
    with pytest.raises(SettingsError, match=r"segment\.network\.output_stride.*set 32"):
        model_config(make_settings(backbone="densenet121", output_stride=16), CLASSES)


def test_settings_that_do_not_fit_the_backbone(make_settings) -> None:
    with pytest.raises(SettingsError, match=r"segment\.network\.backbone.*resnet_18"):
        model_config(make_settings(backbone="resnet_18"), CLASSES)
    with pytest.raises(SettingsError, match=r"segment\.network\.frozen_stages: 6, but resnet18 has 5"):
        model_config(make_settings(backbone="resnet18", frozen_stages=6), CLASSES)


def test_inputs_are_normalised_as_the_backbone_was_trained(make_settings) -> None:
    lite0 = model_config(make_settings(), CLASSES)["data_preprocessor"]
    assert lite0["mean"] == lite0["std"] == [127.5] * 3
    resnet = model_config(make_settings(backbone="resnet18"), CLASSES)["data_preprocessor"]
    assert resnet["mean"] == pytest.approx([123.675, 116.28, 103.53])  # ImageNet's, as everyone writes them


@pytest.mark.parametrize(
    ("backbone", "frozen", "first_free"),
    [
        ("tf_efficientnet_lite0", ("conv_stem.", "bn1.", "blocks.0.", "blocks.1."), "blocks.2."),
        ("resnet18", ("conv1.", "bn1.", "layer1."), "layer2."),
    ],
)
def test_frozen_stages_stay_as_they_are(
    make_settings, build, backbone: str, frozen: tuple[str, ...], first_free: str
) -> None:
    model = build(make_settings(backbone=backbone, frozen_stages=2)).train()
    timm_model = model.backbone.timm_model
    before = {name: tensor.clone() for name, tensor in timm_model.state_dict().items()}
    low, high = model.extract_feat(torch.randn(2, 3, 64, 64))
    assert not low.requires_grad  # nothing of the frozen part is kept for a backward pass
    high.sum().backward()
    with_gradient = {name for name, parameter in timm_model.named_parameters() if parameter.grad is not None}
    assert not any(name.startswith(frozen) for name in with_gradient)
    assert any(name.startswith(first_free) for name in with_gradient)
    changed = {name for name, tensor in timm_model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(name.startswith(frozen) for name in changed)
    assert any(name.startswith(first_free) and name.endswith("running_mean") for name in changed)


def test_frozen_norm_keeps_statistics_but_trains_scales(make_settings, build) -> None:
    model = build(make_settings(frozen_norm=True)).train()
    norm = model.backbone.timm_model.bn1
    model.extract_feat(torch.randn(2, 3, 64, 64) + 5)[1].sum().backward()
    assert torch.equal(norm.running_mean, torch.zeros(32))
    assert norm.weight.grad is not None
    assert model.decode_head.training


def test_weights_of_the_file_reach_the_backbone(make_settings, lite0_weights) -> None:
    model = build_model(with_weights(model_config(make_settings(), CLASSES), lite0_weights))
    model.init_weights()  # as a Runner does; it must not undo them
    for name, expected in load_file(lite0_weights).items():
        if not name.startswith(("conv_head.", "bn2.", "classifier.")):
            torch.testing.assert_close(model.backbone.timm_model.state_dict()[name], expected, rtol=0, atol=0)


def test_a_convnext_of_other_classes_starts_from_the_file_and_freezes_its_first_stages(make_settings, tmp_path) -> None:
    """Published weights of ConvNeXt are often those of ImageNet-22k. It has layer norms alone."""
    torch.manual_seed(0)
    save_file(timm.create_model("test_convnext", num_classes=22).state_dict(), tmp_path / "given.safetensors")
    state = load_weights("test_convnext", str(tmp_path / "given.safetensors"))
    save_file(state, tmp_path / "loaded.safetensors")
    torch.manual_seed(1)
    settings = make_settings(backbone="test_convnext", model="upernet", output_stride=None, frozen_stages=2)
    config = model_config(settings, CLASSES)
    assert config["data_preprocessor"]["mean"] == [127.5] * 3
    model = build_model(with_weights(config, tmp_path / "loaded.safetensors")).train()
    model.init_weights()
    assert [tuple(own.shape[2:]) for own in model.extract_feat(torch.randn(1, 3, 64, 96))] == [
        *((16, 24), (8, 12)),
        *((4, 6), (2, 3)),
    ]
    own = {name.replace("stages_", "stages."): value for name, value in model.backbone.timm_model.state_dict().items()}
    renamed = {name.replace("stem_", "stem."): value for name, value in own.items()}
    assert set(state) - set(renamed) == {name for name in state if name.startswith("head.")}
    for name, value in renamed.items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)
    learned = {name for name, value in model.backbone.timm_model.named_parameters() if value.requires_grad}
    assert {name.split(".")[0] for name in learned} == {"stages_2", "stages_3"}


def test_loss_is_weighted_and_ignores_255(make_settings, build) -> None:
    model = build(make_settings(class_weights={"background": 0.4}))
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    labels = torch.randint(0, 3, (2, 8, 8))
    labels[:, :3] = 255
    loss = model.decode_head.loss_by_feat(logits, samples_of(labels))["loss_ce"]
    expected = cross_entropy(logits, labels, weight=torch.tensor([0.4, 1.0, 1.0]), ignore_index=255)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert torch.equal(logits.grad[:, :, :3], torch.zeros(2, 3, 3, 8))
    assert (logits.grad[:, :, 3:] != 0).all()


def test_loaded_segmenter_gives_the_same_logits(make_settings, tmp_path) -> None:
    config = model_config(make_settings(frozen_stages=1), CLASSES)
    model = build_model(config).train()
    model.extract_feat(torch.randn(2, 3, 64, 64))  # moves the batch norms from their start
    save_segmenter(tmp_path / "s.safetensors", model, classes=CLASSES, config=config)
    loaded = load_segmenter(tmp_path / "s.safetensors")
    assert loaded.classes == ("blue", "red")
    image = torch.randn(1, 3, 50, 70)
    with torch.inference_mode():
        logits = [m.encode_decode(image, [{"img_shape": image.shape[2:]}]) for m in (model.eval(), loaded.model)]
    # Equal but for rounding: the loaded one is laid out channels-last.
    torch.testing.assert_close(*logits, rtol=0, atol=1e-5)


def test_broken_segmenter_file_is_an_error(tmp_path) -> None:
    with pytest.raises(DataError, match=r"s\.safetensors"):
        load_segmenter(tmp_path / "s.safetensors")
    (tmp_path / "s.safetensors").write_bytes(np.zeros(20, dtype=np.uint8).tobytes())
    with pytest.raises(DataError, match="not a whole segmenter"):
        load_segmenter(tmp_path / "s.safetensors")


@pytest.mark.parametrize("backbone", ["hrnet_w18_small", "densenet121", "mit_b0", "test_convnext"])
def test_backbones_of_sides_of_one_kind_run_on_every_photograph(make_settings, backbone: str) -> None:
    stride = None if backbone == "mit_b0" else 32
    settings = make_settings(backbone=backbone, output_stride=stride, model="segformer", crop=321)
    model = build_model(checked_model(settings, CLASSES)[0]).eval()
    for size in ((93, 125), (15, 20)):  # sides that are odd at every stride, as of 375 x 500, and less than a stride
        probabilities = class_probabilities(model, torch.randint(0, 255, (3, *size)), settings.inference)
        assert probabilities.shape == (3, *size)
        assert probabilities.isfinite().all()


def test_a_model_is_tried_on_its_crop_and_on_odd_sides_at_the_scales_of_the_prediction(make_settings) -> None:
    settings = make_settings({"scales": [1.0, 0.1], "window": 321}, crop=321)
    # 129 leaves the remainders of 321 at strides up to 64; the windows of 375 x 500 are of 321 too.
    assert trial_sizes(settings) == [(129, 129), (97, 127), (38, 50)]
